"""The operator's verifiers at work: before the judge, instead of it, and told everywhere."""

from __future__ import annotations

import json
import sys

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from test_money import samples
from test_request_headers import chat

#: small says 42; a verifier that wants a letter sends every answer up.
VERIFIERS = [
    {
        "name": "two-digits",
        "kind": "regex",
        "pattern": r"\b\d\d\b",
        "replaces_judge": True,
        "match": {"tag": "ask=two"},
    },
    {"name": "no-digits", "kind": "regex", "pattern": r"\d", "expect": "no_match", "match": {"tag": "ask=none"}},
    {"name": "second-opinion", "kind": "regex", "pattern": r"\d", "match": {"tag": "ask=soft"}},
    {
        "name": "crashes",
        "kind": "command",
        "command": [sys.executable, "-c", "raise SystemExit(7)"],
        "replaces_judge": True,
        "match": {"tag": "ask=crash"},
    },
    {
        "name": "by-command",
        "kind": "command",
        "command": [sys.executable, "-c", "import sys; sys.exit(0 if '42' in sys.stdin.read() else 1)"],
        "replaces_judge": True,
        "match": {"model": "gpt-4o"},
    },
    {
        "name": "order",
        "kind": "json_schema",
        "schema": {"type": "object", "required": ["certainly-not-there"]},
        "match": {"schema": "order"},
    },
]


@pytest.fixture(scope="module")
def verifying(catalog, tmp_path_factory):
    database = tmp_path_factory.mktemp("verifying") / "gearbox.db"
    with serving(plan_of(config(verifiers=VERIFIERS), database, catalog), database) as running:
        yield running


@pytest.fixture(scope="module")
def asking(verifying):
    with httpx.Client(base_url=verifying.url, timeout=20) as http:
        yield http


def tagged(word, **more):
    return {"x-gearbox-tags": f"ask={word}", **more}


def story(http, reply):
    return http.get(f"/v1/decisions/{reply.headers['x-request-id']}").json()


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_yes_replaces_the_judge_and_its_price(asking, stream):
    reply = chat(asking, tagged("two"), EASY, stream=stream)
    (attempt,) = story(asking, reply)["attempts"]
    assert (attempt["verdict"], attempt["verdict_by"]) == ("valid", "verifier:two-digits")
    assert [call["purpose"] for call in attempt["calls"]] == ["generate"]


def test_a_no_shifts_up_without_a_judge_and_the_top_is_the_last_resort(asking):
    reply = chat(asking, tagged("none"), EASY)
    assert reply.headers["x-gearbox-attempts"] == "small:invalid,medium:invalid,large:invalid"
    told = story(asking, reply)
    assert {attempt["verdict_by"] for attempt in told["attempts"]} == {"verifier:no-digits"}
    assert {call["purpose"] for attempt in told["attempts"] for call in attempt["calls"]} == {"generate"}
    assert [label["correct"] for label in told["labels"]] == [0.0, 0.0, 0.0]


def test_a_yes_that_does_not_replace_the_judge_leaves_it_the_last_word(asking):
    told = story(asking, chat(asking, tagged("soft"), EASY))
    assert told["attempts"][0]["verdict_by"] == "judge:medium"
    assert [(check["verifier"], check["outcome"]) for check in told["evidence"]["checks"]] == [
        ("second-opinion", "valid")
    ]


def test_one_that_fails_abstains_with_its_reason_and_the_judge_decides(asking):
    told = story(asking, chat(asking, tagged("crash"), EASY))
    (check,) = told["evidence"]["checks"]
    assert (check["outcome"], check["reason"]) == ("abstained", "the command ended with 7")
    assert told["attempts"][0]["verdict_by"] == "judge:medium"


def test_the_model_name_and_the_schemas_name_choose_verifiers(asking):
    assert story(asking, chat(asking, {}, EASY, model="gpt-4o"))["attempts"][0]["verdict_by"] == "verifier:by-command"
    schema = {"name": "order", "schema": {"type": "object", "properties": {"n": {"type": "integer"}}}}
    wanted = {"type": "json_schema", "json_schema": schema}
    reply = chat(asking, {}, EASY, response_format=wanted)
    assert "small:invalid" in reply.headers["x-gearbox-attempts"]
    assert story(asking, reply)["attempts"][0]["verdict_by"] == "verifier:order"


def test_a_dry_run_names_the_verifiers_ahead(asking):
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}
    assert asking.post("/v1/route", json=body, headers=tagged("two")).json()["verifiers"] == ["two-digits"]


def test_outcomes_are_counted(asking):
    chat(asking, tagged("crash"), EASY)
    counted = samples(asking.get("/metrics").text, "gearbox_verifier_outcomes_total")
    assert counted['{outcome="abstained",verifier="crashes"}'] >= 1


def test_nobody_looks_at_what_a_client_asked_for_by_tier_or_unjudged(asking, verifying):
    for more, model in (({}, "small"), ({"x-gearbox-stream": "direct"}, "llm-at")):
        reply = chat(asking, tagged("none", **more), EASY, model=model)
        assert reply.headers["x-gearbox-attempts"] == "small:unjudged"
        assert json.loads(verifying.row(reply.headers["x-request-id"])["evidence"])["checks"] == []


def test_an_optimistic_stream_is_verified_after_its_last_byte_and_without_a_judge(asking, verifying):
    reply = chat(asking, tagged("two", **{"x-gearbox-stream": "optimistic"}), EASY, stream=True)
    late = "SELECT * FROM inference WHERE id = ? AND json_extract(evidence, '$.late') IS NOT NULL"
    row = verifying.wait_for_row(late, reply.headers["x-request-id"])
    found = json.loads(row["evidence"])["late"]
    assert (found["verdict"], found["by"]) == ("valid", "verifier:two-digits")
    assert [check["verifier"] for check in found["checks"]] == ["two-digits"]
    assert row["late_cost_nanousd"] == 0
