"""Margins follow the store: what the requests of other workers and replicas showed, within seconds.

The law of this file: it asks for what it does not know of the last minutes, over and over, since a request's row comes
when the request ends and not in the order of its time. One that ran for longer than LOOK_BACK_S elsewhere is learnt at
the next start.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Protocol

import structlog

from router.errors import GearboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from router.margins_state import Past
    from router.ports import History

#: Seconds between two looks, how far back each looks, and for how long a store is left alone that is away.
POLL_S, LOOK_BACK_S, AWAY_S = 1.0, 180.0, 5.0
_log = structlog.get_logger("gearbox.feed")


class Learner(Protocol):
    """What learns from finished requests."""

    @property
    def margin_policies(self) -> Sequence[str]:
        """Whose requests."""

    def knows(self, request_id: str) -> bool:
        """Whether it has learnt from this one."""

    def load(self, pasts: Iterable[tuple[str, Past]]) -> None:
        """Learn from these, each in its scope; those it knows change nothing."""


class MarginFollower:
    """Keeps one process's margins in step with a shared store.

    Args:
        history: the store.
        learner: where the margins are kept.
        scope_of: a team -> the margins' scope.
        poll_s: between two looks, in seconds.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        history: History,
        learner: Learner,
        scope_of: Callable[[str], str],
        *,
        poll_s: float = POLL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._history = history
        self._learner = learner
        self._scope_of = scope_of
        self._poll_s = poll_s
        self._clock = clock

    async def poll(self) -> int:
        """Learn what others' requests showed since the last time; how many requests."""
        since = self._clock() - LOOK_BACK_S
        new = await self._history.pasts_since(self._learner.margin_policies, since, self._learner.knows)
        self._learner.load((self._scope_of(team), past) for team, past in new)
        return len(new)

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.poll()
            except (GearboxError, OSError) as error:
                _log.warning("margins cannot follow the store", error=type(error).__name__)
                await asyncio.sleep(AWAY_S)
            except Exception:  # noqa: BLE001 - not hidden: logged in full; margins stay as they are until it works again
                _log.exception("margins cannot follow the store")
                await asyncio.sleep(AWAY_S)
