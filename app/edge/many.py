"""Several runs for one HTTP request: each its own decision and its own row, one answer together."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from app.edge.reports import total_headers
from app.edge.responses import error_response, json_response, telling, until_gone
from router.errors import BudgetExhausted, GearboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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
    requests = [_own_key(request, place) for place, request in enumerate(requests)]
    runs: list[LiveRun] = []
    working = asyncio.create_task(_all(requests, desk, runs))
    watcher = asyncio.create_task(until_gone(receive))
    try:
        await asyncio.wait({working, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            working.cancel()
            for run in runs:
                desk.leave(run)
            return Response(status_code=499)  # nobody reads it
        outcomes = working.result()
    except GearboxError as error:
        return error_response(error, requests[0].id)
    finally:
        watcher.cancel()
    failed = next((outcome for outcome in outcomes if outcome.error is not None), None)
    if failed is not None and failed.error is not None:
        return error_response(failed.error, requests[0].id, failed)
    return telling(json_response(200, shape(outcomes), total_headers(outcomes)), desk, runs)


def _own_key(request: Request, place: int) -> Request:
    """One idempotency key for all of them is one for each."""
    key = request.wishes.idempotency_key
    if key is None:
        return request
    return replace(request, wishes=replace(request.wishes, idempotency_key=f"{key}#{place}"))


async def _all(requests: Sequence[Request], desk: Desk, runs: list[LiveRun]) -> list[Outcome]:
    """Under a cap one after the other, since it is the cap of all together; else several at once."""
    if requests[0].wishes.cap_nanousd is not None:
        return await _within(requests, desk, runs, requests[0].wishes.cap_nanousd)
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(request: Request) -> Outcome:
        async with turns:
            return await _run(request, desk, runs)

    return await asyncio.gather(*map(one, requests))


async def _within(requests: Sequence[Request], desk: Desk, runs: list[LiveRun], cap_nanousd: int) -> list[Outcome]:
    outcomes: list[Outcome] = []
    left = cap_nanousd
    for request in requests:
        if left <= 0:
            raise BudgetExhausted(
                f"x-gearbox-budget-usd was spent after {len(outcomes)} of {len(requests)} prompts; raise it, or send "
                "fewer prompts",
                param="x-gearbox-budget-usd",
            )
        outcome = await _run(replace(request, wishes=replace(request.wishes, cap_nanousd=left)), desk, runs)
        outcomes.append(outcome)
        left -= outcome.cost_nanousd or 0
        if outcome.error is not None:
            break
    return outcomes


async def _run(request: Request, desk: Desk, runs: list[LiveRun]) -> Outcome:
    # Under a cap all prompts share it, and the next one is asked before this one's late verdict is paid.
    run = desk.start(request, judge_later=request.wishes.cap_nanousd is None)
    runs.append(run)
    return await run.outcome()
