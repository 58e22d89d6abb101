"""Keys, limits and budgets while requests run: what is let in, what is given back, and what a change means for both."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from test_clients_that_leave import PATIENT, send_and_leave
from test_money import nanousd
from test_request_errors import error_of
from test_request_headers import chat
from test_virtual_keys import MASTER, client_of, made

SLOW = {"small": {"fault": "slow_first_token", "seconds": 1.0}}
HANGING = {"small": "timeout"}
ROW = "SELECT * FROM inference"


@pytest.fixture
def gearbox(serve):
    return serve(**PATIENT, master_key=MASTER, server={"linger_s": 0.1})


@pytest.fixture
def admin(gearbox):
    with client_of(gearbox, MASTER) as client:
        yield client


def leaving(gearbox, key, **more):
    """Ask, close the connection, and wait until that has ended."""
    send_and_leave(gearbox, 0.3, [f"authorization: Bearer {key}"], **more)
    gearbox.wait_for_row(ROW)


def standing(admin, key, end_s=10):
    """(spent, reserved) of a key's one budget in nano-dollars, once nothing is reserved any more."""
    end = time.monotonic() + end_s
    while (found := admin.get(f"/v1/admin/keys/{key['id']}").json()["budgets"][0])["reserved_usd"]:
        assert time.monotonic() < end, found
        time.sleep(0.05)
    return round(found["spent_usd"] * 1e9)


def test_a_client_that_leaves_gives_its_place_back(gearbox, admin):
    key = made(admin, limits={"concurrent_requests": 1})
    with client_of(gearbox, key["key"]) as client, ThreadPoolExecutor(1) as other:
        running = other.submit(leaving, gearbox, key["key"], simulate=HANGING)
        end = time.monotonic() + 10
        while not gearbox.sql(ROW):
            refused = chat(client) if not running.done() else None
            assert time.monotonic() < end
            if refused is not None and refused.status_code == 429:
                assert "1 requests at the same time" in error_of(refused)["message"]
                break
        running.result()
        assert chat(client).status_code == 200


def test_a_call_that_was_cut_counts_as_the_tokens_it_may_have_used(gearbox, admin):
    key = made(admin, limits={"tokens_per_minute": 2_000})
    leaving(gearbox, key["key"], simulate=HANGING, max_tokens=1_500)
    with client_of(gearbox, key["key"]) as client:
        refused = chat(client, max_tokens=1_500)
    assert (refused.status_code, error_of(refused)["code"]) == (429, "rate_limit_exceeded")
    assert "2000 tokens per minute" in error_of(refused)["message"]


def test_a_streams_tokens_count_once_it_has_ended(gearbox, admin):
    key = made(admin, limits={"tokens_per_minute": 60})
    with client_of(gearbox, key["key"]) as client:
        assert chat(client, stream=True).status_code == 200
        assert chat(client).status_code == 429


@pytest.mark.parametrize("ending", ["rotate", "revoke"])
def test_a_key_that_ends_while_its_request_runs_still_pays_for_it(gearbox, admin, ending):
    key = made(admin, budgets=[{"per": "total", "usd": 1}])
    place = f"/v1/admin/keys/{key['id']}"
    with client_of(gearbox, key["key"]) as client, ThreadPoolExecutor(1) as other:
        running = other.submit(chat, client, simulate=SLOW, stream=True)
        end = time.monotonic() + 10
        while not admin.get(place).json()["budgets"][0]["reserved_usd"]:
            assert time.monotonic() < end
        ended = admin.post(f"{place}/rotate") if ending == "rotate" else admin.delete(place)
        assert (ended.status_code, chat(client).status_code) == (200, 401)
        assert running.result().status_code == 200
    row = gearbox.wait_for_row(ROW)
    assert (row["client"], row["key_id"]) == ("answered", key["id"])
    assert standing(admin, key) == row["cost_nanousd"] > 0


