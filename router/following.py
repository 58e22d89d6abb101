"""The index follows the store: what other workers and replicas learnt, what feedback changed, what is gone.

The law of this file: it moves questions from a `Feed` to `Neighbours` and knows neither's make. Its failures are
logged and tried again; a request never waits for it.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import structlog

from router.errors import GearboxError

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.ports import Feed, Neighbours

#: Seconds between two looks at the feed.
POLL_S = 1.0
#: Seconds between two looks for questions that are gone from the store.
SWEEP_S = 3600.0
#: Seconds to leave a store alone that is away.
AWAY_S = 2.0
#: How many ids are asked about at a time.
SWEEP_IDS = 1000

_log = structlog.get_logger("gearbox.feed")


class Follower:
    """Keeps one process's index in step with a shared store.

    Args:
        feed: what changed in the store.
        neighbours: the index; it is given all that the store holds first, where `load` has not been called.
        scope_of: a team -> the index's scope.
        poll_s: between two looks at the feed, in seconds.
        sweep_s: between two looks for what is gone, in seconds.
    """

    def __init__(
        self,
        feed: Feed,
        neighbours: Neighbours,
        scope_of: Callable[[str], str],
        *,
        poll_s: float = POLL_S,
        sweep_s: float = SWEEP_S,
    ) -> None:
        self._feed = feed
        self._neighbours = neighbours
        self._scope_of = scope_of
        self._poll_s = poll_s
        self._sweep_s = sweep_s
        self._loaded = False

    async def load(self) -> int:
        """Give the index all that the store holds; from then on `poll` tells the rest. How many questions.

        Raises:
            StoreUnavailable: the store is away; `run` tries again.
        """
        await self._feed.begin()
        taken = await self._neighbours.load(self._feed.questions(), self._scope_of)
        self._loaded = True
        return taken

    async def poll(self) -> int:
        """Take over what was labelled since the last call, by whomever; how many questions."""
        taken = 0
        while changed := await self._feed.changed():
            for question in changed:
                if question.labels:
                    scope = self._scope_of(question.team)
                    await self._neighbours.add(question.id, question.vector, question.labels, scope)
            taken += len(changed)
        return taken

    async def sweep(self) -> int:
        """Forget what is gone from the store; how many questions."""
        forgotten = 0
        for scope in await self._neighbours.scopes():
            ids, gone = await self._neighbours.ids(scope), list[str]()
            for start in range(0, len(ids), SWEEP_IDS):
                gone += await self._feed.gone(ids[start : start + SWEEP_IDS])
            if gone:
                await self._neighbours.forget(gone, scope)
            forgotten += len(gone)
        return forgotten

    async def run(self) -> None:
        """Follow until cancelled."""
        swept = time.monotonic()
        while True:
            try:
                if not self._loaded:
                    _log.info("history loaded", questions=await self.load())
                await self.poll()
                if time.monotonic() - swept >= self._sweep_s:
                    swept = time.monotonic()
                    _log.info("index swept", forgotten=await self.sweep())
            except (GearboxError, OSError) as error:
                _log.warning("the index cannot follow the store", error=type(error).__name__)
                await asyncio.sleep(AWAY_S)
            except Exception:  # noqa: BLE001 - not hidden: logged in full; the index stays as it is until it works again
                _log.exception("the index cannot follow the store")
                await asyncio.sleep(AWAY_S)
            await asyncio.sleep(self._poll_s)
