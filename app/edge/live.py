"""Runs in flight: each is a task of its own, so that a client that leaves ends nothing but its own waiting.

wire.md, Clients: after a disconnect no new paid call starts, and the one running lives `linger_s` more; a retry joins
it. Who joins whom is decided in `joining`, across workers by `shared`. What is judged for learning only begins after
the last byte has left and then goes on, whatever the client does (`Late`).
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import structlog

from app.edge.deserted import LEFT_KEPT_S
from app.edge.joining import fingerprint, idempotency_key, other_body, retry_key
from app.edge.sharing import Alone
from cascade.brake import Brake
from cascade.keep import JOINED
from router.errors import GearboxError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.edge.sharing import Shared
    from cascade.engine import Engine
    from router.domain import Outcome, Request
    from router.ports import Listener

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


@dataclass(frozen=True, slots=True)
class Ready:
    """Bytes that a writer has made already, where several runs are told as one."""

    data: bytes


class Finished:
    """The run has ended; its task holds the outcome."""


class Gone:
    """The client has gone."""


Item: TypeAlias = Note | Chunk | Ready | Finished | Gone


@dataclass(slots=True, eq=False)
class LiveRun:
    """One run as its edge follows it: a `Listener` whose queue the edge reads.

    `leader` is the run that this one has joined, if it has; `heard` is everything so far, for those who join later;
    `followers` are those who have.
    """

    request: Request
    brake: Brake
    items: asyncio.Queue[Item] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[Outcome] | None = None
    leader: LiveRun | None = None
    heard: list[Item] = field(default_factory=list)
    followers: list[LiveRun] = field(default_factory=list)
    left: bool = False
    hanging_up: asyncio.TimerHandle | None = None
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def progress(self, note: str) -> None:
        """Queue a note."""
        self._tell(Note(note))

    async def chunk(self, event: Mapping[str, Any]) -> None:
        """Queue an event."""
        self._tell(Chunk(event))

    async def outcome(self) -> Outcome:
        """The run's end; raises what the run raised."""
        if self.task is None:
            raise RuntimeError("the run was not started")
        return await asyncio.shield(self.task)

    def follow(self, leader: LiveRun) -> None:
        """Hear everything that the leader has heard and will hear."""
        self.leader = leader
        for item in leader.heard:
            self.items.put_nowait(item)
        leader.followers.append(self)

    @property
    def failed(self) -> bool:
        """Whether it has ended without an answer that a next try could be given."""
        if self.task is None or not self.task.done():
            return False
        return self.task.cancelled() or self.task.exception() is not None or self.task.result().error is not None

    @property
    def deserted(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.left and all(follower.left for follower in self.followers)

    def _tell(self, item: Item) -> None:
        self.heard.append(item)
        for run in (self, *self.followers):
            run.items.put_nowait(item)


class Server(Protocol):
    """Whoever serves a request: the engine, or the embeddings."""

    async def handle(self, request: Request, listener: Listener, brake: Brake) -> Outcome:
        """See `Engine.handle`."""


class Desk:
    """Starts runs and sees them to their end."""

    def __init__(self, engine: Engine, linger_s: float, shared: Shared | None = None) -> None:
        """Build it.

        Args:
            engine: what serves a request.
            linger_s: how long a running call outlives its client, in seconds.
            shared: what stands before the engine: limits, and joins across workers.
        """
        self._engine = engine
        self._linger_s = linger_s
        self._shared = shared or Alone()
        self._running: dict[asyncio.Task[Outcome], LiveRun] = {}
        self._late: dict[asyncio.Task[None], LiveRun] = {}
        self._keyed: dict[str, tuple[str, LiveRun]] = {}
        self._deserted: dict[str, list[LiveRun]] = {}

    def start(self, request: Request, server: Server | None = None, *, judge_later: bool = True) -> LiveRun:
        """Start serving a request, or join the run that serves it already.

        Args:
            request: what to serve.
            server: who serves it; None = the engine.
            judge_later: False = an answer that is served unjudged stays so; its cap is shared with other runs.

        The run's `request` is then the one that is served: its id is the one to tell.

        Raises:
            RequestError: the idempotency key belongs to another request.
        """
        limit = request.wishes.max_latency_s
        run = LiveRun(request, Brake(None if limit is None else time.monotonic() + limit))
        body = fingerprint(request) if _may_join(request) else ""
        leader = self._leader(request, body)
        if leader is not None:
            run.request = replace(request, id=leader.request.id)
            run.follow(leader)
            run.task = asyncio.create_task(self._joined(leader))
        else:
            run.task = asyncio.create_task(self._serve(run, body, server or self._engine))
            self._remember(run, body)
        self._running[run.task] = run
        run.task.add_done_callback(self._running.pop)
        run.task.add_done_callback(lambda _: run.items.put_nowait(Finished()))
        run.task.add_done_callback(self._note_joined)
        if judge_later and leader is None:
            run.task.add_done_callback(lambda task: self._judge_later(run, task))
        return run

    def told(self, run: LiveRun) -> None:
        """The last byte has left, or nobody reads it: what is judged for learning only may begin."""
        run.told.set()

    def leave(self, run: LiveRun) -> None:
        """The client has gone: once nobody waits, no new call, and the running one has `linger_s` left."""
        run.left = True
        if run.task is not None:
            # Nobody waits for this outcome any more; its failure, which the engine has recorded, is raised nowhere.
            run.task.add_done_callback(_seen)
        leader = run.leader or run
        if leader.task is None or leader.task.done() or not leader.deserted:
            return
        leader.brake.client_gone = True
        leader.hanging_up = asyncio.get_running_loop().call_later(self._linger_s, leader.brake.hang_up)
        leader.task.add_done_callback(_seen)
        self._desert(leader)

    async def drain(self) -> None:
        """Wait for every run and every late verdict, at shutdown: no connection is open, so every client has gone."""
        for run in tuple(self._running.values()):
            self.leave(run)
        while self._running or self._late:
            for run in self._late.values():
                run.told.set()
            await asyncio.wait([*self._running, *self._late])

    def _note_joined(self, task: asyncio.Task[Outcome]) -> None:
        """Where another request's run answered, here or on another worker, no record of this one would say so."""
        if not task.cancelled() and task.exception() is None and task.result().cache == JOINED:
            self._engine.joined(task.result())

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

    async def _serve(self, run: LiveRun, body: str, server: Server) -> Outcome:
        async with self._shared.turn(run.request, body) as turn:
            if turn.answered is None:
                outcome = await server.handle(run.request, run, run.brake)
                await turn.finish(outcome)
                return outcome
            return turn.answered

    async def _joined(self, leader: LiveRun) -> Outcome:
        if leader.left:
            await self._shared.met(leader.request.id)
        return replace(await leader.outcome(), cache=JOINED)

    def _leader(self, request: Request, body: str) -> LiveRun | None:
        """The run in this process that this request joins."""
        key = idempotency_key(request)
        if key is not None:
            known = self._keyed.get(key)
            if known is None:
                return None
            if known[0] != body:
                raise other_body()
            return self._met(known[1])
        if not request.wishes.retry_count:
            return None
        waiting = self._deserted.get(retry_key(request, body), [])
        found = next((run for run in waiting if not run.failed), None)
        return None if found is None else self._met(found)

    def _met(self, leader: LiveRun) -> LiveRun:
        """Somebody waits for this run again: it goes on as if nobody had left, and no second retry joins it."""
        leader.brake.client_gone = False
        if leader.hanging_up is not None:
            leader.hanging_up.cancel()
        for waiting in self._deserted.values():
            with suppress(ValueError):
                waiting.remove(leader)
        return leader

    def _remember(self, run: LiveRun, body: str) -> None:
        """While it runs, a repeat of its idempotency key joins it here; afterwards the stored answer is `shared`'s."""
        key = idempotency_key(run.request)
        if key is None or run.task is None:
            return
        self._keyed[key] = (body, run)
        run.task.add_done_callback(lambda _: self._keyed.pop(key, None))

    def _desert(self, leader: LiveRun) -> None:
        """Let the client's next try find it, while it runs and a while longer."""
        body = fingerprint(leader.request)
        key = retry_key(leader.request, body)
        self._deserted.setdefault(key, []).append(leader)
        self._shared.deserted(leader.request, body, leader.outcome)

        def forget() -> None:
            kept = [run for run in self._deserted.pop(key, []) if run is not leader]
            if kept:
                self._deserted[key] = kept

        loop = asyncio.get_running_loop()
        if leader.task is not None:
            leader.task.add_done_callback(lambda _: loop.call_later(LEFT_KEPT_S, forget))


def _may_join(request: Request) -> bool:
    return request.wishes.idempotency_key is not None or request.wishes.retry_count > 0


def _seen(task: asyncio.Task[Outcome]) -> None:
    if not task.cancelled():
        task.exception()
