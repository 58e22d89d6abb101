"""Every `x-gearbox-*` header has its effect, and a bad value is a 400 that names it, never ignored."""

from __future__ import annotations

import json

import httpx
import pytest
from edge_server import EASY
from test_request_errors import error_of

from cascade.simulated.problems import problems

#: Beyond small's reach, within large's.
HARDER = [problem.question for problem in problems(3, 60) if 0.7 < problem.difficulty < 0.85]
HARD = HARDER[0]


def chat(http, headers=None, question=EASY, **more):
    body = {"model": "llm-at", "messages": [{"role": "user", "content": question}], **more}
    return http.post("/v1/chat/completions", json=body, headers=headers or {})


BAD = [
    *(
        ("x-gearbox-budget-usd", value)
        for value in ("", "x", "0", "-1", "nan", "inf", "1e-10", "1e7", "1_0", "0,5", "$1", "1e999999999", "1 USD")
    ),
    *(("x-gearbox-budget-end", value) for value in ("", "worst", "BEST", "best,refuse")),
    *(("x-gearbox-quality", value) for value in ("", "high", "-0.1", "1.1", "nan", "inf", "1_0", "70%")),
    *(("x-gearbox-min-tier", value) for value in ("", "tiny", "Small", "small medium")),
    *(("x-gearbox-max-tier", value) for value in ("", "huge", "x" * 300)),
    *(("x-gearbox-max-latency-s", value) for value in ("", "soon", "0", "-1", "nan", "inf", "5s")),
    *(("x-gearbox-stream", value) for value in ("", "fast", "Optimistic", "Hold", "live")),
    *(("x-gearbox-policy", value) for value in ("", "three-tier", "skill", "gpt-4o", "always:huge", "small")),
    *(("x-gearbox-tags", value) for value in ("", "app", "=x", "a=1,a=2", "a b=1", "x=" + "y" * 300)),
    ("x-gearbox-tags", ",".join(f"t{number}=1" for number in range(17))),
    ("x-gearbox-session", ""),
    ("x-gearbox-session", "x" * 256),
    *((name, value) for name in ("x-gearbox-store", "x-gearbox-cache") for value in ("", "no", "false", "OFF")),
    ("idempotency-key", ""),
    ("idempotency-key", "x" * 256),
]


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}={value[:20]}" for name, value in BAD])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_bad_value_is_a_400_that_names_the_header(http, name, value, stream):
    reply = chat(http, {name: value}, stream=stream)
    assert reply.status_code == 400
    assert error_of(reply)["param"] == name


def test_an_unknown_header_of_ours_is_a_400_that_names_those_there_are(http):
    reply = chat(http, {"x-gearbox-budget": "1"})
    assert reply.status_code == 400
    assert "x-gearbox-budget-usd" in error_of(reply)["message"]


