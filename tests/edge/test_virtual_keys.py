"""Virtual keys over HTTP: made, limited, rotated and revoked through the admin API, and what their callers are told."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import openai
import pytest
from edge_server import EASY, WordEmbedder, plan_of
from edge_server import config as settings
from test_money import nanousd
from test_request_errors import error_of
from test_request_headers import chat
from typer.testing import CliRunner

from app.cli import app
from app.wiring import open_services
from router.errors import ConfigError

MASTER = "the-master-key-of-tests"


@pytest.fixture
def gearbox(serve):
    return serve(master_key=MASTER)


@pytest.fixture
def admin(gearbox):
    with client_of(gearbox, MASTER) as client:
        yield client


def client_of(gearbox, key):
    return httpx.Client(base_url=gearbox.url, headers={"authorization": f"Bearer {key}"}, timeout=20)


def status(gearbox, key=None):
    """What a plain question is answered with."""
    with client_of(gearbox, key) if key else httpx.Client(base_url=gearbox.url, timeout=20) as client:
        return chat(client).status_code


def made(admin, /, **spec):
    reply = admin.post("/v1/admin/keys", json=spec)
    assert reply.status_code == 201, reply.text
    return reply.json()


def test_a_key_is_shown_once_and_kept_nowhere(gearbox, admin):
    key = made(admin, team="blue", name="search")
    assert status(gearbox, key["key"]) == 200
    assert key["key"] not in admin.get(f"/v1/admin/keys/{key['id']}").text
    files = [path for path in gearbox.database.parent.rglob("*") if path.is_file()]
    assert not [path for path in files if key["key"].encode() in path.read_bytes()]
    row = gearbox.wait_for_row("SELECT * FROM inference")
    assert (row["key_id"], row["team"]) == (key["id"], "blue")


def test_only_the_master_key_opens_the_admin_api(gearbox, admin):
    key = made(admin, admin=True)["key"]
    for other, status in ((key, 403), ("nonsense", 403)):
        with client_of(gearbox, other) as client:
            assert client.get("/v1/admin/keys").status_code == status
    assert httpx.get(f"{gearbox.url}/v1/admin/keys").status_code == 401
    assert admin.get("/v1/admin/keys").json()["data"][0]["status"] == "active"


def test_without_a_master_key_the_admin_api_is_closed(serve):
    reply = httpx.get(f"{serve().url}/v1/admin/keys", headers={"authorization": "Bearer any"})
    assert reply.status_code == 403
    assert "master_key" in error_of(reply)["message"]


def test_a_server_with_a_master_key_takes_no_strangers(gearbox):
    with client_of(gearbox, "sk-anything") as client:
        assert chat(client).status_code == 401


def test_the_first_virtual_key_closes_a_server_that_was_open_to_anyone(serve, tmp_path):
    gearbox = serve()
    assert status(gearbox) == 200
    key = commanded(tmp_path, gearbox, "create", "--team", "blue")
    end = time.monotonic() + 10
    while status(gearbox) == 200 and time.monotonic() < end:
        time.sleep(0.1)
    assert status(gearbox) == 401
    assert status(gearbox, key) == 200


def commanded(tmp_path, gearbox, *arguments):
    file = tmp_path / "gearbox.yaml"
    file.write_text(json.dumps({**settings(), "store": {"url": f"sqlite+aiosqlite:///{gearbox.database}"}}))
    done = CliRunner().invoke(app, ["keys", *arguments, "--config", str(file)])
    assert done.exit_code == 0, done.output
    return done.stdout.strip()


def test_the_command_line_makes_lists_shows_rotates_and_revokes(gearbox, tmp_path):
    old = commanded(tmp_path, gearbox, "create", "--name", "cli", "--budget", "5/day:4", "--rpm", "60")
    (listed,) = json.loads(commanded(tmp_path, gearbox, "list", "--json"))
    shown = json.loads(commanded(tmp_path, gearbox, "show", listed["id"]))
    assert (shown["limits"]["requests_per_minute"], shown["budgets"][0]["usd"]) == (60, 5.0)
    assert status(gearbox, old) == 200
    new = commanded(tmp_path, gearbox, "rotate", listed["id"], "--grace-s", "60")
    assert [status(gearbox, key) for key in (old, new)] == [200, 200]
    commanded(tmp_path, gearbox, "revoke", listed["id"])
    end = time.monotonic() + 10
    while status(gearbox, new) == 200:
        assert time.monotonic() < end, "a revoked key still works after 10 s"
        time.sleep(0.2)


def test_a_rotated_key_without_grace_ends_at_once(gearbox, admin):
    key = made(admin)
    with client_of(gearbox, key["key"]) as client:
        assert chat(client).status_code == 200
        new = admin.post(f"/v1/admin/keys/{key['id']}/rotate").json()["key"]
        assert error_of(chat(client))["code"] == "invalid_api_key"
    assert status(gearbox, new) == 200
    admin.delete(f"/v1/admin/keys/{key['id']}")
    assert status(gearbox, new) == 401


def test_a_key_may_use_what_it_may_use(gearbox, admin):
    key = made(admin, policies=["llm-at"], tiers=["small", "medium"], headers={"x-gearbox-tags": "app=search"})
    with client_of(gearbox, key["key"]) as client:
        assert chat(client).status_code == 200  # auto stands for llm-at
        refused = chat(client, model="large")
        assert (refused.status_code, error_of(refused)["code"]) == (403, "not_allowed")
        served = chat(client, question="Is 1 = 2? Prove it.", headers={"x-gearbox-tags": "app=other"})
        assert "large" not in served.headers["x-gearbox-attempts"]
    tags = [json.loads(row["tags"])["app"] for row in gearbox.sql("SELECT tags FROM inference ORDER BY created_at")]
    assert tags == ["search", "other"]


@pytest.mark.parametrize(
    ("spec", "param"),
    [
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute"),
        ({"nonsense": 1}, "nonsense"),
        ({"budgets": [{"per": "hour", "usd": 1}]}, "budgets.0.per"),
        ({"headers": {"authorization": "x"}}, "headers"),
        ({"headers": {"x-gearbox-quality": "high"}}, "x-gearbox-quality"),
    ],
)
def test_what_is_wrong_with_a_new_key_is_named(admin, spec, param):
    reply = admin.post("/v1/admin/keys", json=spec)
    assert (reply.status_code, error_of(reply)["param"]) == (400, param)


def test_a_wrong_budget_among_right_words_changes_nothing(gearbox, admin):
    key = made(admin, name="before")
    wrong = {"name": "after", "budgets": [{"per": "day", "usd": 1}, {"per": "week"}]}
    replies = admin.patch(f"/v1/admin/keys/{key['id']}", json=wrong), admin.post("/v1/admin/keys", json=wrong)
    assert [(reply.status_code, error_of(reply)["param"]) for reply in replies] == [(400, "budgets")] * 2
    assert [row["name"] for row in gearbox.sql("SELECT name FROM api_key")] == ["before"]
    assert gearbox.sql("SELECT * FROM budget") == []


def test_a_budget_is_set_for_a_key_that_there_is(serve):
    gearbox = serve(master_key=MASTER, keys=[{"key": "static", "id": "fixed"}])
    with client_of(gearbox, MASTER) as admin:
        known = made(admin)["id"]
        asked = [{"key": key, "per": "day", "usd": 1} for key in (known, "fixed", "key-mistyped")]
        statuses = [admin.put("/v1/admin/budgets", json=each).status_code for each in asked]
    assert statuses == [200, 200, 404]


def test_a_spent_budget_is_insufficient_quota_and_openais_client_does_not_retry(gearbox, admin):
    key = made(admin, budgets=[{"per": "day", "usd": 0.0022, "soft_usd": 0.000001}])
    with client_of(gearbox, key["key"]) as client:
        first = chat(client, max_tokens=50)
        assert first.status_code == 200
    asked = []
    transport = httpx.Client(event_hooks={"request": [asked.append]})
    sdk = openai.OpenAI(base_url=f"{gearbox.url}/v1", api_key=key["key"], max_retries=2, http_client=transport)
    question = [{"role": "user", "content": EASY}]
    with sdk as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="large", messages=question, max_tokens=4_000)
    assert caught.value.code == "insufficient_quota"
    assert len(asked) == 1
    assert "resets at" in caught.value.message
    assert caught.value.response.headers["x-should-retry"] == "false"


def test_a_soft_limit_is_a_header_and_a_metric(gearbox, admin):
    key = made(admin, team="soft", budgets=[{"per": "month", "soft_usd": 0.000000001}])
    with client_of(gearbox, key["key"]) as client:
        assert chat(client).headers["x-gearbox-soft-limit"] == f"key:{key['id']}:month"
    assert 'gearbox_budget_soft_total{scope="key"}' in httpx.get(f"{gearbox.url}/metrics").text


def test_settled_spend_is_the_sum_of_the_stored_costs_and_never_more_than_the_cap(gearbox, admin):
    key = made(admin, team="blue", budgets=[{"per": "total", "usd": 0.0001}])
    admin.put("/v1/admin/budgets", json={"team": "blue", "per": "day", "usd": 0.01})
    spent, answers = 0, []
    with client_of(gearbox, key["key"]) as client:
        for _ in range(60):
            answers.append(chat(client, max_tokens=40))
            if answers[-1].status_code != 200:
                break
            spent += nanousd(answers[-1].headers["x-gearbox-cost-usd"])
    assert error_of(answers[-1])["code"] == "insufficient_quota"
    end = time.monotonic() + 5
    while (budgets := admin.get(f"/v1/admin/keys/{key['id']}").json()["budgets"])[0]["reserved_usd"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert [round(each["spent_usd"] * 1e9) for each in budgets] == [spent, spent]
    assert 0 < spent <= 100_000
    (stored,) = gearbox.sql("SELECT sum(cost_nanousd) AS spent FROM inference WHERE key_id = ?", key["id"])
    assert stored["spent"] == spent


def test_the_master_key_spends_from_the_global_budget_like_everybody(gearbox, admin):
    admin.put("/v1/admin/budgets", json={"per": "day", "usd": 0.000001})
    refused = chat(admin)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "insufficient_quota")
    assert "the daily global budget" in error_of(refused)["message"]
    assert gearbox.sql("SELECT spent_nanousd FROM budget") == [{"spent_nanousd": 0}]


def test_without_a_budget_the_ledger_is_not_asked(gearbox, admin):
    with client_of(gearbox, made(admin)["key"]) as client:
        for _ in range(3):
            chat(client)
    assert gearbox.sql("SELECT * FROM reservation") == []


def test_under_a_budget_what_has_no_bound_is_refused(gearbox, admin):
    key = made(admin, budgets=[{"per": "total", "usd": 100}])
    with client_of(gearbox, key["key"]) as client:
        refused = chat(client, tools=[{"type": "web_search"}])
    assert (refused.status_code, error_of(refused)["code"]) == (400, "unboundable_cost")
    assert "this key's budget" in error_of(refused)["message"]


def test_requests_per_minute_are_a_429_with_retry_after(gearbox, admin):
    key = made(admin, limits={"requests_per_minute": 2})
    with client_of(gearbox, key["key"]) as client:
        replies = [chat(client) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert error_of(replies[2])["code"] == "rate_limit_exceeded"
    assert 1 <= int(replies[2].headers["retry-after"]) <= 60


def test_static_keys_take_limits_and_budgets_from_the_configuration(serve):
    key = {"key": "static", "team": "red", "limits": {"requests_per_minute": 1}, "budgets": [{"per": "day", "usd": 9}]}
    gearbox = serve(keys=[key], budgets=[{"team": "red", "per": "month", "usd": 90}, {"per": "total", "soft_usd": 1}])
    with client_of(gearbox, "static") as client:
        assert [chat(client).status_code for _ in range(2)] == [200, 429]
    budgets = {row["id"]: row["limit_nanousd"] for row in gearbox.sql("SELECT * FROM budget")}
    assert budgets == {"key:red-1:day": 9 * 10**9, "team:red:month": 90 * 10**9, "global::total": None}


def test_two_servers_with_other_prices_do_not_share_a_ledger_silently(serve, catalog):
    gearbox = serve()
    other = settings()
    other["tiers"][0]["price"]["input_usd_per_mtok"] = 1.0
    with pytest.raises(ConfigError, match="count different things into one ledger"):
        asyncio.run(started(plan_of(other, gearbox.database, catalog)))
    other["ledger"] = {"mixed_configs": "warn"}
    asyncio.run(started(plan_of(other, gearbox.database, catalog)))


def test_two_servers_without_redis_do_not_each_allow_the_whole_rate_limit(serve, catalog):
    limited = settings(keys=[{"key": "static", "limits": {"requests_per_minute": 1}}])
    gearbox = serve(keys=limited["keys"])
    with pytest.raises(ConfigError, match=r"2 workers share this store .*--workers 2.*redis"):
        asyncio.run(started(plan_of(limited, gearbox.database, catalog)))


async def started(plan):
    async with open_services(plan, embedder=WordEmbedder()):
        pass
