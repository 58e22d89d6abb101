"""Where embedding a question is paid for, it is a paid call: within the cap and the budgets, told, and stored."""

from __future__ import annotations

import httpx
import pytest
from edge_server import plan_of, serving
from two_tiers import config, variables

from router.catalog import Catalog
from router.embedding_remote import OpenAIEmbedder
from router.errors import BudgetTooSmall

KEY = {"key": "sk-client", "id": "k", "budgets": [{"per": "total", "usd": 1}]}
FREE = {"key": "sk-free", "id": "free"}
BODY = {"model": "llm-at", "messages": [{"role": "user", "content": "one"}], "max_tokens": 20}
#: Three tokens that the vendor counts, at 20 USD a million.
USED_NANOUSD = 60_000


@pytest.fixture
def serve(upstream, vendor, tmp_path):
    _, url = upstream

    def start(usd=20.0):
        client = httpx.AsyncClient(timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
        embedder = OpenAIEmbedder(f"{url}/v1", "sk-embed", "embed-1", client, dimensions=8)
        embedding = {"model": "embed-1", "api_base": f"{url}/v1"} | ({} if usd is None else {"input_usd_per_mtok": usd})
        database = tmp_path / "gearbox.db"
        told = plan_of(
            {**config(url), "embedding": embedding, "keys": [KEY, FREE]}, database, Catalog.load(), variables(url)
        )
        return serving(told, database, embedder)

    return start


def client_of(gearbox):
    return httpx.Client(base_url=gearbox.url, headers={"authorization": "Bearer sk-client"}, timeout=20)


def ask(client, path="/v1/chat/completions", **headers):
    return client.post(path, json=BODY, headers={name.replace("_", "-"): text for name, text in headers.items()})


def embedded(vendor):
    return sum(each.path.endswith("/embeddings") for each in vendor.requests)


def test_it_is_told_stored_and_counted_in_every_budget(serve, vendor):
    with serve() as gearbox, client_of(gearbox) as client:
        reply = ask(client)
        row, calls = gearbox.row(reply.headers["x-request-id"]), gearbox.calls(reply.headers["x-request-id"])
        metrics = client.get("/metrics").text
    (paid,) = [call for call in calls if call["purpose"] == "embed"]
    assert (reply.status_code, embedded(vendor)) == (200, 1)
    assert (paid["cost_nanousd"], paid["cost_source"], paid["rung"]) == (USED_NANOUSD, "usage", None)
    assert row["cost_nanousd"] == sum(call["cost_nanousd"] for call in calls) > USED_NANOUSD
    assert round(float(reply.headers["x-gearbox-cost-usd"]) * 1e9) == row["cost_nanousd"]
    assert gearbox.sql("SELECT spent_nanousd FROM budget") == [{"spent_nanousd": row["cost_nanousd"]}]
    assert 'gearbox_cost_usd_total{purpose="embed",tier="embedding"} 6e-05' in metrics


def test_a_cap_that_does_not_pay_for_it_and_an_answer_pays_for_the_answer(serve, vendor):
    with serve() as gearbox, client_of(gearbox) as client:
        least = ask(client, x_gearbox_budget_usd="0.000000001")
        assert least.json()["error"]["code"] == "budget_too_small"
        reply = ask(client, x_gearbox_budget_usd="0.00015")
        story = client.get(f"/v1/decisions/{reply.headers['x-request-id']}").json()
    assert (reply.status_code, embedded(vendor)) == (200, 0)
    assert "BudgetTooSmall" in story["evidence"]["note"]
    assert story["cost_nanousd"] <= 150_000


def test_a_dry_run_spends_nothing_on_it(serve, vendor):
    with serve() as gearbox, client_of(gearbox) as client:
        dry = ask(client, "/v1/route")
    assert (dry.status_code, embedded(vendor)) == (200, 0)
    assert "could not be embedded" in dry.json()["evidence"]["note"]


def test_its_failure_costs_nobody_an_answer_and_no_money_that_was_not_billed(serve, vendor):
    vendor.failing = "embed-1"
    with serve() as gearbox, client_of(gearbox) as client:
        reply = ask(client)
        calls = gearbox.calls(reply.headers["x-request-id"])
    (failed,) = [call for call in calls if call["purpose"] == "embed"]
    assert reply.status_code == 200
    assert (failed["cost_nanousd"], failed["cost_source"]) == (0, "none")
    assert failed["error"]


def test_what_was_paid_for_it_is_recorded_where_nobody_could_be_asked(serve, vendor, monkeypatch):
    async def nobody(*_):
        raise BudgetTooSmall("nobody can be asked")

    monkeypatch.setattr("cascade.runner.Runner.run", nobody)
    with serve() as gearbox, client_of(gearbox) as client:
        refused = ask(client)
        (row,) = gearbox.sql("SELECT * FROM inference")
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "budget_too_small")
    assert (row["id"], row["cost_nanousd"]) == (refused.headers["x-request-id"], USED_NANOUSD)
    assert gearbox.sql("SELECT spent_nanousd FROM budget") == [{"spent_nanousd": USED_NANOUSD}]


#: What it costs, whose key, and whether it is embedded then.
UNCOUNTED = {
    "free": (0.0, "sk-client", True),
    "of no known price, without a budget": (None, "sk-free", True),
    "of no known price, which no budget can hold": (None, "sk-client", False),
}


@pytest.mark.parametrize(("usd", "key", "asked"), UNCOUNTED.values(), ids=UNCOUNTED.keys())
def test_nothing_is_counted_where_it_is(serve, vendor, usd, key, asked):
    with serve(usd) as gearbox, client_of(gearbox) as client:
        reply = ask(client, authorization=f"Bearer {key}")
        purposes = {call["purpose"] for call in gearbox.calls(reply.headers["x-request-id"])}
    assert (reply.status_code, purposes) == (200, {"generate", "judge"})
    assert embedded(vendor) == asked
