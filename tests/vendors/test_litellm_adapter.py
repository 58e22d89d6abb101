"""The real litellm against a fake vendor on loopback: nothing of litellm is replaced."""

from __future__ import annotations

import time

import pytest
from vendor import TEXT, Failure

from cascade.upstreams import litellm_adapter
from cascade.upstreams.litellm_adapter import LiteLLM
from router.domain import Deployment, ModelFacts
from router.endpoints import Endpoint, Secret, Timeouts
from router.errors import (
    ContextOverflow,
    UpstreamBadReply,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from router.ports import ChatCall
from router.pricing import Usage

ASK = {"model": "gpt-4o", "messages": [{"role": "user", "content": "hi"}]}
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
CLAUDE = "anthropic/claude-sonnet-4-5"


@pytest.fixture
async def model(served, vendor):
    _, url = served

    def make(name=CLAUDE, api_base=url, key="sk-secret", timeouts=Timeouts(), **params):  # noqa: B008 - frozen
        deployment = Deployment("large/0", name, None, ModelFacts())
        secret = Secret(key) if key else None
        return LiteLLM(Endpoint(deployment, "litellm", api_base, secret, hints=True, timeouts=timeouts, params=params))

    yield make
    await litellm_adapter.close()


class Sink:
    def __init__(self):
        self.events = []

    async def chunk(self, event):
        self.events.append(event)


def call(*, stream=False, **body):
    return ChatCall({**ASK, **body}, stream)


async def test_a_whole_answer_comes_through(model, vendor):
    reply = await model().chat(call())
    assert reply.body["choices"][0]["message"] == {"role": "assistant", "content": TEXT, "refusal": None}
    assert reply.body["choices"][0]["finish_reason"] == "stop"
    assert reply.body["model"] == "claude-sonnet-4-5-dated"
    assert vendor.last.body["model"] == "claude-sonnet-4-5"


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_and_cache_write_tokens_reach_usage(model, stream):
    reply = await model().chat(call(stream=stream))
    assert reply.usage == Usage(22, 4, cached_tokens=5, cache_write_tokens=7)
    assert "cost" not in reply.body["usage"]


async def test_a_stream_is_passed_on_live_and_assembled(model):
    sink = Sink()
    reply = await model().chat(call(stream=True), sink)
    assert reply.body["choices"][0]["message"]["content"] == TEXT
    assert reply.body["choices"][0]["finish_reason"] == "stop"
    assert reply.ttft_s is not None
    assert [event for event in reply.chunks if event["choices"]] == [e for e in sink.events if e["choices"]]
    assert all(event["object"] == "chat.completion.chunk" for event in sink.events)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_tool_call_comes_through(model, vendor, stream):
    vendor.tool = ("add", {"a": 1, "b": [2, 3]})
    reply = await model().chat(call(stream=stream, tools=[TOOL], tool_choice="required"))
    choice = reply.body["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1, "b": [2, 3]}'}
    assert vendor.last.body["tools"][0]["name"] == "add"
    assert vendor.last.body["tool_choice"] == {"type": "any"}


async def test_a_tool_result_goes_back_to_the_vendor(model, vendor):
    called = [{"id": "call_1", "type": "function", "function": {"name": "add", "arguments": "{}"}}]
    messages = [
        *ASK["messages"],
        {"role": "assistant", "content": None, "tool_calls": called},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
    ]
    await model().chat(call(messages=messages, tools=[TOOL]))
    assert vendor.last.body["messages"][-1]["content"][0]["type"] == "tool_result"


async def test_an_image_is_translated(model, vendor):
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    await model().chat(call(messages=[{"role": "user", "content": [{"type": "text", "text": "what?"}, part]}]))
    sent = vendor.last.body["messages"][0]["content"]
    assert sent[1]["source"] == {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}


async def test_hints_are_never_sent_and_the_key_is(model, vendor):
    await model().chat(ChatCall(ASK, stream=False, hint="judge; of=x"))
    assert "x-gearbox-call" not in vendor.last.headers
    assert vendor.last.headers["x-api-key"] == "sk-secret"


async def test_the_vendors_own_key_is_not_sent_elsewhere(model, vendor, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-of-the-operator")
    await model(key=None).chat(call())
    assert "sk-of-the-operator" not in str(vendor.last.headers)


async def test_what_the_vendor_does_not_take_is_left_out_and_told(model, vendor):
    reply = await model().chat(call(seed=3, logit_bias={"1": 2}, temperature=0.5, n=1, max_completion_tokens=9))
    assert reply.dropped == ("max_completion_tokens -> max_tokens", "seed dropped", "logit_bias dropped")
    assert vendor.last.body["temperature"] == 0.5
    assert vendor.last.body["max_tokens"] == 9


async def test_a_value_the_vendor_cannot_say_is_left_out_and_told(model, vendor):
    reply = await model("anthropic/claude-opus-4-7").chat(call(temperature=0.3, top_p=0.5))
    told = " ".join(reply.dropped)
    assert ("temperature" in told) == ("temperature" not in vendor.last.body)


async def test_the_clients_body_is_never_changed(model):
    body = {**ASK, "messages": [{"role": "system", "content": "Be brief."}, *ASK["messages"]], "tools": [TOOL]}
    before = repr(body)
    await model().chat(ChatCall(body, stream=False))
    assert repr(body) == before


async def test_a_field_of_the_client_never_becomes_an_option_of_litellm(model, vendor):
    evil = {
        "api_base": "http://127.0.0.1:1",
        "api_key": "mine",
        "mock_response": "no",
        "num_retries": 9,
        "base_url": "x",
    }
    reply = await model().chat(call(**evil, custom_llm_provider="openai", extra_headers={"x-evil": "1"}))
    assert reply.body["choices"][0]["message"]["content"] == TEXT
    assert {f"{name} dropped" for name in evil} <= set(reply.dropped)
    assert "x-evil" not in vendor.last.headers
    assert not evil.keys() & vendor.last.body.keys()


async def test_unknown_fields_travel_in_the_body_where_the_vendor_has_room_for_them(model, vendor):
    reply = await model("gemini/gemini-2.5-flash").chat(call(x_new={"a": 1}))
    assert vendor.last.body["x_new"] == {"a": 1}
    assert reply.dropped == ()


async def test_fields_that_a_vendor_would_refuse_are_left_out_and_told(model, vendor):
    reply = await model().chat(call(top_k=5, x_new={"a": 1}))
    assert vendor.last.body["top_k"] == 5
    assert "x_new" not in vendor.last.body
    assert reply.dropped == ("x_new dropped",)


@pytest.mark.parametrize("name", [CLAUDE, "gemini/gemini-2.5-flash"])
async def test_a_vendors_own_name_for_the_output_limit_cannot_stretch_ours(model, vendor, name):
    reply = await model(name).chat(call(max_tokens=5, max_tokens_to_sample=10_000, generationConfig={"a": 9}))
    limit = vendor.last.body.get("generationConfig", {}).get("max_output_tokens", vendor.last.body.get("max_tokens"))
    assert limit == 5
    assert reply.dropped == ("max_tokens_to_sample dropped", "generationConfig dropped")


async def test_legacy_functions_are_refused_rather_than_lost(model):
    with pytest.raises(UpstreamRejected) as caught:
        await model().chat(call(functions=[{"name": "add"}]))
    assert caught.value.body["error"]["param"] == "functions"


async def test_the_operators_parameters_are_defaults(model, vendor):
    await model(temperature=0.1, top_p=0.9).chat(call(temperature=0.7))
    assert (vendor.last.body["temperature"], vendor.last.body["top_p"]) == (0.7, 0.9)


def fault(message="it is wrong", kind="invalid_request_error"):
    return {"type": "error", "error": {"type": kind, "message": message}}


ERRORS = {
    "400": (Failure(400, fault()), UpstreamRejected),
    "413": (Failure(413, fault()), UpstreamRejected),
    "422": (Failure(422, fault()), UpstreamRejected),
    "a prompt too long": (Failure(400, fault("prompt is too long: 9 > 3 maximum")), ContextOverflow),
    "401": (Failure(401, fault("invalid x-api-key sk-secret")), UpstreamMisconfigured),
    "402": (Failure(402, fault()), UpstreamMisconfigured),
    "403": (Failure(403, fault()), UpstreamMisconfigured),
    "404": (Failure(404, fault()), UpstreamMisconfigured),
    "429": (Failure(429, fault(), {"retry-after": "7"}), UpstreamRateLimited),
    "500": (Failure(500, fault()), UpstreamUnavailable),
    "503": (Failure(503, fault(), {"retry-after": "7"}), UpstreamUnavailable),
    "504": (Failure(504, fault()), UpstreamTimeout),
    "529 overloaded": (Failure(529, fault(kind="overloaded_error")), UpstreamUnavailable),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
async def test_a_vendors_error_becomes_ours(model, vendor, row, stream):
    vendor.failure, kind = row
    with pytest.raises(kind) as caught:
        await model().chat(call(stream=stream))
    assert type(caught.value) is kind
    assert len(vendor.requests) == 1, "litellm must not retry by itself"
    assert "sk-secret" not in caught.value.message
    wait = vendor.failure.headers.get("retry-after")
    assert caught.value.retry_after_s == (float(wait) if wait else None)


async def test_a_rejection_keeps_the_vendors_words_and_status(model, vendor):
    vendor.failure = Failure(422, fault("max_tokens: no sk-secret here"))
    with pytest.raises(UpstreamRejected) as caught:
        await model().chat(call())
    error = caught.value.body["error"]
    assert caught.value.status == 422
    assert error["message"] == "max_tokens: no *** here"
    assert set(error) == {"message", "type", "param", "code"}


async def test_nobody_at_the_address_is_unavailable_and_not_billed(model):
    with pytest.raises(UpstreamUnavailable) as caught:
        await model(api_base="http://127.0.0.1:9").chat(call())
    assert caught.value.billed is False


@pytest.mark.parametrize("raw", [b"<html>sorry</html>", b"{}", b'{"type": "message"', b"[]"])
async def test_a_reply_that_is_none_is_a_bad_reply(model, vendor, raw):
    vendor.raw = raw
    with pytest.raises(UpstreamBadReply) as caught:
        await model().chat(call())
    assert caught.value.billed is True


async def test_a_stream_that_is_cut_is_no_answer(model, vendor):
    vendor.cut = True
    with pytest.raises((UpstreamBadReply, UpstreamUnavailable)) as caught:
        await model().chat(call(stream=True), Sink())
    assert caught.value.billed is True


@pytest.mark.parametrize(
    ("stream", "timeouts", "words"),
    [(False, Timeouts(total_s=0.3), "no complete answer"), (True, Timeouts(first_token_s=0.3), "no first token")],
)
async def test_slow_vendors_are_given_up(model, vendor, stream, timeouts, words):
    vendor.delay_s = 2
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout) as caught:
        await model(timeouts=timeouts).chat(call(stream=stream))
    assert words in caught.value.message
    assert time.monotonic() - started < 1.5


@pytest.mark.parametrize("stream", [False, True])
async def test_gemini_answers_through_the_same_port(model, vendor, stream):
    reply = await model("gemini/gemini-2.5-flash").chat(call(stream=stream, temperature=0.2))
    assert reply.body["choices"][0]["message"]["content"] == TEXT
    assert reply.usage == Usage(20, 7, cached_tokens=6, reasoning_tokens=3)
    assert vendor.last.body["generationConfig"]["temperature"] == 0.2


async def test_geminis_rejection_has_our_four_keys(model, vendor):
    body = {"error": {"code": 400, "message": "bad schema", "status": "INVALID_ARGUMENT"}}
    vendor.failure = Failure(400, body)
    with pytest.raises(UpstreamRejected) as caught:
        await model("gemini/gemini-2.5-flash").chat(call())
    assert caught.value.body["error"]["code"] == "400"
    assert caught.value.message == "bad schema"
