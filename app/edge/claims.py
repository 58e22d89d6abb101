"""Claims of runs across workers: one runs, the others wait for its answer.

The law of this file: what `Joins` means in time: how long a claim lives, what renews it, how often it is asked for.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.edge.joining import other_body
from cascade.keep import joined, pack
from router.ports import ClaimState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from router.domain import Outcome, Request, Tier
    from router.ports import Joins

#: Seconds: after how much silence a runner counts as dead; how often a waiting worker looks.
CLAIM_S, LOOK_S = 15.0, 0.1


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of one worker."""

    joins: Joins
    ladder: Sequence[Tier]

    async def settled(self, key: str, request: Request, body: str) -> Outcome | None:
        """The outcome of the run that has claimed the key, waited for; None: it is claimed for this request now.

        Raises:
            RequestError: the key was claimed for another body.
        """
        while True:
            claim = await self.joins.claim(key, body, request.id, CLAIM_S)
            match claim.state:
                case ClaimState.MINE:
                    return None
                case ClaimState.OTHER_BODY:
                    raise other_body()
                case ClaimState.DONE:
                    return joined(claim.answer or b"{}", request, self.ladder)
                case ClaimState.RUNNING:
                    await asyncio.sleep(LOOK_S)

    async def free(self, key: str, body: str, owner: str, ttl_s: float = CLAIM_S) -> bool:
        """Claim the key; whether it was free."""
        return (await self.joins.claim(key, body, owner, ttl_s)).state is ClaimState.MINE

    @asynccontextmanager
    async def renewed(self, key: str, owner: str) -> AsyncIterator[None]:
        """Keep a claim alive meanwhile."""
        async with repeated(CLAIM_S / 3, lambda: self.joins.renew(key, owner, CLAIM_S)):
            yield

    async def leave(self, key: str, owner: str, outcome: Outcome | None, keep_s: float) -> None:
        """Leave the answer for those who wait and those who come within `keep_s`; without one the key is free again."""
        kept = None if outcome is None else pack(outcome)
        if kept is None:
            await self.joins.drop(key, owner)
        else:
            await self.joins.finish(key, owner, kept, keep_s)


@asynccontextmanager
async def repeated(every_s: float, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do something again and again until the block ends."""

    async def go_on() -> None:
        while True:
            await asyncio.sleep(every_s)
            await work()

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
