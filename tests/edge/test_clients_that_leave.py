"""A client that leaves: no new paid call starts, the running one lives `linger_s` more, and what it cost is stored."""

from __future__ import annotations

import json
import socket
import time

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from test_money import samples

#: Longer than any test; only lingering ends a call here.
PATIENT = {"timeouts": {"first_token_s": 30, "total_s": 30}}
ROW = "SELECT * FROM inference"


def send_and_leave(gearbox, after_s, headers=(), **more):
    """Ask over a raw socket and close it after a while, whatever came."""
    body = json.dumps({"model": "llm-at", "messages": [{"role": "user", "content": EASY}], **more}).encode()
    lines = ["POST /v1/chat/completions HTTP/1.1", "host: x", f"content-length: {len(body)}", *headers, "", ""]
    with socket.create_connection(gearbox.address) as raw:
        raw.sendall("\r\n".join(lines).encode() + body)
        time.sleep(after_s)


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
def test_a_call_that_ends_while_it_lingers_is_paid_and_no_other_starts(serve, stream):
    gearbox = serve(**PATIENT, server={"linger_s": 10})
    send_and_leave(gearbox, 0.2, stream=stream, simulate={"small": {"fault": "slow_first_token", "seconds": 0.6}})
    row = gearbox.wait_for_row(ROW)
    (call,) = gearbox.calls(row["id"])
    assert (row["client"], row["stopped"]) == ("disconnected", "client")
    assert (call["purpose"], call["cost_source"]) == ("generate", "usage")
    assert row["cost_nanousd"] == call["cost_nanousd"] > 0
    assert 0.5 < call["latency_s"] < 5


@both
def test_a_call_that_outlives_its_client_too_long_is_hung_up_and_its_reservation_paid(serve, stream):
    gearbox = serve(**PATIENT, server={"linger_s": 0.3})
    send_and_leave(gearbox, 0.2, stream=stream, simulate={"small": "timeout"})
    row = gearbox.wait_for_row(ROW)
    (call,) = gearbox.calls(row["id"])
    assert row["client"] == "disconnected"
    assert call["cost_source"] == "reservation"
    assert row["cost_nanousd"] == call["cost_nanousd"] > 0
    assert 0.4 < call["latency_s"] < 3


def test_leaving_a_live_stream_ends_it_after_linger_s(serve):
    gearbox = serve(**PATIENT, server={"linger_s": 0.2})
    slow = {"small": {"fault": "endless_stream", "seconds": 0.05}}
    send_and_leave(gearbox, 0.5, ["x-gearbox-stream: direct"], stream=True, simulate=slow)
    row = gearbox.wait_for_row(ROW)
    assert row["client"] == "disconnected"
    assert [call["purpose"] for call in gearbox.calls(row["id"])] == ["generate"]


def test_a_client_that_leaves_while_its_answer_is_judged_has_paid_for_both_calls(serve):
    tiers = config()["tiers"]
    tiers[1]["deployments"] = [{"model": "simulated/medium+slow_first_token"}]
    gearbox = serve(**PATIENT, server={"linger_s": 10}, tiers=tiers)
    send_and_leave(gearbox, 0.5)
    row = gearbox.wait_for_row(ROW)
    assert [call["purpose"] for call in gearbox.calls(row["id"])] == ["generate", "judge"]
    assert row["client"] == "disconnected"


def test_a_client_that_left_is_counted_as_such(serve):
    gearbox = serve(**PATIENT, server={"linger_s": 0.1})
    send_and_leave(gearbox, 0.1, simulate={"small": "timeout"})
    gearbox.wait_for_row(ROW)
    counted = samples(httpx.get(f"{gearbox.url}/metrics").text, "gearbox_requests")
    assert [(count, "disconnected" in labels) for labels, count in counted.items()] == [(1.0, True)]


def test_a_server_that_stops_waits_no_longer_than_a_call_may_linger(catalog, tmp_path):
    database = tmp_path / "stopping.db"
    with serving(plan_of(config(**PATIENT, server={"linger_s": 0.3}), database, catalog), database) as gearbox:
        send_and_leave(gearbox, 0.2, stream=True, simulate={"small": "timeout"})
        started = time.monotonic()
    assert time.monotonic() - started < 5
    assert gearbox.sql(ROW)[0]["client"] == "disconnected"


def test_a_server_that_stops_waits_for_the_answers_under_way(catalog, tmp_path):
    database = tmp_path / "stopping.db"
    with serving(plan_of(config(**PATIENT), database, catalog), database) as gearbox:
        send_and_leave(gearbox, 0.2, simulate={"small": {"fault": "slow_first_token", "seconds": 0.5}})
    assert gearbox.sql(ROW)[0]["client"] == "disconnected"
