"""The end of a server: what it says, and in which order it lets go. And what it says where it cannot start.

    SIGTERM -> readiness says no, answers carry `connection: close`, new requests are still served for `drain_s`
            -> no new connections; those that came in time are heard out, their first request being on its way
            -> open answers, streams included, get `shutdown_s` to finish
            -> the services close: runs that outlive their client end, the store writes what is queued

A second SIGTERM, or Ctrl-C, skips the first step. A load balancer that asks for readiness, or that is told before the
signal (Kubernetes), so never meets a closed door.
"""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable
    from types import FrameType

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Seconds that a connection which was accepted before the end has for its first request. One that opens and stays
#: silent costs them.
HEARING_S = 1.0
_LOOK_S = 0.05


@dataclass(slots=True)
class Lifecycle:
    """Whether this server is about to end, and why it could not start."""

    draining: bool = False
    refused: str | None = None


class PlainRefusal:
    """Says why a server cannot start in words for its operator, where the framework would send a traceback."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a start, an end or a request on."""

        async def send_plain(message: Message) -> None:
            if message["type"] == "lifespan.startup.failed" and self._lifecycle.refused is not None:
                message["message"] = f"gearbox: {self._lifecycle.refused}"
            await send(message)

        await self._app(scope, receive, send_plain if scope["type"] == "lifespan" else send)


class FarewellHeader:
    """Asks keep-alive clients, load balancers above all, to come back on a new connection: another server's."""

    def __init__(self, app: ASGIApp, lifecycle: Lifecycle) -> None:
        self._app = app
        self._lifecycle = lifecycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def send_farewell(message: Message) -> None:
            if message["type"] == "http.response.start" and self._lifecycle.draining:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
            await send(message)

        await self._app(scope, receive, send_farewell if scope["type"] == "http" else send)


class Server(uvicorn.Server):
    """uvicorn, with the first step above.

    Args:
        config: uvicorn's.
        lifecycle: what is told to the application.
        drain_s: how long new requests are served after SIGTERM, in seconds.
        on_start: called once it listens.
        hearing_s: how long a connection without a request yet is waited for at the end, in seconds.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        lifecycle: Lifecycle,
        drain_s: float,
        on_start: Callable[[], None] = lambda: None,
        hearing_s: float = HEARING_S,
    ) -> None:
        super().__init__(config)
        self._lifecycle = lifecycle
        self._drain_s = drain_s
        self._on_start = on_start
        self._hearing_s = hearing_s
        self._end_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say so."""
        await super().startup(sockets)
        if self.started:
            self._on_start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; a second time, end now."""
        first = not self._lifecycle.draining
        self._lifecycle.draining = True
        if first and sig == signal.SIGTERM and self._drain_s:
            self._end_at = time.monotonic() + self._drain_s
            return
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Whether to stop accepting now."""
        if self._end_at is not None and time.monotonic() >= self._end_at:
            self.should_exit = True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, hear out whoever came in time, and let uvicorn do the rest.

        It would close what has sent nothing yet, and a client that was a moment too slow would find no answer.
        """
        for each in (*self.servers, *(sockets or ())):
            each.close()
        end = time.monotonic() + self._hearing_s
        await asyncio.sleep(_LOOK_S)  # what was accepted last is not among the connections yet
        while self._unheard() and time.monotonic() < end and not self.force_exit:  # noqa: ASYNC110 - uvicorn has no event
            await asyncio.sleep(_LOOK_S)
        await super().shutdown(sockets)

    def _unheard(self) -> bool:
        """Whether a connection has not sent its first request."""
        return any(getattr(each, "cycle", self) is None for each in self.server_state.connections)
