"""Outcome -> rows: what is kept of a request, checked without any database."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import pytest
from outcomes import QUESTION, accepted_large, build_outcome, failed_outcome, paid_call, rejected_small

from router.domain import Deliver, Purpose, Request, Stop, Verdict
from router.errors import UpstreamRejected
from storage.history import clean
from storage.history.rows import bare_id, rows_of
from storage.schema import attempt, inference, label


def test_rows_have_exactly_the_columns_of_the_schema():
    rows = rows_of(build_outcome())
    assert set(rows.inference) == {column.name for column in inference.c}
    assert {frozenset(row) for row in rows.attempts} == {frozenset(column.name for column in attempt.c)}
    assert {frozenset(row) for row in rows.labels} == {frozenset(c.name for c in label.c if c.name != "id")}


def test_calls_are_numbered_in_the_order_they_were_made():
    outcome = build_outcome(extra_calls=(paid_call("small", Purpose.EMBED),))
    rows = rows_of(outcome).attempts
    assert [row["position"] for row in rows] == [0, 1, 2, 3, 4]
    assert [row["rung"] for row in rows] == [None, 0, 0, 0, 1]
    assert [row["cost_nanousd"] for row in rows] == [call.cost_nanousd for call in outcome.calls]


def test_a_judge_that_failed_is_an_error_and_its_answer_stays_unjudged():
    judge = paid_call("large", Purpose.JUDGE)
    rung = replace(rejected_small(), verdict=Verdict.UNJUDGED, verdict_by="failed:large", judge_calls=(judge,))
    rows = rows_of(build_outcome(attempts=(rung,))).attempts
    assert [row["verdict"] for row in rows] == ["error", "unjudged", "error"]


def test_only_the_last_of_a_judges_tries_carries_its_verdict():
    judge = paid_call("large", Purpose.JUDGE)
    rung = replace(rejected_small(), judge_calls=(replace(judge, error="503"), judge))
    rows = rows_of(build_outcome(attempts=(rung,))).attempts
    assert [row["verdict"] for row in rows] == ["error", "invalid", "error", "invalid"]


def test_an_abstention_carries_who_said_so():
    rung = replace(accepted_large(), verdict=Verdict.ABSTAINED, verdict_by="answer")
    (row,) = rows_of(build_outcome(attempts=(rung,))).attempts
    assert (row["verdict"], row["verdict_by"]) == ("abstained", "answer")


def test_a_rung_that_never_made_a_call_still_has_a_row():
    rows = rows_of(failed_outcome()).attempts
    assert [(row["tier"], row["model"], row["cost_nanousd"]) for row in rows][1] == ("large", "", 0)


def test_the_question_is_kept_with_its_hash():
    row = rows_of(build_outcome()).inference
    assert row["question"] == QUESTION
    assert row["question_hash"] == hashlib.sha256(QUESTION.encode()).hexdigest()


def test_store_off_leaves_every_text_column_empty():
    rows = rows_of(build_outcome(store=False))
    kept = ("question", "question_hash", "embedding", "embedding_model", "error")
    assert [rows.inference[name] for name in kept] == [None] * 5
    assert {row[name] for row in rows.attempts for name in ("answer", "final_answer", "reason")} == {None}
    assert rows.labels == ()


def test_the_stream_mode_is_kept_only_where_the_client_streamed():
    outcome = build_outcome()
    quiet = replace(outcome, request=replace(outcome.request, body={"stream": False}))
    assert rows_of(outcome).inference["stream_mode"] == "hold"
    assert rows_of(quiet).inference["stream_mode"] is None
    assert isinstance(quiet.request, Request)


def test_a_vendors_own_status_is_kept():
    error = UpstreamRejected("too long", status=413, body={})
    assert rows_of(failed_outcome(error=error)).inference["http_status"] == 413
    assert rows_of(build_outcome()).inference["http_status"] == 200


def test_why_a_best_so_far_answer_was_served_is_kept():
    outcome = build_outcome(delivered=Deliver(0, "cap reached", Stop.BUDGET))
    assert rows_of(outcome).inference["stopped"] == "budget"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("plain", "plain"), ("a\x00b", "a\ufffdb"), ("\ud83d\ude00", "😀"), ("x\udc00y", "x\ufffdy"), ("é😀", "é😀")],
    ids=ascii,
)
def test_text_is_made_fit_for_every_database(given, kept):
    assert clean.text(given) == kept


def test_json_is_made_fit_for_every_database():
    odd = {1: (Verdict.VALID, math.inf), "s": frozenset({"b", "a"}), "n": [None, True, 2**80], "o": ValueError("x\x00")}
    assert clean.json_ready(odd) == {
        "1": ["valid", None],
        "s": ["a", "b"],
        "n": [None, True, 2**80],
        "o": "x\ufffd",
    }


def test_openais_prefix_is_taken_off_an_id():
    assert bare_id("chatcmpl-abc") == bare_id("abc") == "abc"
