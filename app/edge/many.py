"""Several runs for one HTTP request: each its own decision and its own row, one answer together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from app.edge.reports import total_headers
from app.edge.responses import error_response, json_response, telling, until_gone
from router.errors import BudgetExhausted, GearboxError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.types import Receive

    from app.edge.live import Desk, LiveRun
    from router.domain import Outcome, Request

#: Runs of one HTTP request at the same time.
AT_ONCE = 8


async def answered_together(
    requests: Sequence[Request],
    desk: Desk,
    receive: Receive,
    shape: Callable[[Sequence[Outcome]], dict[str, Any]],
) -> Response:
    """Run them all and answer with one body, or with the first error in their order."""
    party = Party(requests, desk)
    working = asyncio.create_task(party.outcomes())
    watcher = asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait({working, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            party.left()
            return Response(status_code=499)  # nobody reads it
        outcomes = working.result()
    except GearboxError as error:
        party.left()
        return error_response(error, requests[0].id)
    finally:
        watcher.cancel()
    failed = next((outcome for outcome in outcomes if outcome.error is not None), None)
    if failed is not None and failed.error is not None:
        return error_response(failed.error, requests[0].id, failed)
    return telling(json_response(200, shape(outcomes), total_headers(outcomes)), desk, party.runs)


async def _its_end(_: int, run: LiveRun) -> Outcome:
    return await run.outcome()


@dataclass(slots=True)
class Party:
    """The runs of one HTTP request; `follow(place, run)` waits for the end of each."""

    requests: Sequence[Request]
    desk: Desk
    follow: Callable[[int, LiveRun], Awaitable[Outcome]] = _its_end
    runs: list[LiveRun] = field(default_factory=list)

    async def outcomes(self) -> list[Outcome]:
        """Under a cap one after the other, since it is the cap of all together; else several at once."""
        cap_nanousd = self.requests[0].wishes.cap_nanousd
        if cap_nanousd is not None:
            return await self._within(cap_nanousd)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(place: int, request: Request) -> Outcome:
            async with turns:
                return await self._run(place, request)

        working = [asyncio.create_task(one(place, request)) for place, request in enumerate(self.requests)]
        try:
            return await asyncio.gather(*working)
        finally:
            for task in working:  # after one's failure no other begins
                task.cancel()

    def left(self) -> None:
        """Nobody waits for those that still run."""
        for run in self.runs:
            self.desk.leave(run)

    async def _within(self, cap_nanousd: int) -> list[Outcome]:
        outcomes: list[Outcome] = []
        left = cap_nanousd
        for place, request in enumerate(self.requests):
            if left <= 0:
                raise BudgetExhausted(
                    f"x-gearbox-budget-usd was spent after {place} of {len(self.requests)} prompts; raise it, or send "
                    "fewer prompts",
                    param="x-gearbox-budget-usd",
                )
            outcome = await self._run(place, replace(request, wishes=replace(request.wishes, cap_nanousd=left)))
            outcomes.append(outcome)
            left -= outcome.cost_nanousd or 0
            if outcome.error is not None:
                break
        return outcomes

    async def _run(self, place: int, request: Request) -> Outcome:
        # Under a cap all prompts share it, and the next one is asked before this one's late verdict is paid.
        run = self.desk.start(_own_key(request, place), judge_later=request.wishes.cap_nanousd is None)
        self.runs.append(run)
        return await self.follow(place, run)


def _own_key(request: Request, place: int) -> Request:
    """One idempotency key for all of them is one for each."""
    key = request.wishes.idempotency_key
    if key is None:
        return request
    return replace(request, wishes=replace(request.wishes, idempotency_key=f"{key}#{place}"))
