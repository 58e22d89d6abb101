"""Who runs what, and the answers left for those who come later, in SQL: for all workers on one store.

The law of this file: `joins`' rule as statements; a claim is one INSERT that takes over what has expired, everything
else one UPDATE or DELETE of what is the owner's own. Whoever waits only reads. The time is the database's.

The store away or slow: `instead` decides, this process alone. A claim that was made here expires by itself then.
"""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from sqlalchemy import and_, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from router.errors import StoreUnavailable
from router.ports import Claim, ClaimState
from storage.clock import database_time
from storage.engine import writing
from storage.faults import guard
from storage.schema import claim as claims

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from router.ports import Joins

_T = TypeVar("_T")
#: Seconds for which a store is left alone after it failed.
LEFT_ALONE_S = 1.0
_log = structlog.get_logger("gearbox.joins")


class SqlJoins:
    """See `Joins`; for all workers on one store, and by `instead` while it is away.

    Args:
        engine: the store's, its tables up to date; not closed here.
        instead: this process's own.
        patience_s: how long one operation may take.
        clock: seconds since the epoch instead of the database's own time; for tests.
    """

    def __init__(
        self, engine: AsyncEngine, instead: Joins, patience_s: float, clock: Callable[[], float] | None = None
    ) -> None:
        self._engine = engine
        self._instead = instead
        self._patience_s = patience_s
        self._clock = clock
        self._away_until = 0.0

    async def claim(self, key: str, body: str, owner: str, ttl_s: float) -> Claim:
        """See `Joins`."""
        try:
            while True:
                held = await self._quick(self._engine, lambda connection: self._held(connection, key, body))
                if held is not None:
                    return held
                if await self._writing(lambda connection: self._taken(connection, key, body, owner, ttl_s)):
                    return Claim(ClaimState.MINE)
        except StoreUnavailable:
            return await self._instead.claim(key, body, owner, ttl_s)

    async def claimed(self, key: str) -> bool:
        """See `Joins`."""
        held = select(claims.c.id).where(claims.c.id == key, claims.c.expires_at > self._now)
        try:
            found = await self._quick(self._engine, lambda connection: connection.execute(held))
        except StoreUnavailable:
            return await self._instead.claimed(key)
        return found.first() is not None

    async def renew(self, key: str, owner: str, ttl_s: float) -> bool:
        """See `Joins`."""
        renewed = update(claims).where(self._mine(key, owner))
        try:
            return await self._writing(
                lambda connection: self._matched(connection, renewed, expires_at=timedelta(seconds=ttl_s))
            )
        except StoreUnavailable:
            return await self._instead.renew(key, owner, ttl_s)

    async def finish(self, key: str, owner: str, answer: bytes, keep_s: float) -> None:
        """See `Joins`."""
        finished = update(claims).where(self._mine(key, owner)).values(answer=answer)
        try:
            await self._writing(
                lambda connection: self._matched(connection, finished, expires_at=timedelta(seconds=keep_s))
            )
        except StoreUnavailable:
            await self._instead.finish(key, owner, answer, keep_s)

    async def drop(self, key: str, owner: str) -> None:
        """See `Joins`."""
        try:
            await self._writing(lambda connection: connection.execute(delete(claims).where(self._mine(key, owner))))
        except StoreUnavailable:
            await self._instead.drop(key, owner)

    async def _held(self, connection: AsyncConnection, key: str, body: str) -> Claim | None:
        """What another claim says; None where there is none in force."""
        held = select(claims.c.body, claims.c.answer).where(claims.c.id == key, claims.c.expires_at > self._now)
        found = (await connection.execute(held)).first()
        if found is None:
            return None
        if found.body != body:
            return Claim(ClaimState.OTHER_BODY)
        return Claim(ClaimState.RUNNING) if found.answer is None else Claim(ClaimState.DONE, found.answer)

    async def _taken(self, connection: AsyncConnection, key: str, body: str, owner: str, ttl_s: float) -> bool:
        """Whether the claim is ours; False where somebody was faster."""
        now = await self._time(connection)
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        row = {"body": body, "owner": owner, "answer": None, "expires_at": now + timedelta(seconds=ttl_s)}
        taking = dialect.insert(claims).values(id=key, **row)
        taken = taking.on_conflict_do_update(index_elements=["id"], set_=row, where=claims.c.expires_at <= now)
        return (await connection.execute(taken.returning(claims.c.id))).first() is not None

    async def _matched(self, connection: AsyncConnection, statement: Any, *, expires_at: timedelta) -> bool:
        until = await self._time(connection) + expires_at
        return bool((await connection.execute(statement.values(expires_at=until))).rowcount)

    def _mine(self, key: str, owner: str) -> ColumnElement[bool]:
        mine = and_(claims.c.id == key, claims.c.owner == owner)
        return and_(mine, claims.c.answer.is_(None), claims.c.expires_at > self._now)

    @property
    def _now(self) -> ColumnElement[datetime]:
        return database_time(self._engine, self._clock)

    async def _time(self, connection: AsyncConnection) -> datetime:
        now: datetime = (await connection.execute(select(self._now))).scalar_one()
        return now

    async def _writing(self, operation: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        return await self._quick(writing(self._engine), operation)

    async def _quick(self, engine: AsyncEngine, operation: Callable[[AsyncConnection], Awaitable[_T]]) -> _T:
        """One transaction, within the patience.

        Raises:
            StoreUnavailable: the store is away or slow, or was so a moment ago.
        """
        if time.monotonic() < self._away_until:
            raise StoreUnavailable("the store was away a moment ago")
        try:
            async with asyncio.timeout(self._patience_s):
                with guard("joining runs"):
                    async with engine.begin() as connection:
                        return await operation(connection)
        except (TimeoutError, StoreUnavailable) as error:
            self._away_until = time.monotonic() + LEFT_ALONE_S
            _log.warning("joins are this worker's own until the store is back", why=type(error).__name__)
            raise StoreUnavailable("the store is away or slow") from error
