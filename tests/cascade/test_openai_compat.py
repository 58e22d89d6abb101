"""One try over HTTP: what is sent, what is understood, how long is waited."""

from __future__ import annotations

import asyncio
import time

import httpx
import orjson
import pytest
from runs import PRICE, Ear

from cascade.upstreams.http_reply import HttpReply, InProcessTransport
from cascade.upstreams.openai_compat import OpenAICompatible
from router.domain import Deployment
from router.endpoints import Endpoint, Secret, Timeouts
from router.errors import UpstreamBadReply, UpstreamTimeout, UpstreamUnavailable
from router.ports import ChatCall

ASK = {"messages": [{"role": "user", "content": "hello"}]}


class Upstream:
    """Answers every request with the same status and pieces; a number is a pause."""

    def __init__(self, *pieces, status=200, kind="application/json", wait_s=0.0) -> None:
        self.pieces, self.status, self.kind, self.wait_s = pieces, status, kind, wait_s
        self.seen = []

    async def handle(self, method, path, headers, body) -> HttpReply:
        self.seen.append((path, headers, orjson.loads(body)))
        await asyncio.sleep(self.wait_s)
        return HttpReply(self.status, {"content-type": self.kind}, self._body())

    async def _body(self):
        for piece in self.pieces:
            if isinstance(piece, float):
                await asyncio.sleep(piece)
            else:
                yield piece if isinstance(piece, bytes) else b"data: " + orjson.dumps(piece) + b"\n\n"


def stream(*pieces, **more):
    return Upstream(*pieces, kind="text/event-stream", **more)


async def chat(upstream, *, streamed=False, live=None, hint="generate", **endpoint):
    made = {"kind": "openai", "api_base": "http://u.invalid/v1", "timeouts": Timeouts(1, 0.1, 0.3), **endpoint}
    async with httpx.AsyncClient(transport=InProcessTransport(upstream)) as client:
        model = OpenAICompatible(Endpoint(Deployment("d", "openai/m", PRICE), **made), client)
        return await model.chat(ChatCall(ASK, streamed, hint), live)


def chunk(delta, finish=None):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


WHOLE = orjson.dumps({"choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}]})
ROLE, HI, END = chunk({"role": "assistant"}), chunk({"content": "hi"}), chunk({}, "stop")
DONE = b"data: [DONE]\n\n"


async def test_the_key_and_the_bare_model_are_sent_and_the_hint_is_not():
    upstream = Upstream(WHOLE)
    await chat(upstream, api_key=Secret("k"))
    path, headers, body = upstream.seen[0]
    assert (path, headers["authorization"], body["model"]) == ("/v1/chat/completions", "Bearer k", "m")
    assert "x-gearbox-call" not in headers


async def test_hints_are_sent_where_they_are_wanted():
    upstream = Upstream(WHOLE)
    await chat(upstream, hints=True, hint="judge; of=small")
    assert upstream.seen[0][1]["x-gearbox-call"] == "judge; of=small"


async def test_a_stream_always_asks_for_usage():
    upstream = stream(HI, END, DONE)
    await chat(upstream, streamed=True)
    assert upstream.seen[0][2]["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    "pieces",
    [
        (ROLE, HI, END, DONE),
        (ROLE, HI, END),
        (b": hello\n\n", ROLE, b'data: {"choices":[{"index":0,"delta":{"content":"h', b'i"}}]}\r\n\r\n', END, DONE),
    ],
    ids=["as OpenAI", "without DONE", "cut, with comments"],
)
async def test_a_stream_is_put_together(pieces):
    reply = await chat(stream(*pieces), streamed=True)
    assert reply.body["choices"][0]["message"]["content"] == "hi"
    assert reply.ttft_s is not None


async def test_a_json_answer_to_a_streamed_call_is_taken():
    assert (await chat(Upstream(WHOLE), streamed=True)).body["choices"][0]["message"]["content"] == "hi"


async def test_a_role_alone_is_held_back_so_that_an_early_failure_can_be_retried():
    ear = Ear()
    with pytest.raises(UpstreamBadReply):
        await chat(stream(ROLE, b"data: {broken\n\n"), streamed=True, live=ear)
    assert ear.events == []


async def test_live_events_leave_as_they_come():
    ear = Ear()
    await chat(stream(ROLE, HI, END, DONE), streamed=True, live=ear)
    assert ear.events == [ROLE, HI, END]


BAD = {
    "not JSON": Upstream(b"<html>", kind="text/html"),
    "half JSON": Upstream(WHOLE[:-5]),
    "no object": Upstream(b"[]"),
    "no choices": Upstream(b"{}"),
    "empty choices": Upstream(b'{"choices": []}'),
    "choices of text": Upstream(b'{"choices": "hi"}'),
    "a choice that is null": Upstream(b'{"choices": [null]}'),
    "a message that is text": Upstream(b'{"choices": [{"message": "hi"}]}'),
    "tool calls that are text": Upstream(b'{"choices": [{"message": {"tool_calls": "f"}}]}'),
    "log-probabilities that are a list": Upstream(b'{"choices": [{"message": {}, "logprobs": [1]}]}'),
    "nothing": Upstream(b""),
}
BAD_STREAMS = {
    "no event": stream(),
    "DONE alone": stream(DONE),
    "cut before its end": stream(ROLE, HI),
    "an event that is no JSON": stream(HI, b"data: {\n\n"),
    "an event that is no object": stream(b"data: 1\n\n"),
    "a delta that is text": stream({"choices": [{"delta": "hi"}]}),
    "not UTF-8": stream(b'data: {"choices": "\xff"}\n\n'),
}


@pytest.mark.parametrize("upstream", BAD.values(), ids=BAD.keys())
async def test_what_is_no_answer_is_a_bad_reply(upstream):
    with pytest.raises(UpstreamBadReply):
        await chat(upstream)


@pytest.mark.parametrize("upstream", BAD_STREAMS.values(), ids=BAD_STREAMS.keys())
async def test_what_is_no_stream_is_a_bad_reply(upstream):
    with pytest.raises(UpstreamBadReply):
        await chat(upstream, streamed=True)


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_error_inside_a_200_is_an_error(streamed):
    upstream = stream({"error": {"message": "x"}}) if streamed else Upstream(b'{"error": {"message": "x"}}')
    with pytest.raises(UpstreamUnavailable):
        await chat(upstream, streamed=streamed)


SLOW = {
    "headers that do not come": (Upstream(WHOLE, wait_s=5.0), False, "no complete answer within 0.3 s"),
    "a stream's headers that do not come": (stream(HI, END, wait_s=5.0), True, "no first token within 0.1 s"),
    "a first token that does not come": (stream(ROLE, 5.0, HI), True, "no first token within 0.1 s"),
    "an end that does not come": (stream(ROLE, HI, 5.0, END), True, "no complete answer within 0.3 s"),
    "a body that does not end": (Upstream(b" ", 5.0), False, "no complete answer within 0.3 s"),
    "an error's body that does not end": (Upstream(b" ", 5.0, status=500), False, "no complete answer"),
}


@pytest.mark.parametrize(("upstream", "streamed", "words"), SLOW.values(), ids=SLOW.keys())
async def test_nothing_is_waited_for_longer_than_configured(upstream, streamed, words):
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout, match=words):
        await chat(upstream, streamed=streamed)
    assert time.monotonic() - started < 2
