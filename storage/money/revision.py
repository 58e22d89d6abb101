"""One number that grows with every change to keys and budgets, so that a cache of them knows when it is old.

The law of this file: a time would not do, for a change by a host whose clock is behind would go unseen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from storage.money.schema import revision

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

_NAME = "directory"


async def bump(connection: AsyncConnection) -> None:
    """Count a change, in the transaction that makes it."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    first = dialect.insert(revision).values(name=_NAME, number=1)
    more = {"number": revision.c.number + 1}
    await connection.execute(first.on_conflict_do_update(index_elements=["name"], set_=more))


async def current(connection: AsyncConnection) -> int:
    """How many changes there were."""
    found = await connection.execute(select(revision.c.number).where(revision.c.name == _NAME))
    return found.scalar_one_or_none() or 0
