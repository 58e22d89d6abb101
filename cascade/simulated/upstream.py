"""The simulated tiers behind HTTP: routes, faults and pace. The only file here that waits or looks at a clock."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx

from cascade.simulated.chance import digest
from cascade.simulated.completion import Completion, as_chunks, as_object, complete
from cascade.simulated.faults import BadSimulationError, Fault, status_reply
from cascade.simulated.request import BadRequestError, ChatRequest, read_request
from cascade.simulated.tiers import REACH
from cascade.upstreams.http_reply import HttpReply, error_object, json_reply, sse_event, sse_reply

_MAX_REMEMBERED = 10_000
_PAGE = b"<!doctype html><html><body><h1>502 Bad Gateway</h1></body></html>"
_HALFWAY_ERROR = error_object("The server had an error while streaming (simulated).", "server_error")
_ROUTES = {"/chat/completions": "POST", "/models": "GET"}
_INVALID = "invalid_request_error"


class SimulatedUpstream:
    """An OpenAI-compatible server without weights: tiers small, medium and large, deterministic by seed.

    `pace_s` is the pause after each streamed token; `clock` gives seconds since the epoch, `sleep` waits.
    """

    def __init__(
        self,
        seed: int = 0,
        pace_s: float = 0.0,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._seed = seed
        self._pace_s = pace_s
        self._clock = clock
        self._sleep = sleep
        self._seen: OrderedDict[bytes, int] = OrderedDict()

    async def handle(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        """Answer `/v1/chat/completions` and `/v1/models`, with or without `/v1`."""
        route = path.rstrip("/").removeprefix("/v1")
        if route not in _ROUTES:
            return json_reply(404, error_object(f"Unknown route {method} {path}", _INVALID, None, "unknown_url"))
        if method != _ROUTES[route]:
            return json_reply(405, error_object(f"{path} takes {_ROUTES[route]}, not {method}", _INVALID))
        if route == "/models":
            return json_reply(200, self._models())
        try:
            request = self._with_live_fault(read_request(body))
        except BadSimulationError as error:
            return json_reply(400, error_object(str(error), _INVALID, "simulate", "unknown_fault"))
        except BadRequestError as error:
            return json_reply(error.status, error_object(str(error), _INVALID, error.param, error.code))
        return await self._chat(request, hints=headers.get("x-gearbox-call", "").startswith("generate"))

    def _models(self) -> dict[str, Any]:
        data = [{"id": tier, "object": "model", "created": 0, "owned_by": "gearbox-simulated"} for tier in REACH]
        return {"object": "list", "data": data}

    def _with_live_fault(self, request: ChatRequest) -> ChatRequest:
        """The request, healthy once its fault has happened as many times as was asked."""
        fault = request.fault
        if fault is None or fault.times is None:
            return request
        key = digest(request.tier, fault.name, fault.times, request.messages)
        count = self._seen.pop(key, 0) + 1
        self._seen[key] = count
        if len(self._seen) > _MAX_REMEMBERED:
            self._seen.popitem(last=False)
        return request if count <= fault.times else replace(request, fault=None)

    async def _chat(self, request: ChatRequest, *, hints: bool) -> HttpReply:
        fault = request.fault
        if fault is not None:
            if reply := status_reply(fault):
                return reply
            if fault.name == "timeout":
                await asyncio.get_running_loop().create_future()
            if fault.name == "wrong_content_type":
                return HttpReply(200, {"content-type": "text/html"}, _pieces(_PAGE))
        completion = complete(request, self._seed, int(self._clock()))
        if request.stream:
            return sse_reply(self._stream(request, completion))
        return await self._whole(fault, as_object(completion, hints=hints))

    async def _whole(self, fault: Fault | None, body: dict[str, Any]) -> HttpReply:
        name = fault.name if fault else ""
        if fault and name in {"slow_first_token", "slow_tokens"}:
            tokens = body.get("usage", {}).get("completion_tokens", 1) if name == "slow_tokens" else 1
            await self._sleep(fault.seconds * tokens)
        if fault and name == "endless_stream":
            return HttpReply(200, {"content-type": "application/json"}, self._drip(fault.seconds))
        if name == "error_in_stream":
            return json_reply(500, _HALFWAY_ERROR)
        reply = json_reply(200, body)
        if name not in {"cut_stream", "malformed_json"}:
            return reply
        data = b"".join([piece async for piece in reply.body])
        half = data[: len(data) // 2]
        return HttpReply(
            200, {"content-type": "application/json"}, _cut(half) if name == "cut_stream" else _pieces(half)
        )

    async def _drip(self, seconds: float) -> AsyncIterator[bytes]:
        while True:
            yield b" "
            await self._sleep(seconds)

    async def _stream(self, request: ChatRequest, completion: Completion) -> AsyncIterator[Any]:
        fault = request.fault
        name = fault.name if fault else ""
        chunks = list(as_chunks(completion, include_usage=request.include_usage))
        pace_s = fault.seconds if fault and name in {"slow_tokens", "endless_stream"} else self._pace_s
        if fault and name == "slow_first_token":
            await self._sleep(fault.seconds)
        for place, chunk in enumerate(chunks):
            if name in _MIDWAY and place == max(1, len(chunks) // 2):
                async for piece in self._midway(name, chunks[1], pace_s):
                    yield piece
                return
            yield chunk
            if pace_s:
                await self._sleep(pace_s)

    async def _midway(self, name: str, chunk: dict[str, Any], pace_s: float) -> AsyncIterator[Any]:
        if name == "cut_stream":
            raise httpx.RemoteProtocolError("peer closed connection without sending complete message body (simulated)")
        if name == "error_in_stream":
            yield _HALFWAY_ERROR
        if name == "malformed_json":
            yield sse_event(chunk)[:-20] + b"\n\n"
        while name == "endless_stream":
            yield chunk
            await self._sleep(pace_s)


_MIDWAY = frozenset({"cut_stream", "error_in_stream", "malformed_json", "endless_stream"})


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def _cut(data: bytes) -> AsyncIterator[bytes]:
    yield data
    raise httpx.RemoteProtocolError("peer closed connection without sending complete message body (simulated)")
