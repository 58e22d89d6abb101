"""An upstream inside the process: HTTP in, HTTP out, no socket.

Knows httpx's transport interface and the shape of a reply. Knows nothing of models, tiers or prompts: the simulated and
the recorded upstream are `HttpHandler`s, and the client code talks to both as it talks to a vendor.
"""

import asyncio
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import httpx

JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
DONE = b"data: [DONE]\n\n"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class HttpReply:
    """Status, headers (lower-case names) and a body that is read at most once; reading may raise httpx's errors."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class HttpHandler(Protocol):
    """Whatever answers HTTP requests without a socket."""

    async def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Answer one request; `path` has no query, header names are lower-case."""
        ...


async def once(data: bytes) -> AsyncIterator[bytes]:
    """A body of one piece."""
    yield data


def json_reply(status: int, obj: Any, headers: Mapping[str, str] | None = None) -> HttpReply:
    """A JSON body with its length."""
    data = json.dumps(obj).encode()
    fixed = {"content-type": JSON, "content-length": str(len(data))}
    return HttpReply(status, {**fixed, **(headers or {})}, once(data))


def error_object(message: str, kind: str, param: str | None = None, code: str | None = None) -> dict[str, Any]:
    """OpenAI's error body, all four keys."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def sse_event(obj: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(obj).encode() + b"\n\n"


async def _events(chunks: AsyncIterable[Any]) -> AsyncIterator[bytes]:
    async for chunk in chunks:
        yield chunk if isinstance(chunk, bytes) else sse_event(chunk)
    yield DONE


def sse_reply(chunks: AsyncIterable[Any], headers: Mapping[str, str] | None = None) -> HttpReply:
    """A stream of events ending in `[DONE]`; a chunk that is bytes goes out as it is."""
    fixed = {"content-type": SSE, "cache-control": "no-cache"}
    return HttpReply(200, {**fixed, **(headers or {})}, _events(chunks))


async def _within(seconds: float | None, work: Awaitable[_T], request: httpx.Request) -> _T:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise httpx.ReadTimeout(f"nothing came for {seconds} s", request=request) from error


@dataclass(slots=True)
class _Body(httpx.AsyncByteStream):
    """Reads the reply piece by piece under httpx's read timeout; closing it closes the handler's generator."""

    reply: HttpReply
    request: httpx.Request
    read_s: float | None
    closed: bool = field(default=False)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = aiter(self.reply.body)
        while True:
            try:
                piece = await _within(self.read_s, anext(pieces), self.request)
            except StopAsyncIteration:
                return
            yield piece

    async def aclose(self) -> None:
        close = getattr(self.reply.body, "aclose", None)
        if close is not None and not self.closed:
            self.closed = True
            await close()


class InProcessTransport(httpx.AsyncBaseTransport):
    """Adapts a handler to httpx: streaming bodies, read timeouts (`httpx.ReadTimeout`) and cancellation, no sockets."""

    def __init__(self, handler: HttpHandler) -> None:
        self._handler = handler

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Hand the request to the handler; its body stays a stream."""
        body = await request.aread()
        read_s = request.extensions.get("timeout", {}).get("read")
        headers = {name.lower(): value for name, value in request.headers.items()}
        work = self._handler.handle(request.method, request.url.path, headers, body)
        reply = await _within(read_s, work, request)
        stream = _Body(reply, request, read_s)
        return httpx.Response(reply.status, headers=dict(reply.headers), stream=stream, request=request)