@pytest.mark.parametrize(
    ("name", "value", "there_are"),
    [
        ("x-gearbox-policy", "three-tier", ["auto", "llm-at", "two-tier", "always:small"]),
        ("x-gearbox-policy", "skill", ["auto", "llm-at", "skills"]),
        ("x-gearbox-stream", "live", ["hold", "optimistic", "direct", "adaptive"]),
        ("x-gearbox-min-tier", "tiny", ["small", "medium", "large"]),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(http, name, value, there_are):
    message = error_of(chat(http, {name: value}))["message"]
    assert all(word in message for word in there_are)


def test_the_top_cannot_lie_below_the_bottom(http):
    reply = chat(http, {"x-gearbox-min-tier": "large", "x-gearbox-max-tier": "small"})
    assert reply.status_code == 400
    assert error_of(reply)["param"] == "x-gearbox-min-tier"


@pytest.mark.parametrize(
    ("model", "headers"),
    [
        ("large", {"x-gearbox-max-tier": "medium"}),
        ("small", {"x-gearbox-min-tier": "medium"}),
        ("auto", {"x-gearbox-policy": "always:large", "x-gearbox-max-tier": "small"}),
    ],
)
def test_a_tier_that_is_named_and_shut_out_is_a_400(http, model, headers):
    reply = chat(http, headers, model=model)
    assert reply.status_code == 400
    assert error_of(reply)["param"] in headers


def test_the_min_tier_starts_the_cascade(http):
    assert chat(http, {"x-gearbox-min-tier": "medium"}).headers["x-gearbox-attempts"] == "medium:valid"


def test_the_max_tier_ends_it_with_an_unjudged_answer(http):
    reply = chat(http, {"x-gearbox-max-tier": "small"}, HARD)
    assert reply.headers["x-gearbox-attempts"] == "small:unjudged"


def test_hard_questions_climb_to_the_top_where_nobody_judges(http):
    climbs = {chat(http, question=question).headers["x-gearbox-attempts"] for question in HARDER}
    assert "small:invalid,medium:invalid,large:unjudged" in climbs


def test_the_policy_header_overrides_the_model(http):
    reply = chat(http, {"x-gearbox-policy": "always:large"}, model="small")
    assert reply.headers["x-gearbox-policy"] == "always:large"
    assert reply.headers["x-gearbox-attempts"] == "large:unjudged"


@pytest.mark.parametrize(("quality", "start"), [("0.4", "small"), ("0.6", "medium"), ("0.8", "large")])
def test_the_wanted_quality_chooses_the_start(serve, quality, start):
    gearbox = serve(policy={"llm-at": {"cold_start": 0}})
    with httpx.Client(base_url=gearbox.url) as http:
        assert chat(http, {"x-gearbox-quality": quality}).headers["x-gearbox-start-tier"] == start


def test_direct_streams_the_start_tiers_answer_and_asks_no_judge(http, gearbox):
    reply = chat(http, {"x-gearbox-stream": "direct"}, stream=True)
    calls = gearbox.calls(reply.headers["x-request-id"])
    assert [call["purpose"] for call in calls] == ["generate"]
    assert gearbox.row(reply.headers["x-request-id"])["stream_mode"] == "direct"


def test_a_direct_stream_teaches_nothing(http, gearbox):
    request_id = chat(http, {"x-gearbox-stream": "direct"}, stream=True).headers["x-request-id"]
    assert gearbox.sql("SELECT * FROM label WHERE inference_id = ?", request_id) == []


def test_no_call_starts_past_the_latency_and_the_best_so_far_is_served(http):
    slow = {"small": {"fault": "slow_tokens", "seconds": 0.02}}
    reply = chat(http, {"x-gearbox-max-latency-s": "0.05"}, HARD, simulate=slow)
    assert reply.status_code == 200
    assert reply.headers["x-gearbox-attempts"] == "small:unjudged"
    assert reply.headers["x-gearbox-stopped"] == "latency"


def test_a_latency_that_leaves_no_time_for_anything_is_a_504(http):
    reply = chat(http, {"x-gearbox-max-latency-s": "1e-9"})
    assert reply.status_code == 504


def test_tags_and_session_are_stored_and_change_nothing_else(http, gearbox):
    headers = {"x-gearbox-tags": "app=search, feature=faq", "x-gearbox-session": "s-1"}
    row = gearbox.row(chat(http, headers).headers["x-request-id"])
    assert json.loads(row["tags"]) == {"app": "search", "feature": "faq"}
    assert (row["session"], row["team"]) == ("s-1", "default")


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_store_off_keeps_no_text_and_no_embedding_and_learns_nothing(http, gearbox, stream):
    question = "What is 17 + 25, dear unmistakable friend?"
    request_id = chat(http, {"x-gearbox-store": "off"}, question, stream=stream).headers["x-request-id"]
    row = gearbox.row(request_id)
    assert [row[key] for key in ("stored", "question", "question_hash", "embedding")] == [0, None, None, None]
    assert row["cost_nanousd"] > 0
    assert gearbox.sql("SELECT * FROM label WHERE inference_id = ?", request_id) == []
    assert [call["answer"] for call in gearbox.calls(request_id)] == [None, None]
    files = [path.read_bytes() for path in gearbox.database.parent.glob(f"{gearbox.database.name}*") if path.is_file()]
    assert not any(b"unmistakable" in content for content in files)


@pytest.mark.parametrize("headers", [{"x-gearbox-cache": "off"}, {"idempotency-key": "k-1"}, {"x-gearbox-store": "on"}])
def test_headers_of_later_issues_are_accepted(http, headers):
    assert chat(http, headers).headers["x-gearbox-cache"] == "miss"


def test_the_response_headers_tell_the_story(http):
    reply = chat(http, {"x-gearbox-budget-usd": "1"})
    told = {name.removeprefix("x-gearbox-"): value for name, value in reply.headers.items() if "x-gearbox" in name}
    assert told.keys() == {
        *("policy", "start-tier", "tier", "model", "attempts", "p-valid", "cost-usd", "baseline-usd", "saved-usd"),
        *("budget-left-usd", "cache", "overhead-ms"),
    }
    assert (told["policy"], told["start-tier"], told["tier"]) == ("llm-at", "small", "small")
    assert 0 < float(told["p-valid"]) < 1
    assert float(told["overhead-ms"]) < 1000


def test_a_held_stream_names_its_policy_in_its_headers(http):
    assert chat(http, stream=True).headers["x-gearbox-policy"] == "llm-at"
