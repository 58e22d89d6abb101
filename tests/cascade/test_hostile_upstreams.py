"""Upstreams that mean harm: too much, too deep, elsewhere. Each is cut with an error that says so, and is billed."""

from __future__ import annotations

import itertools

import httpx
import orjson
import pytest
from test_openai_compat import END, HI, ROLE, WHOLE, Upstream, chat, stream

from cascade.embeddings import remote
from cascade.embeddings.remote import RemoteEmbeddings
from cascade.upstreams import openai_compat
from cascade.upstreams.http_reply import HttpReply, InProcessTransport
from cascade.upstreams.upstream_errors import LONGEST_WAIT_S, retry_after_s
from router.endpoints import EmbeddingEndpoint, Secret, Timeouts
from router.errors import UpstreamBadReply, UpstreamMisconfigured

PATIENT = {"timeouts": Timeouts(10, 60, 60)}
LINE = b"x" * 65_536
ENDLESS = {
    "one line that never ends": (b"data: " + LINE, LINE),
    "lines that are no event": (b": comment\n", b": " + LINE + b"\n"),
    "an event of data without end": (b"data: {\n", b"data: " + LINE + b"\n"),
    "events without end": (b"", b"data: " + orjson.dumps(HI) + b"\n\n"),
}


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(openai_compat, "MAX_REPLY_BYTES", 1_000_000)


class Endless(Upstream):
    async def _body(self):
        first, *rest = self.pieces
        yield first
        for piece in itertools.cycle(rest):
            yield piece


@pytest.mark.parametrize("pieces", ENDLESS.values(), ids=ENDLESS)
async def test_an_endless_stream_is_cut(pieces):
    with pytest.raises(UpstreamBadReply, match="larger than 1000000 bytes") as caught:
        await chat(Endless(*pieces, kind="text/event-stream"), streamed=True, **PATIENT)
    assert caught.value.billed


async def test_an_endless_body_is_cut():
    with pytest.raises(UpstreamBadReply, match="larger than 1000000 bytes") as caught:
        await chat(Endless(WHOLE[:-1], b" " * 10_000), **PATIENT)
    assert caught.value.billed


async def embedded(upstream):
    async with httpx.AsyncClient(transport=InProcessTransport(upstream)) as client:
        return await RemoteEmbeddings(EmbeddingEndpoint("m", "m", "http://u.invalid/v1"), client).embed({})


async def test_embeddings_without_end_are_cut_and_a_redirect_of_theirs_is_not_followed(monkeypatch):
    monkeypatch.setattr(remote, "MAX_REPLY_BYTES", 1_000_000)
    with pytest.raises(UpstreamBadReply, match="larger than 1000000 bytes"):
        await embedded(Endless(b'{"data": [', b"0.1, " * 1_000))
    redirecting = Redirecting(b"{}", status=307)
    with pytest.raises(UpstreamMisconfigured, match="307, a redirect"):
        await embedded(redirecting)
    assert len(redirecting.seen) == 1


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("depth", [200, 800, 100_000])
async def test_an_answer_that_is_nested_absurdly_deep_is_no_answer(streamed, depth):
    deep = b'"x":' + b"[" * depth + b"]" * depth + b","
    evil = b"{" + deep + WHOLE[1:]
    sent = stream(ROLE, b"data: {" + deep + orjson.dumps(HI)[1:] + b"\n\n", END) if streamed else Upstream(evil)
    with pytest.raises(UpstreamBadReply):
        await chat(sent, streamed=streamed, **PATIENT)


class Redirecting(Upstream):
    async def handle(self, method, path, headers, body):
        reply = await super().handle(method, path, headers, body)
        return HttpReply(reply.status, {**reply.headers, "location": "http://elsewhere.invalid/steal"}, reply.body)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "stream"])
async def test_a_redirect_is_not_followed_and_the_operator_is_told(status, streamed):
    upstream = Redirecting(WHOLE, status=status)
    with pytest.raises(UpstreamMisconfigured, match=rf"{status}.*redirect.*api_base"):
        await chat(upstream, streamed=streamed, api_key=Secret("sk-secret"))
    assert len(upstream.seen) == 1


@pytest.mark.parametrize("value", ["1e308", "1e300", "99999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_a_wait_beyond_all_reason_is_a_day(name, value):
    wait_s = retry_after_s({name: value})
    assert wait_s is None or 0 <= wait_s <= LONGEST_WAIT_S


@pytest.mark.parametrize(
    "value",
    ["5\r\nset-cookie: a=b", "\x00", "-5", "1_000", "0x10", "5, 6", "٣", "Wed, 21 Oct 2015 07:28:00 -9999", "Mon"],
)
def test_a_wait_that_is_none_is_none_or_a_number(value):
    wait_s = retry_after_s({"retry-after": value})
    assert wait_s is None or 0 <= wait_s <= LONGEST_WAIT_S
