"""Runs in flight: each is a task of its own, so that a client that leaves ends nothing but its own waiting.

wire.md, Clients: after a disconnect no new paid call starts, and the one running lives `linger_s` more. What is judged
for learning only begins after the last byte has left and then goes on, whatever the client does (`Late`).
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from cascade.brake import Brake
from router.errors import GearboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.engine import Engine
    from router.domain import Outcome, Request


_log = structlog.get_logger("gearbox.late")

#: How long a late verdict waits for the last byte to leave, where a client reads slowly.
LAST_BYTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Note:
    """What is being done meanwhile."""

    text: str


@dataclass(frozen=True, slots=True)
class Chunk:
    """One event of a live answer."""

    event: Mapping[str, Any]


class Finished:
    """The run has ended; its task holds the outcome."""


class Gone:
    """The client has gone."""


Item: TypeAlias = Note | Chunk | Finished | Gone


@dataclass(slots=True)
class LiveRun:
    """One run as its edge follows it: a `Listener` whose queue the edge reads."""

    request: Request
    brake: Brake
    items: asyncio.Queue[Item] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[Outcome] | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def progress(self, note: str) -> None:
        """Queue a note."""
        self.items.put_nowait(Note(note))

    async def chunk(self, event: Mapping[str, Any]) -> None:
        """Queue an event."""
        self.items.put_nowait(Chunk(event))

    async def outcome(self) -> Outcome:
        """The run's end; raises what the run raised."""
        if self.task is None:
            raise RuntimeError("the run was not started")
        return await asyncio.shield(self.task)


class Desk:
    """Starts runs and sees them to their end."""

    def __init__(self, engine: Engine, linger_s: float) -> None:
        """Build it.

        Args:
            engine: what serves a request.
            linger_s: how long a running call outlives its client, in seconds.
        """
        self._engine = engine
        self._linger_s = linger_s
        self._running: dict[asyncio.Task[Outcome], LiveRun] = {}
        self._late: dict[asyncio.Task[None], LiveRun] = {}

    def start(self, request: Request, *, judge_later: bool = True) -> LiveRun:
        """Start serving a request.

        Args:
            request: what to serve.
            judge_later: False = an answer that is served unjudged stays so; its cap is shared with other runs.
        """
        limit = request.wishes.max_latency_s
        run = LiveRun(request, Brake(None if limit is None else time.monotonic() + limit))
        task = asyncio.create_task(self._engine.handle(request, run, run.brake))
        run.task = task
        self._running[task] = run
        task.add_done_callback(self._running.pop)
        task.add_done_callback(lambda _: run.items.put_nowait(Finished()))
        if judge_later:
            task.add_done_callback(lambda task: self._judge_later(run, task))
        return run

    def told(self, run: LiveRun) -> None:
        """The last byte has left, or nobody reads it: what is judged for learning only may begin."""
        run.told.set()

    def leave(self, run: LiveRun) -> None:
        """The client has gone: no new call, and the running one has `linger_s` left."""
        if run.task is None or run.task.done():
            return
        run.brake.client_gone = True
        asyncio.get_running_loop().call_later(self._linger_s, run.brake.hang_up)
        # Nobody waits for this outcome any more, so its failure, which the engine has recorded, is not raised anywhere.
        run.task.add_done_callback(_seen)

    async def drain(self) -> None:
        """Wait for every run and every late verdict, at shutdown: no connection is open, so every client has gone."""
        for run in tuple(self._running.values()):
            self.leave(run)
        while self._running or self._late:
            for run in self._late.values():
                run.told.set()
            await asyncio.wait([*self._running, *self._late])

    def _judge_later(self, run: LiveRun, task: asyncio.Task[Outcome]) -> None:
        if task.cancelled() or task.exception() is not None or not self._engine.owes_a_verdict(task.result()):
            return
        late = asyncio.get_running_loop().create_task(self._afterwards(run, task.result()))
        self._late[late] = run
        late.add_done_callback(self._late.pop)

    async def _afterwards(self, run: LiveRun, outcome: Outcome) -> None:
        try:
            async with asyncio.timeout(LAST_BYTE_S):
                await run.told.wait()
        except TimeoutError:
            _log.info("a client takes long to read its answer", request=run.request.id)
        try:
            # A brake of its own: this answer's client may be gone for good reasons. Its time limit stays.
            await self._engine.afterwards(outcome, Brake(run.brake.deadline))
        except GearboxError as error:
            _log.warning("a late verdict is lost", request=run.request.id, error=error.message)


def _seen(task: asyncio.Task[Outcome]) -> None:
    if not task.cancelled():
        task.exception()
