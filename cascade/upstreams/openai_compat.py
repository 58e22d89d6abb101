"""The fast path: one deployment behind an OpenAI-compatible HTTP endpoint.

The law of this file: HTTP in, the words of `ports` and `errors` out. It knows one endpoint and one try; retries, other
deployments and money are its caller's. Why httpx's API over aiohttp's transport: BENCHMARKS.md.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from cascade.upstreams.bounded import bounded
from cascade.upstreams.params import translate
from cascade.upstreams.sse import EventReader
from cascade.upstreams.streamed import MAX_REPLY_BYTES, Patience, collect
from cascade.upstreams.upstream_errors import bad_reply, error_event, error_from_response, error_from_transport
from router.errors import UpstreamTimeout
from router.nesting import MAX_DEPTH, too_deep
from router.ports import Reply
from router.pricing import usage_from_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from router.endpoints import Endpoint
    from router.ports import ChatCall, ChunkSink


class OpenAICompatible:
    """A `ChatModel` over `POST {api_base}/chat/completions`."""

    def __init__(self, endpoint: Endpoint, client: httpx.AsyncClient) -> None:
        """Build it.

        Args:
            endpoint: address, key, time-outs and whether hints are sent.
            client: shared by all deployments, closed by whoever made it.
        """
        self._endpoint = endpoint
        self._client = client
        # Parsed once: httpx would parse a string again for every request.
        self._url = httpx.URL(f"{(endpoint.api_base or '').rstrip('/')}/chat/completions")
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if endpoint.api_key is not None:
            self._headers["authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"

    async def chat(self, call: ChatCall, live: ChunkSink | None = None) -> Reply:
        """One try; see `ports.ChatModel`."""
        sent, dropped = self._body(call)
        started = time.monotonic()
        patience = Patience(self._endpoint.timeouts, streamed=call.stream)
        try:
            async with patience.limit, self._open(call, sent) as response:
                # A redirect is a failure: following it would take question and key to somewhere else.
                if response.status_code >= httpx.codes.MULTIPLE_CHOICES:
                    raise await error_from_response(response)
                if call.stream and response.headers.get("content-type", "").startswith("text/event-stream"):
                    return await collect(_events(response), live, patience, started, dropped)
                patience.first_came()
                return await _whole(response, started, dropped)
        except TimeoutError as error:
            raise UpstreamTimeout(patience.words) from error
        except httpx.HTTPError as error:
            raise error_from_transport(error) from error

    async def aclose(self) -> None:
        """Nothing of its own to close: the client is shared."""

    def _body(self, call: ChatCall) -> tuple[dict[str, Any], tuple[str, ...]]:
        sent, dropped = translate(call.body, self._endpoint.deployment)
        sent["stream"] = call.stream
        sent.pop("stream_options", None)
        if call.stream:
            # Usage is how the call is billed, so it is always asked for; the edge hides it from who did not ask.
            sent["stream_options"] = {**(call.body.get("stream_options") or {}), "include_usage": True}
        if self._endpoint.simulate:
            sent.setdefault("simulate", dict(self._endpoint.simulate))
        return sent, dropped

    def _open(self, call: ChatCall, sent: Mapping[str, Any]) -> Any:
        headers = {**self._headers, **(call.trace or {})}
        if self._endpoint.hints:
            headers["x-gearbox-call"] = call.hint
        timeout = httpx.Timeout(None, connect=self._endpoint.timeouts.connect_s)
        return self._client.stream("POST", self._url, content=orjson.dumps(sent), headers=headers, timeout=timeout)


async def _whole(response: httpx.Response, started: float, dropped: tuple[str, ...]) -> Reply:
    body = _json(await bounded(response, MAX_REPLY_BYTES), response)
    if not body.get("choices"):
        raise bad_reply("a chat completion without choices")
    return Reply(body, (), usage_from_body(body.get("usage")), time.monotonic() - started, None, dropped)


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    reader = EventReader()
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > MAX_REPLY_BYTES:
            raise bad_reply(f"stream larger than {MAX_REPLY_BYTES} bytes, cut off")
        for data in reader.feed(part):
            if data == b"[DONE]":
                return
            yield _event(data)
    for data in reader.close():
        if data != b"[DONE]":
            yield _event(data)


def _event(data: bytes) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise bad_reply("an event that is not JSON") from error
    if not isinstance(chunk, dict):
        raise bad_reply("an event that is not an object")
    _check_depth(data, chunk)
    if chunk.get("error"):
        raise error_event(chunk["error"])
    return _well_shaped(chunk, "delta")


def _json(content: bytes, response: httpx.Response) -> dict[str, Any]:
    try:
        body = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        kind = response.headers.get("content-type", "no content type")
        raise bad_reply(f"not JSON ({kind[:60]}, {len(content)} bytes)") from error
    if not isinstance(body, dict):
        raise bad_reply("JSON that is not an object")
    _check_depth(content, body)
    if body.get("error") and not body.get("choices"):
        raise error_event(body["error"])
    return _well_shaped(body, "message")


def _check_depth(raw: bytes, body: dict[str, Any]) -> None:
    """Refuse what could be read and not be written again; counting brackets first makes it free for all others."""
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and too_deep(body):
        raise bad_reply(f"JSON nested more than {MAX_DEPTH} levels deep")


def _well_shaped(body: dict[str, Any], part: str) -> dict[str, Any]:
    """The body itself, once everything that is read from it later has the shape that OpenAI documents."""
    choices = body.get("choices")
    fits = choices is None or (isinstance(choices, list) and all(_is_choice(choice, part) for choice in choices))
    if not fits:
        raise bad_reply("choices of an unknown shape")
    return body


def _is_choice(choice: Any, part: str) -> bool:
    if not isinstance(choice, dict) or not isinstance(choice.get("index") or 0, int):
        return False
    said, logprobs, reason = choice.get(part) or {}, choice.get("logprobs") or {}, choice.get("finish_reason")
    if not isinstance(said, dict) or not isinstance(logprobs, dict) or not isinstance(reason, str | None):
        return False
    calls = said.get("tool_calls") or []
    return isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
