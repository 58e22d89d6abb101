"""The two shapes of an answer on the wire: one JSON body, or a stream whose status waits for the first seconds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import orjson
import structlog
from starlette.background import BackgroundTask
from starlette.responses import Response

from app.edge.errors import body_of, headers_of, status_of
from app.edge.live import Chunk, Finished, Gone, Note, Ready
from app.edge.reports import body, headers
from app.observe.request_log import refused
from cascade.upstreams.sse import comment
from router.errors import GearboxError, InternalFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from starlette.types import Receive, Scope, Send

    from app.edge.live import Desk, Item, LiveRun
    from app.edge.reports import Extras
    from router.domain import Outcome, Request

    Shape: TypeAlias = Callable[[Outcome, Extras], dict[str, Any]]

_log = structlog.get_logger("gearbox.edge")
_Run_contra = TypeVar("_Run_contra", contravariant=True)

#: A silent stream says something this often, so that proxies and clients keep it open.
KEEP_ALIVE_S = 10.0
HTTP_OK = 200


def json_response(status: int, content: Any, extra: Mapping[str, str] | None = None) -> Response:
    """A JSON body; floats keep every digit."""
    return Response(orjson.dumps(content), status, dict(extra or {}), "application/json")


def error_response(error: GearboxError, request_id: str, outcome: Outcome | None = None) -> Response:
    """An error's body, with what was spent on it where anything was."""
    if outcome is None:
        log_refusal(error, request_id, status_of(error))
    told = {"x-request-id": request_id, **(headers(outcome) if outcome else {}), **headers_of(error)}
    return json_response(status_of(error), body_of(error), told)


def log_refusal(error: GearboxError, request_id: str, status: int) -> None:
    """The line of a request that left no outcome, whose line it would be."""
    refused(request_id, status, type(error).__name__, error.code)


async def whole_response(run: LiveRun, desk: Desk, extras: Extras, receive: Receive, shape: Shape = body) -> Response:
    """Wait for the run's end, or for the client's; `shape` is the answer's body as this route gives it."""
    watcher = asyncio.create_task(until_gone(receive))
    try:
        waiting = asyncio.create_task(run.outcome())
        await asyncio.wait({waiting, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            desk.leave(run)
            waiting.cancel()
            return Response(status_code=499)  # nobody reads it; the log's word for a client that closed
        outcome = waiting.result()
    except GearboxError as error:
        return error_response(error, run.request.id)
    finally:
        watcher.cancel()
    if outcome.error is not None:
        return error_response(outcome.error, run.request.id, outcome)
    return telling(json_response(200, shape(outcome, extras), headers(outcome)), desk, [run])


def telling(response: Response, desk: Desk, runs: Sequence[LiveRun]) -> Response:
    """The response, which lets these runs' late verdicts begin once its last byte has left."""

    async def told() -> None:
        for run in runs:
            desk.told(run)

    response.background = BackgroundTask(told)
    return response


class Writer(Protocol):
    """How one route tells a run as server-sent events."""

    def begin(self) -> bytes:
        """What stands before everything, once the status is sent; b"" = nothing."""

    def live(self, chunk: Mapping[str, Any]) -> bytes:
        """One event of a live answer; b"" = held back, or not for the client."""

    def finish(self, outcome: Outcome) -> Iterable[bytes]:
        """The rest of an answer."""

    def fail(self, error: GearboxError, outcome: Outcome | None = None) -> bytes:
        """An error after the first byte, with what was spent on it where anything was; the stream ends after it."""


class Running(Protocol):
    """What a stream follows: a run, or several told as one."""

    @property
    def request(self) -> Request:
        """Whose id and policy are told."""

    @property
    def items(self) -> asyncio.Queue[Item]:
        """What happens, until it is `Finished`."""

    async def outcome(self) -> Outcome:
        """The end; raises what the run raised."""


class Watching(Protocol[_Run_contra]):
    """Who is told how a stream ends: the desk, or what stands before it where runs are told as one."""

    def leave(self, run: _Run_contra) -> None:
        """The client has gone."""

    def told(self, run: _Run_contra) -> None:
        """The last byte has left, or nobody reads it."""


class EventResponse(Response):
    """A stream. Until `hold_status_s` have passed or an event is ready, no status is sent: a failure is a real one."""

    def __init__(self, run: Running, desk: Watching[Any], writer: Writer, hold_status_s: float) -> None:
        super().__init__(media_type="text/event-stream")
        self._run = run
        self._desk = desk
        self._hold_status_s = hold_status_s
        self._writer = writer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the run has ended or the client has gone."""
        watcher = asyncio.create_task(self._watch(receive))
        try:
            notes, item = await self._held_back()
            if isinstance(item, Finished):
                early = await self._early_end()
                if early is not None:
                    await early(scope, receive, send)
                    return
            await self._start(send)
            await self._pour(send, notes, item)
        except OSError:  # the connection broke while we wrote
            self._desk.leave(self._run)
        finally:
            watcher.cancel()
            self._desk.told(self._run)

    async def _watch(self, receive: Receive) -> None:
        await until_gone(receive)
        self._run.items.put_nowait(Gone())

    async def _held_back(self) -> tuple[list[Note], Item | None]:
        """The notes so far, and the first item that is more than a note; None where the waiting is over first."""
        notes: list[Note] = []
        try:
            async with asyncio.timeout(self._hold_status_s):
                while isinstance(item := await self._run.items.get(), Note):
                    notes.append(item)
        except TimeoutError:
            return notes, None
        return notes, item

    async def _early_end(self) -> Response | None:
        """An error that came before any byte was sent has a status of its own."""
        try:
            outcome = await self._run.outcome()
        except GearboxError as error:
            return error_response(error, self._run.request.id)
        return None if outcome.error is None else error_response(outcome.error, self._run.request.id, outcome)

    async def _start(self, send: Send) -> None:
        known = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
            "x-request-id": self._run.request.id,
            "x-gearbox-policy": self._run.request.policy,
        }
        raw = [(name.encode(), value.encode()) for name, value in known.items()]
        await send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _pour(self, send: Send, notes: list[Note], item: Item | None) -> None:
        await _write(send, self._writer.begin())
        for note in notes:
            await _write(send, comment(note.text))
        while not isinstance(item, Finished | Gone):
            if isinstance(item, Chunk):
                await _write(send, self._writer.live(item.event))
            elif isinstance(item, Ready):
                await _write(send, item.data)
            elif isinstance(item, Note):
                await _write(send, comment(item.text))
            item = await self._next()
        if isinstance(item, Gone):
            self._desk.leave(self._run)
            return
        await self._end(send)

    async def _next(self) -> Item:
        try:
            async with asyncio.timeout(KEEP_ALIVE_S):
                return await self._run.items.get()
        except TimeoutError:
            return Note("working")

    async def _end(self, send: Send) -> None:
        try:
            outcome = await self._run.outcome()
        except GearboxError as error:
            log_refusal(error, self._run.request.id, HTTP_OK)  # the status was sent before the error came
            await _write(send, self._writer.fail(error))
        except Exception:  # noqa: BLE001 - the status is sent, so the stream itself has to say it; logged in full
            _log.exception("a fault of ours", request=self._run.request.id)
            await _write(send, self._writer.fail(InternalFault(self._run.request.id)))
        else:
            if outcome.error is not None:
                await _write(send, self._writer.fail(outcome.error, outcome))
            else:
                for part in self._writer.finish(outcome):
                    await _write(send, part)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, data: bytes) -> None:
    if data:
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def until_gone(receive: Receive) -> None:
    """Wait until the client has closed its connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
