"""What keeps a run from starting new paid calls, and ends the one that nobody waits for any more.

The law of this file: a run is never cancelled from outside; a call is, and the run then ends in order, with every cost
settled and recorded.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router.domain import Stop
from router.errors import UpstreamTimeout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(slots=True)
class Brake:
    """One request's brake: its deadline (monotonic seconds), and whether its client has gone."""

    deadline: float | None = None
    client_gone: bool = False
    clock: Callable[[], float] = time.monotonic
    _running: asyncio.Timeout | None = field(default=None, repr=False)

    @property
    def stop(self) -> Stop | None:
        """Why no new call may start; None = go on."""
        if self.client_gone:
            return Stop.CLIENT
        return Stop.LATENCY if self.deadline is not None and self.clock() >= self.deadline else None

    def allows_wait(self, seconds: float) -> bool:
        """Whether a call may still start after a pause of that length."""
        return self.deadline is None or self.clock() + seconds < self.deadline

    @asynccontextmanager
    async def over_call(self) -> AsyncIterator[None]:
        """Run one call so that `hang_up` can end it.

        Raises:
            UpstreamTimeout: it was hung up; the vendor may bill it all the same.
        """
        try:
            async with asyncio.timeout(None) as self._running:
                yield
        except TimeoutError as error:
            raise UpstreamTimeout("hung up: the client has gone") from error
        finally:
            self._running = None

    def hang_up(self) -> None:
        """End the running call, if there is one, and let no other start."""
        self.client_gone = True
        if self._running is not None and not self._running.expired():
            self._running.reschedule(asyncio.get_running_loop().time())
