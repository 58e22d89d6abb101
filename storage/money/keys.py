"""Virtual keys and budgets as operators set them, in SQL.

The law of this file: digests only, never a key. Every change counts up the revision in its own transaction.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, insert, or_, select, update

from router.domain import RateLimits
from router.keys import KeyRecord
from storage.engine import writing
from storage.faults import guard
from storage.history import clean
from storage.money.budgets import SqlBudgets
from storage.money.revision import bump, current
from storage.money.schema import api_key as keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Select
    from sqlalchemy.engine import RowMapping as Row
    from sqlalchemy.ext.asyncio import AsyncEngine


class SqlDirectory:
    """See `Directory`.

    Args:
        engine: whose tables are up to date; not closed here.
        clock: seconds since the epoch; for tests. None: this machine's, and the database's for budgets.
    """

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float] | None = None) -> None:
        self._engine = engine
        self._clock = clock or time.time
        self.budgets = SqlBudgets(engine, clock)

    async def revision(self) -> int:
        """See `Directory`."""
        with guard("reading the revision of keys and budgets"):
            async with self._engine.connect() as connection:
                return await current(connection)

    async def any_keys(self) -> bool:
        """See `Directory`."""
        return bool(await self._read(select(keys).where(keys.c.revoked_at.is_(None)).limit(1)))

    async def find(self, digest: str) -> KeyRecord | None:
        """See `Directory`."""
        former = and_(keys.c.former_digest == digest, keys.c.former_until > self._now())
        found = await self._read(select(keys).where(or_(keys.c.digest == digest, former)))
        return found[0] if found else None

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `Directory`."""
        found = await self._read(select(keys).where(keys.c.id == clean.text(key_id)))
        return found[0] if found else None

    async def all(self) -> Sequence[KeyRecord]:
        """See `Directory`."""
        return await self._read(select(keys).order_by(keys.c.created_at, keys.c.id))

    async def create(self, record: KeyRecord, digest: str) -> None:
        """See `Directory`."""
        row = {**_row(record), "id": clean.text(record.id), "created_at": record.created_at, "digest": digest}
        await self._write("creating a key", insert(keys).values({**row, "changed_at": self._now()}))

    async def change(self, record: KeyRecord) -> bool:
        """See `Directory`."""
        return await self._change("changing a key", record.id, _row(record))

    async def rotate(self, key_id: str, digest: str, shown: str, grace_s: float) -> bool:
        """See `Directory`."""
        until = self._now() + timedelta(seconds=grace_s)
        values = {"former_digest": keys.c.digest, "former_until": until, "digest": digest, "shown": shown}
        return await self._change("rotating a key", key_id, values)

    async def revoke(self, key_id: str) -> bool:
        """See `Directory`."""
        return await self._change("revoking a key", key_id, {"revoked_at": self._now(), "former_until": None})

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    async def _change(self, doing: str, key_id: str, values: dict[str, Any]) -> bool:
        """Only a key that is not revoked changes."""
        mine = and_(keys.c.id == clean.text(key_id), keys.c.revoked_at.is_(None))
        return await self._write(doing, update(keys).where(mine).values({**values, "changed_at": self._now()}))

    async def _write(self, doing: str, statement: Any) -> bool:
        with guard(doing):
            async with writing(self._engine).begin() as connection:
                done = await connection.execute(statement)
                await bump(connection)
        return bool(done.rowcount)

    async def _read(self, statement: Select[Any]) -> list[KeyRecord]:
        with guard("reading keys"):
            async with self._engine.begin() as connection:
                return [_record(row) for row in (await connection.execute(statement)).mappings()]


def _row(record: KeyRecord) -> dict[str, Any]:
    return {
        "shown": record.shown,
        "name": clean.text(record.name),
        "team": clean.text(record.team),
        "admin": record.admin,
        "policies": None if record.policies is None else sorted(record.policies),
        "tiers": None if record.tiers is None else sorted(record.tiers),
        "headers": clean.json_ready(record.headers),
        "requests_per_minute": record.limits.requests_per_minute,
        "tokens_per_minute": record.limits.tokens_per_minute,
        "concurrent_requests": record.limits.concurrent_requests,
        "expires_at": record.expires_at,
    }


def _record(row: Row) -> KeyRecord:
    return KeyRecord(
        id=row["id"],
        shown=row["shown"],
        team=row["team"],
        created_at=row["created_at"],
        name=row["name"],
        admin=row["admin"],
        policies=None if row["policies"] is None else frozenset(row["policies"]),
        tiers=None if row["tiers"] is None else frozenset(row["tiers"]),
        headers=row["headers"],
        limits=RateLimits(row["requests_per_minute"], row["tokens_per_minute"], row["concurrent_requests"]),
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
    )