@pytest.mark.parametrize("smallest", ["key", "team", "global"])
def test_of_a_keys_a_teams_and_everybodys_budget_the_smallest_binds_and_is_named(gearbox, admin, smallest):
    usd = {name: 1e-6 if name == smallest else 1 for name in ("key", "team", "global")}
    key = made(admin, team="blue", budgets=[{"per": "day", "usd": usd["key"]}])
    admin.put("/v1/admin/budgets", json={"team": "blue", "per": "week", "usd": usd["team"]})
    admin.put("/v1/admin/budgets", json={"per": "month", "usd": usd["global"]})
    with client_of(gearbox, key["key"]) as client:
        refused = chat(client)
    words = {"key": f"the daily budget of key {key['id']}", "team": "the weekly budget of team blue"}
    assert (refused.status_code, error_of(refused)["code"]) == (429, "insufficient_quota")
    assert words.get(smallest, "the monthly global budget") in error_of(refused)["message"]


def test_a_budget_binds_from_when_it_is_set_and_a_changed_limit_within_seconds(gearbox, admin):
    key = made(admin)
    budget = {"key": key["id"], "per": "total"}
    with client_of(gearbox, key["key"]) as client:
        assert chat(client).status_code == 200
        admin.put("/v1/admin/budgets", json={**budget, "usd": 0})
        assert error_of(chat(client))["code"] == "insufficient_quota"
        for usd, status in ((1, 200), (0, 429)):  # what was borrowed under the old limit may still be spent
            admin.put("/v1/admin/budgets", json={**budget, "usd": usd})
            end = time.monotonic() + 10
            while chat(client).status_code != status:
                assert time.monotonic() < end
        admin.delete(f"/v1/admin/budgets/key:{key['id']}:total")
        assert chat(client).status_code == 200


def test_a_limit_that_is_lowered_while_a_call_runs_lets_it_end_and_nothing_after_it(gearbox, admin):
    key = made(admin, budgets=[{"per": "total", "usd": 1}])
    with client_of(gearbox, key["key"]) as client, ThreadPoolExecutor(1) as other:
        running = other.submit(chat, client, simulate=SLOW, model="small")
        end = time.monotonic() + 10
        while not admin.get(f"/v1/admin/keys/{key['id']}").json()["budgets"][0]["reserved_usd"]:
            assert time.monotonic() < end
        admin.put("/v1/admin/budgets", json={"key": key["id"], "per": "total", "usd": 0.000000001})
        answered = running.result()
        assert answered.status_code == 200
        assert standing(admin, key) == nanousd(answered.headers["x-gearbox-cost-usd"])
        assert error_of(chat(client))["code"] == "insufficient_quota"


USER = [{"role": "user", "content": "Hi"}]
ROUTES = {
    "/v1/chat/completions": {"messages": USER},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/route": {"messages": USER},
}


@pytest.mark.parametrize("path", ROUTES)
def test_what_a_key_may_not_use_is_refused_on_every_route_and_under_every_name(serve, path):
    own = {"key": "limited", "policies": ["llm-at"], "tiers": ["small"]}
    gearbox = serve(keys=[own], aliases={"big": "large", "best": "two-tier", "mine": "small"})
    with client_of(gearbox, "limited") as client:
        for model in ("large", "always:large", "big", "auto", "two-tier", "best", "agreement"):
            refused = client.post(path, json={"model": model, **ROUTES[path]})
            assert (refused.status_code, error_of(refused)["code"]) == (403, "not_allowed"), model
        for policy in ("always:large", "two-tier"):
            asked = {"model": "llm-at", **ROUTES[path]}
            refused = client.post(path, json=asked, headers={"x-gearbox-policy": policy})
            assert error_of(refused)["code"] == "not_allowed", policy
        for model in ("llm-at", "small", "mine"):
            assert client.post(path, json={"model": model, **ROUTES[path]}).status_code == 200, model
    assert {row["tier"] for row in gearbox.sql("SELECT tier FROM attempt")} <= {"small"}
