"""A bug of ours in the middle of a run: the client gets an error, and what was paid until then is in the store."""

from __future__ import annotations

import httpx
import pytest
from edge_server import EASY
from test_request_errors import error_of
from test_request_headers import chat

#: A status is held back for as long as it takes, so that each failure has its own, on the slowest machine.
PATIENT = {"server": {"hold_status_s": 300}, "timeouts": {"first_token_s": 60, "total_s": 60}}
ROW = "SELECT * FROM inference"
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def breaks(monkeypatch, where):
    def bug(*_given, **_more):
        raise RuntimeError("a bug")

    monkeypatch.setattr(where, bug)


def asked(gearbox, **more):
    with httpx.Client(base_url=gearbox.url, timeout=120) as http:
        return chat(http, **more)


@both
@pytest.mark.parametrize(
    ("where", "purposes"),
    [
        ("cascade.generator.is_abstention", ["generate"]),
        ("cascade.judge.read_verdict", ["generate", "judge"]),
        ("cascade.upstreams.openai_compat.translate", ["generate"]),
    ],
    ids=["behind a paid answer", "behind a paid verdict", "before anything was sent"],
)
def test_a_bug_in_a_run_is_a_500_and_what_was_paid_is_stored(serve, monkeypatch, stream, where, purposes):
    gearbox = serve(**PATIENT)
    breaks(monkeypatch, where)
    reply = asked(gearbox, stream=stream)
    row = gearbox.row(reply.headers["x-request-id"])
    calls = gearbox.calls(row["id"])
    assert reply.status_code == 500
    assert row["id"] in error_of(reply)["message"]
    assert [call["purpose"] for call in calls] == purposes
    assert row["cost_nanousd"] == sum(call["cost_nanousd"] for call in calls) > 0
    assert (row["served_tier"], row["error_type"]) == (None, "InternalFault")


def test_a_bug_in_what_a_run_teaches_costs_nobody_their_answer(serve, monkeypatch):
    gearbox = serve(**PATIENT)
    breaks(monkeypatch, "cascade.engine.labels")
    reply = asked(gearbox, stream=False)
    row = gearbox.row(reply.headers["x-request-id"])
    assert (reply.status_code, row["served_tier"], row["error_type"]) == (200, "small", None)
    assert gearbox.sql("SELECT * FROM label") == []


def test_a_bug_behind_a_paid_late_verdict_is_paid_all_the_same(serve, monkeypatch):
    gearbox = serve(**PATIENT)
    breaks(monkeypatch, "cascade.judge.read_verdict")
    reply = asked(gearbox, question=EASY, stream=True, headers={"x-gearbox-stream": "optimistic"})
    assert reply.text.endswith("data: [DONE]\n\n")
    row = gearbox.wait_for_row(f"{ROW} WHERE late_cost_nanousd > 0", seconds=60)
    assert [call["purpose"] for call in gearbox.calls(row["id"])] == ["generate", "judge"]
