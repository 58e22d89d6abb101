"""A name for a store that is its own: so that two Gearboxes with two stores can use one Redis."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.dialects import postgresql, sqlite

from storage.engine import writing
from storage.faults import guard
from storage.money.schema import revision

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

_NAME, _BITS = "store", 62


async def store_id(engine: AsyncEngine) -> str:
    """The store's name, drawn once."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    first = dialect.insert(revision).values(name=_NAME, number=secrets.randbits(_BITS))
    with guard("naming the store"):
        async with writing(engine).begin() as connection:
            await connection.execute(first.on_conflict_do_nothing(index_elements=["name"]))
            found = await connection.execute(select(revision.c.number).where(revision.c.name == _NAME))
    return f"{found.scalar_one():x}"
