"""Runs whose client has left: its next try finds them, wherever it arrives.

The law of this file: each run is found once. Five samples whose client gave up on all of them are five runs, and its
five next tries find one each. So a run is offered in a place of its own, and who finds it takes the place.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import structlog

from app.edge.joining import retry_key

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterator

    from app.edge.claims import Claims
    from router.domain import Outcome, Request

#: How long a deserted run's answer waits for its client's next try, in seconds.
LEFT_KEPT_S = 60.0
#: How long a place stays taken: longer than a run and its answer last.
TAKEN_S = 3600.0
#: Identical runs that can wait for their clients at a time; those beyond are found by nobody.
PLACES = 32
_log = structlog.get_logger("gearbox.joins")


@dataclass(slots=True)
class Deserted:
    """The deserted runs of all workers."""

    claims: Claims
    _places: dict[str, asyncio.Task[str | None]] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def offer(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """Let the next try of its client find this run."""
        if request.id in self._places:
            self._start(self._again(request.id))
            return
        place = asyncio.create_task(self._place(request, body))
        self._places[request.id] = place
        self._start(self._offer(request, place, outcome))

    async def met(self, run_id: str) -> None:
        """A run was found in this process: nobody else is to find it."""
        place = await self._place_of(run_id)
        if place is not None:
            await self.claims.free(_taken(place), run_id, run_id, TAKEN_S)

    async def find(self, request: Request, body: str) -> Outcome | None:
        """The outcome of a run that this request's earlier try has left, waited for; None where there is none."""
        for place in _places(request, body):
            if not await self.claims.joins.claimed(place):
                return None
            if await self.claims.free(_taken(place), request.id, request.id, TAKEN_S):
                return await self._left(place, request, body)
        return None

    async def _left(self, place: str, request: Request, body: str) -> Outcome | None:
        found = await self.claims.settled(place, request, body)
        if found is None:  # it ended without an answer, or with its worker
            await self.claims.joins.drop(place, request.id)
        return found

    async def _again(self, run_id: str) -> None:
        """Who had found it in this process has left, too."""
        place = await self._place_of(run_id)
        if place is not None:
            await self.claims.joins.drop(_taken(place), run_id)

    async def _place_of(self, run_id: str) -> str | None:
        place = self._places.get(run_id)
        return None if place is None else await place

    async def _offer(
        self, request: Request, placed: asyncio.Task[str | None], outcome: Callable[[], Awaitable[Outcome]]
    ) -> None:
        place, ended = await placed, None
        if place is None:
            return
        try:
            async with self.claims.renewed(place, request.id):
                ended = await outcome()
        except Exception:  # noqa: BLE001 - the run's own task tells and logs it
            _log.debug("a deserted run failed", request=request.id)
        await self.claims.leave(place, request.id, ended, LEFT_KEPT_S)
        asyncio.get_running_loop().call_later(LEFT_KEPT_S, self._places.pop, request.id, None)

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _place(self, request: Request, body: str) -> str | None:
        """A place that is free, claimed: no run is offered there, and none that was has been found there lately."""
        for place in _places(request, body):
            if not await self.claims.joins.claimed(_taken(place)) and await self.claims.free(place, body, request.id):
                return place
        return None


def _places(request: Request, body: str) -> Iterator[str]:
    return (f"{retry_key(request, body)}:{number}" for number in range(PLACES))


def _taken(place: str) -> str:
    return f"{place}:taken"
