"""Rate limits in SQL: for all workers on one store, where there is no Redis.

The law of this file: `limits`' rule, applied to one row a key, which is locked meanwhile. The time is the database's.
The store away or slow: `instead` decides, this process alone.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite

from router.errors import StoreUnavailable
from storage.clock import database_time
from storage.engine import writing
from storage.faults import guard
from storage.money.limits import Bucket, Instead, Leave, Pace, own
from storage.money.schema import rate as rates

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from router.domain import RateLimits
    from router.ports import Limiter, Permit

_log = structlog.get_logger("gearbox.limits")


class SqlLimiter:
    """See `Limiter`.

    Args:
        engine: the store's, its tables up to date; not closed here.
        instead: this process's own limits.
        patience_s: how long one operation may take.
        clock: seconds since the epoch instead of the database's own time; for tests.
    """

    def __init__(
        self, engine: AsyncEngine, instead: Limiter, patience_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._engine = engine
        self._instead = instead
        self._patience_s = patience_s
        self._clock = clock

    async def admit(self, key_id: str, limits: RateLimits, tokens: int) -> Permit:
        """See `Limiter`."""
        leave = Leave(key_id, limits, tokens)
        try:
            async with self._locked(key_id) as (pace, now):
                pace.admit(leave, now)
        except StoreUnavailable:
            _log.warning("limits are this worker's own until the store is back", key=key_id)
            return Instead(await self._instead.admit(key_id, limits, tokens))
        return leave

    async def renew(self, permit: Permit) -> None:
        """See `Limiter`."""
        if isinstance(permit, Instead):
            await self._instead.renew(permit.permit)
            return
        with suppress(StoreUnavailable):  # the next one may come in time
            async with self._locked(permit.key_id) as (pace, now):
                pace.renew(own(permit), now)

    async def leave(self, permit: Permit, tokens: int) -> None:
        """See `Limiter`."""
        if isinstance(permit, Instead):
            await self._instead.leave(permit.permit, tokens)
            return
        with suppress(StoreUnavailable):  # it is forgotten there after `LOST_S`
            async with self._locked(permit.key_id) as (pace, now):
                pace.leave(own(permit), tokens, now)

    @asynccontextmanager
    async def _locked(self, key_id: str) -> AsyncIterator[tuple[Pace, float]]:
        """A key's pace, kept as it is at the end of the block; nothing is changed where that raises.

        Raises:
            StoreUnavailable: the store is away or slow.
        """
        dialect = postgresql if self._engine.dialect.name == "postgresql" else sqlite
        first = dialect.insert(rates).values(key_id=key_id, pace=_written(Pace()))
        try:
            async with asyncio.timeout(self._patience_s):
                with guard("limiting rates"):
                    async with writing(self._engine).begin() as connection:
                        await connection.execute(first.on_conflict_do_nothing())
                        row = select(rates.c.pace).where(rates.c.key_id == key_id).with_for_update()
                        pace = _read((await connection.execute(row)).scalar_one())
                        now = (await connection.execute(select(database_time(self._engine, self._clock)))).scalar_one()
                        yield pace, now.timestamp()
                        kept = update(rates).where(rates.c.key_id == key_id).values(pace=_written(pace))
                        await connection.execute(kept)
        except TimeoutError as error:
            raise StoreUnavailable(f"the store has been silent for {self._patience_s} s") from error


def _written(pace: Pace) -> dict[str, Any]:
    return asdict(pace)


def _read(kept: dict[str, Any]) -> Pace:
    return Pace({kind: Bucket(**bucket) for kind, bucket in kept["buckets"].items()}, dict(kept["running"]))
