"""Whatever an upstream does: a right answer from elsewhere or the right error; no hang, no 200 with nothing in it."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field

import httpx
import openai
import pytest
from edge_server import EASY, EASY_ANSWER, config, plan_of, serving
from test_request_errors import error_of

from cascade.simulated.faults import FAULTS

#: Every request of this file ends within this, however many tiers were tried.
SECONDS = 10
RETRIES = {**config()["retries"], "attempts": 1}
QUICK = {"timeouts": {"first_token_s": 0.25, "total_s": 0.5}, "retries": RETRIES}
NOT_RATE_LIMITED = [fault for fault in FAULTS if fault != "rate_limit"]
#: All tiers have the fault: the status where none of it was streamed; 200 = the best there is.
STATUS = {
    "rate_limit": (429, "rate_limit_exceeded"),
    "server_error": (503, "upstream_unavailable"),
    "unavailable": (503, "upstream_unavailable"),
    "auth": (502, "upstream_bad_reply"),
    "not_found": (502, "upstream_bad_reply"),
    "bad_request": (400, None),
    "context_overflow": (400, "context_length_exceeded"),
    "timeout": (504, "upstream_timeout"),
    "slow_first_token": (504, "upstream_timeout"),
    "slow_tokens": (504, "upstream_timeout"),
    "endless_stream": (504, "upstream_timeout"),
    "cut_stream": (502, "upstream_bad_reply"),
    "error_in_stream": (503, "upstream_unavailable"),
    "malformed_json": (502, "upstream_bad_reply"),
    "wrong_content_type": (502, "upstream_bad_reply"),
    "empty_answer": (502, "upstream_bad_reply"),
    "no_usage": (200, None),
    "truncated": (200, None),
    "content_filter": (200, None),
    "refusal": (200, None),
}
#: On the top tier these strike when part of the answer is at the client already.
MIDWAY = {"slow_tokens", "endless_stream", "cut_stream", "error_in_stream", "malformed_json"}


@dataclass
class Told:
    """What a client was told: its status and either an answer or an error, and how the stream ended."""

    status: int
    text: str = ""
    error: dict | None = None
    done: bool = True
    headers: httpx.Headers = field(default_factory=httpx.Headers)


def ask(gearbox, faults, *, stream, model="llm-at") -> Told:
    body = {"model": model, "messages": [{"role": "user", "content": EASY}], "stream": stream}
    body |= {} if faults is None else {"simulate": faults}
    started = time.monotonic()
    reply = httpx.post(f"{gearbox.url}/v1/chat/completions", json=body, timeout=SECONDS)
    assert time.monotonic() - started < SECONDS
    if reply.status_code != 200:
        return Told(reply.status_code, error=error_of(reply), headers=reply.headers)
    if not stream:
        message = reply.json()["choices"][0]["message"]
        return Told(200, message["content"] or message["refusal"] or "", headers=reply.headers)
    return told_by(reply)


def told_by(reply: httpx.Response) -> Told:
    events = [event.removeprefix("data: ") for event in reply.text.split("\n\n") if event.startswith("data: ")]
    done = events[-1] == "[DONE]"
    chunks = [json.loads(event) for event in events[: -1 if done else None]]
    errors = [chunk["error"] for chunk in chunks if "error" in chunk]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk.get("choices") or ()]
    text = "".join(delta.get("content") or delta.get("refusal") or "" for delta in deltas)
    assert "error" not in [*chunks[:-1]], "an error is the last event"
    return Told(200, text, errors[0] if errors else None, done=done, headers=reply.headers)


@pytest.fixture(scope="module")
def gearbox(catalog, tmp_path_factory):
    database = tmp_path_factory.mktemp("faults") / "gearbox.db"
    with serving(plan_of(config(**QUICK), database, catalog), database) as running:
        yield running


def check_start_tier(gearbox, fault, *, stream):
    told = ask(gearbox, {"small": fault}, stream=stream)
    if fault == "bad_request":
        assert (told.status, told.error["message"]) == (400, "The request is invalid (simulated).")
        return
    assert (told.status, told.error) == (200, None)
    assert EASY_ANSWER in told.text
    assert told.done


def check_all_tiers(gearbox, fault, *, stream):
    told = ask(gearbox, dict.fromkeys(("small", "medium", "large"), fault), stream=stream)
    status, code = STATUS[fault]
    if told.status == 200 and told.error is not None:
        assert stream
        assert fault in MIDWAY
        assert told.text, "the status was sent though nothing of an answer was"
        assert not told.done
        assert set(told.error) == {"message", "type", "param", "code"}
        return
    assert told.status == status
    if status == 200:
        assert told.text
        assert told.done
    else:
        assert told.error["code"] == code


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", NOT_RATE_LIMITED)
def test_a_fault_of_the_start_tier_is_made_good_by_another(gearbox, fault, stream):
    check_start_tier(gearbox, fault, stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("fault", NOT_RATE_LIMITED)
def test_a_fault_of_all_tiers_is_the_right_error_or_the_best_there_is(gearbox, fault, stream):
    check_all_tiers(gearbox, fault, stream=stream)


@pytest.mark.parametrize("check", [check_start_tier, check_all_tiers])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_rate_limited_tier_cools_down_and_others_answer(serve, check, stream):
    gearbox = serve(**QUICK)
    for _ in range(2):  # the second time it is cooling down
        check(gearbox, "rate_limit", stream=stream)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_upstreams_retry_after_reaches_the_client(serve, stream):
    told = ask(serve(**QUICK), dict.fromkeys(("small", "medium", "large"), "rate_limit"), stream=stream)
    assert told.status == 429
    assert told.headers["retry-after"] == "1"
    assert 0 < int(told.headers["retry-after-ms"]) <= 1000


@pytest.mark.parametrize("fault", sorted(MIDWAY))
def test_an_error_after_the_first_byte_is_the_last_event_and_no_done_follows(gearbox, fault):
    told = ask(gearbox, {"large": fault}, stream=True, model="large")
    assert told.status == 200
    assert told.text
    assert told.error["type"] == "upstream_error"
    assert not told.done


def test_openais_client_raises_an_error_in_the_middle_of_a_stream(gearbox):
    with openai.OpenAI(base_url=f"{gearbox.url}/v1", api_key="any", max_retries=0) as client:
        stream = client.chat.completions.create(
            model="large",
            messages=[{"role": "user", "content": EASY}],
            stream=True,
            extra_body={"simulate": {"large": "cut_stream"}},
        )
        with pytest.raises(openai.APIError, match="large"):
            list(stream)


def test_half_an_answer_is_never_completed_by_another_tiers(gearbox):
    """Small is rejected and medium is down; large breaks when half of its answer is at the client."""
    told = ask(gearbox, {"small": "refusal", "medium": "truncated", "large": "cut_stream"}, stream=True)
    assert told.error is not None
    assert not told.done


@pytest.mark.parametrize("fault", ["auth", "not_found"])
def test_the_operators_fault_is_a_502_without_its_details(gearbox, fault):
    told = ask(gearbox, {"large": fault}, stream=False, model="large")
    assert told.status == 502
    assert "simulated" not in told.error["message"]
    assert "large" in told.error["message"]


def test_a_top_that_is_down_leaves_the_tiers_below_to_answer(serve):
    gearbox = serve(**QUICK, policy={"llm-at": {"cold_start": 0, "threshold": 0.95, "none_reaches": "top"}})
    told = ask(gearbox, {"large": "server_error"}, stream=False)
    assert EASY_ANSWER in told.text
    assert told.headers["x-gearbox-attempts"] == "large:error,medium:unjudged"
    assert told.headers["x-gearbox-stopped"] == "upstream"


def with_medium(model):
    tiers = config()["tiers"]
    tiers[1]["deployments"] = [{"model": model}]
    return tiers


@pytest.mark.parametrize("fault", ["server_error", "timeout", "malformed_json", "empty_answer", "bad_request"])
def test_a_judge_that_fails_leaves_the_answer_unjudged_and_unlabelled(serve, fault):
    gearbox = serve(**QUICK, tiers=with_medium(f"simulated/medium+{fault}"))
    told = ask(gearbox, None, stream=False)
    assert EASY_ANSWER in told.text
    assert told.headers["x-gearbox-attempts"] == "small:unjudged"
    assert "x-gearbox-stopped" not in told.headers
    assert gearbox.sql("SELECT * FROM label") == []


def test_with_fail_closed_a_failing_judge_shifts_up(serve):
    gearbox = serve(**QUICK, judge={"fail": "closed"}, tiers=with_medium("simulated/medium+server_error"))
    told = ask(gearbox, None, stream=False)
    assert told.headers["x-gearbox-attempts"] == "small:unjudged,medium:error,large:unjudged"


def test_a_fault_that_happens_once_is_retried_on_the_same_tier(serve):
    gearbox = serve()
    told = ask(gearbox, {"small": {"fault": "server_error", "times": 1}}, stream=False)
    assert told.headers["x-gearbox-attempts"] == "small:valid"
    calls = gearbox.calls(told.headers["x-request-id"])
    assert [(call["purpose"], call["verdict"]) for call in calls] == [
        ("generate", "error"),
        ("generate", "valid"),
        ("judge", "valid"),
    ]


@pytest.mark.parametrize("model", ["simulated/small+server_error", "simulated/small+timeout"])
def test_another_deployment_of_the_tier_answers_where_one_fails(serve, model):
    tiers = config()["tiers"]
    tiers[0]["deployments"] = [{"model": model}, {"model": "simulated/small"}]
    told = ask(serve(**{**QUICK, "retries": config()["retries"]}, tiers=tiers), {}, stream=False)
    assert told.headers["x-gearbox-attempts"] == "small:valid"


def test_a_configured_fault_strikes_every_call_of_its_deployment(serve):
    tiers = config()["tiers"]
    tiers[0]["deployments"] = [{"model": "simulated/small", "simulate": {"small": "server_error"}}]
    told = ask(serve(**QUICK, tiers=tiers), None, stream=False)
    assert told.headers["x-gearbox-attempts"].startswith("small:error,medium:")
