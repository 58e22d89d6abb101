"""Several runs told as one stream: events in the order they come, the first failure ends it.

The law of this file: it looks like one run to `EventResponse`. What the events say is decided in `completions`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.edge.live import Chunk, Finished, Item, Ready
from app.edge.many import Party
from app.edge.responses import EventResponse

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from app.edge.completions import TextsWriter
    from app.edge.live import Desk, LiveRun
    from router.domain import Outcome, Request
    from router.errors import GearboxError


def streamed_together(
    requests: Sequence[Request], desk: Desk, writer: TextsWriter, hold_status_s: float
) -> EventResponse:
    """Run them all and tell of them as they answer."""
    told = _AsOne(requests, desk, writer)
    return EventResponse(told, told, told, hold_status_s)


class _Ended(Exception):
    """One of them failed, so that the stream ends and nobody waits for the others."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("a run failed")
        self.outcome = outcome


class _AsOne:
    """Several runs as the one that `EventResponse` follows, with its desk and its writer."""

    def __init__(self, requests: Sequence[Request], desk: Desk, writer: TextsWriter) -> None:
        self.request = requests[0]
        self.items: asyncio.Queue[Item] = asyncio.Queue()
        self._desk = desk
        self._writer = writer
        self._party = Party(requests, desk, self._follow)
        self._task = asyncio.create_task(self._all())
        self._task.add_done_callback(self._finished)

    async def outcome(self) -> Outcome:
        """The first failure, or the first prompt's outcome where all went well; raises what a run raised."""
        return await asyncio.shield(self._task)

    def leave(self, _: object) -> None:
        """The client has gone."""
        self._task.cancel()

    def told(self, _: object) -> None:
        """The last byte has left, or nobody reads it."""
        for run in self._party.runs:
            self._desk.told(run)

    def begin(self) -> bytes:
        """See `TextsWriter`."""
        return self._writer.begin()

    def live(self, _: object) -> bytes:
        """Nothing: the events of several runs come ready made."""
        return b""

    def finish(self, _: Outcome) -> Iterator[bytes]:
        """See `TextsWriter`."""
        yield self._writer.finish()

    def fail(self, error: GearboxError, outcome: Outcome | None = None) -> bytes:
        """See `TextsWriter`."""
        return self._writer.fail(error, outcome)

    def _finished(self, task: asyncio.Task[Outcome]) -> None:
        if not task.cancelled():
            task.exception()  # told by whoever waits for the outcome, if anybody does
        self.items.put_nowait(Finished())

    async def _all(self) -> Outcome:
        try:
            return (await self._party.outcomes())[0]
        except _Ended as ended:
            return ended.outcome
        finally:
            self._party.left()  # those that still run have nobody who will read them

    async def _follow(self, place: int, run: LiveRun) -> Outcome:
        while not isinstance(item := await run.items.get(), Finished):
            if not isinstance(item, Chunk):
                self.items.put_nowait(item)
            elif data := self._writer.live(place, item.event):
                self.items.put_nowait(Ready(data))
        outcome = await run.outcome()
        if outcome.error is not None:
            raise _Ended(outcome)
        self.items.put_nowait(Ready(self._writer.ended(place, outcome)))
        return outcome
