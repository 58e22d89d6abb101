"""Question rows -> what an index needs of them: their labels in force beside them.

The law of this file: it reads; it is shared by the load at start and by the feed, so that both see the same labels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.ports import StoredQuestion
from storage.faults import guard
from storage.history import statements
from storage.history.labels import by_model
from storage.history.rows import unpacked

if TYPE_CHECKING:
    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from storage.history.call_rows import Row


async def with_labels(engine: AsyncEngine, rows: list[Row]) -> list[StoredQuestion]:
    """The questions of these rows (id, team, embedding), in their order."""
    with guard("loading labels"):
        async with engine.begin() as connection:
            found = await every(connection, statements.labels_of([row["id"] for row in rows]))
    labels: dict[str, list[Row]] = {row["id"]: [] for row in rows}
    for each in found:
        labels[each["inference_id"]].append(each)
    return [
        StoredQuestion(row["id"], row["team"], unpacked(row["embedding"]), by_model(labels[row["id"]])) for row in rows
    ]


async def every(connection: AsyncConnection, statement: Select[Any]) -> list[Row]:
    """All rows of a statement, as plain dicts."""
    return [dict(row) for row in (await connection.execute(statement)).mappings()]
