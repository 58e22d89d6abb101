"""A client that leaves before it has its embeddings, and those who ask for the same: as with chats."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from edge_server import plan_of, serving
from two_tiers import config, variables

from router.catalog import Catalog

ROW = "SELECT * FROM inference"
#: At 0.02 USD a million: three tokens that the vendor counts, and the bytes of the body, which is the reservation.
USED_NANOUSD = 60
BODY = {"model": "embed-1", "input": "one"}


@pytest.fixture
def serve(upstream, tmp_path):
    _, url = upstream

    def start(**more):
        embedding = {"model": "embed-1", "api_base": f"{url}/v1", "api_key": "sk-embed", "input_usd_per_mtok": 0.02}
        database = tmp_path / "gearbox.db"
        settings = {**config(url), "embedding": embedding, **more}
        return serving(plan_of(settings, database, Catalog.load(), variables(url)), database)

    return start


def send_and_leave(gearbox, vendor, headers=()):
    """Ask over a raw socket, and close it once the vendor has been asked."""
    body = json.dumps(BODY).encode()
    lines = ["POST /v1/embeddings HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    sent, end = len(vendor.requests), time.monotonic() + 20
    with socket.create_connection(gearbox.address) as raw:
        raw.sendall("\r\n".join(lines).encode() + body)
        while len(vendor.requests) == sent:
            assert time.monotonic() < end, "the vendor was not asked"
            time.sleep(0.01)


def test_a_call_that_ends_while_it_lingers_is_paid(serve, vendor):
    vendor.delay_s = 0.5
    with serve(server={"linger_s": 30}) as gearbox:
        send_and_leave(gearbox, vendor)
        row = gearbox.wait_for_row(ROW, seconds=20)
        (call,) = gearbox.calls(row["id"])
    assert (row["client"], row["stopped"], row["policy"]) == ("disconnected", None, "embeddings")
    assert (call["cost_source"], row["cost_nanousd"]) == ("usage", USED_NANOUSD)


def test_a_call_that_outlives_its_client_too_long_is_hung_up_and_its_reservation_paid(serve, vendor):
    vendor.delay_s = 20
    with serve(server={"linger_s": 0.1}) as gearbox:
        send_and_leave(gearbox, vendor)
        row = gearbox.wait_for_row(ROW, seconds=10)
        (call,) = gearbox.calls(row["id"])
    assert (row["client"], row["stopped"]) == ("disconnected", "client")
    assert call["cost_source"] == "reservation"
    assert row["cost_nanousd"] == call["cost_nanousd"] > USED_NANOUSD


def test_a_server_that_stops_hangs_up_too(serve, vendor):
    vendor.delay_s = 20
    with serve(server={"linger_s": 0.1}) as gearbox:
        send_and_leave(gearbox, vendor)
    assert gearbox.sql(ROW)[0]["client"] == "disconnected"


def test_the_next_try_of_a_client_that_left_joins_the_call_that_is_running(serve, vendor):
    vendor.delay_s = 3.0
    with serve(server={"linger_s": 30}) as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        send_and_leave(gearbox, vendor)
        reply = joined_once_left(client, vendor)
        row = gearbox.wait_for_row(ROW, seconds=20)
        assert len(gearbox.sql(ROW)) == 1
    assert len(vendor.requests) == 1
    assert reply.headers["x-gearbox-cache"] == "joined"
    assert reply.headers["x-request-id"] == row["id"]
    assert len(reply.json()["data"][0]["embedding"]) == 8
    assert reply.json()["usage"]["cost"] == USED_NANOUSD / 1e9


def joined_once_left(client, vendor):
    """The SDK comes back a while after it has closed; by then its leaving has been seen."""
    time.sleep(1)
    return client.post("/v1/embeddings", json=BODY, headers={"x-stainless-retry-count": "1"})


def test_an_idempotency_key_pays_once(serve, vendor):
    headers = {"idempotency-key": "k1"}
    vendor.delay_s = 1.0
    with serve() as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        send_and_leave(gearbox, vendor, ["idempotency-key: k1"])
        reply = client.post("/v1/embeddings", json=BODY, headers=headers)
        other = client.post("/v1/embeddings", json={**BODY, "input": "two"}, headers={"idempotency-key": "k2"})
    assert (reply.status_code, reply.headers["x-gearbox-cache"]) == (200, "joined")
    assert other.headers["x-gearbox-cache"] == "miss"
    assert len(vendor.requests) == 2


def test_an_idempotency_key_pays_once_after_the_answer_and_on_another_server_too(serve, vendor):
    headers = {"idempotency-key": "k1"}
    with serve() as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        first, again = (client.post("/v1/embeddings", json=BODY, headers=headers) for _ in range(2))
    with serve() as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        elsewhere = client.post("/v1/embeddings", json=BODY, headers=headers)
        other = client.post("/v1/embeddings", json={**BODY, "input": "two"}, headers=headers)
    assert len(vendor.requests) == 1
    assert [reply.headers["x-gearbox-cache"] for reply in (first, again, elsewhere)] == ["miss", "joined", "joined"]
    for reply in (again, elsewhere):
        assert reply.headers["x-request-id"] == first.headers["x-request-id"]
        assert reply.headers["x-gearbox-cost-usd"] == first.headers["x-gearbox-cost-usd"]
        assert (reply.json()["data"], reply.json()["usage"]) == (first.json()["data"], first.json()["usage"])
    assert other.json()["error"]["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(("more", "hours"), [({}, 24), ({"x-gearbox-store": "off"}, 0)], ids=["a day", "a minute"])
def test_the_answer_to_an_idempotency_key_is_kept_for(serve, vendor, more, hours):
    with serve() as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        client.post("/v1/embeddings", json=BODY, headers={"idempotency-key": "k1", **more})
        (row,) = gearbox.sql("SELECT (julianday(expires_at) - julianday('now')) * 24 AS hours FROM claim")
    assert round(row["hours"]) == hours


def test_a_keys_rate_limit_counts_embeddings(serve, vendor):
    keys = [{"key": "sk-client", "limits": {"requests_per_minute": 1}}]
    with serve(keys=keys) as gearbox, httpx.Client(base_url=gearbox.url, timeout=30) as client:
        headers = {"authorization": "Bearer sk-client"}
        statuses = [client.post("/v1/embeddings", json=BODY, headers=headers).status_code for _ in range(3)]
    assert statuses == [200, 429, 429]


def test_a_keys_default_headers_hold_for_embeddings(serve, vendor):
    own = {"x-gearbox-tags": "app=search", "x-gearbox-budget-usd": "0.000000001"}
    with serve(keys=[{"key": "sk-client", "headers": own}]) as gearbox:
        with httpx.Client(base_url=gearbox.url, headers={"authorization": "Bearer sk-client"}, timeout=30) as client:
            capped = client.post("/v1/embeddings", json=BODY)
            served = client.post("/v1/embeddings", json=BODY, headers={"x-gearbox-budget-usd": "1"})
        tags = [json.loads(row["tags"]) for row in gearbox.sql(ROW)]
    assert (capped.status_code, capped.json()["error"]["code"]) == (400, "budget_too_small")
    assert (served.status_code, tags) == (200, [{"app": "search"}])


def test_a_keys_budget_counts_embeddings_and_tells_its_soft_limit(serve, vendor):
    budget = {"per": "total", "usd": 1000e-9, "soft_usd": 1e-9}
    with serve(keys=[{"key": "sk-client", "id": "k", "budgets": [budget]}]) as gearbox:
        with httpx.Client(base_url=gearbox.url, headers={"authorization": "Bearer sk-client"}, timeout=30) as client:
            replies = [client.post("/v1/embeddings", json=BODY) for _ in range(2)]
        stops = httpx.get(f"{gearbox.url}/metrics").text
    assert [reply.status_code for reply in replies] == [200, 429]
    assert replies[0].headers["x-gearbox-soft-limit"] == "key:k:total"
    assert replies[1].json()["error"]["code"] == "insufficient_quota"
    assert 'gearbox_budget_soft_total{scope="key"} 1.0' in stops
    assert gearbox.sql("SELECT spent_nanousd, reserved_nanousd FROM budget") == [
        {"spent_nanousd": USED_NANOUSD, "reserved_nanousd": 0}
    ]
