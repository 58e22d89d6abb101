"""What is added to a stored request afterwards, each addition once: a late cost, a late verdict, feedback.

The law of this file: on a connection it is given, within its transaction. The addition's own name (`applied`) goes with
it, so that whoever replays a journal may say it again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, update

from router.domain import Caller
from storage.history import statements
from storage.history.questions import every
from storage.history.rows import feedback_row, shifted
from storage.journal.entries import LateCost, LateVerdict
from storage.schema import applied, attempt, inference, label

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from storage.journal.entries import Addition, Opinion


async def add_once(connection: AsyncConnection, entry: Addition, now: datetime) -> bool:
    """Make an addition unless it was made before; False where there is no such request, or not yet."""
    noted = statements.insert_or_not(connection, applied).values(op=entry.op, created_at=now)
    if (await connection.execute(noted.returning(applied.c.op))).first() is None:
        return True
    if await _added(connection, entry):
        return True
    await connection.execute(delete(applied).where(applied.c.op == entry.op))  # its request may still come
    return False


async def _added(connection: AsyncConnection, entry: Addition) -> bool:
    if isinstance(entry, LateCost):
        return await _paid(connection, entry.id, entry.nanousd)
    if isinstance(entry, LateVerdict):
        return await _judged(connection, entry)
    return await _said(connection, entry)


async def _paid(connection: AsyncConnection, request_id: str, nanousd: int) -> bool:
    return (await connection.execute(statements.add_late_cost(request_id, nanousd))).rowcount > 0


async def _judged(connection: AsyncConnection, entry: LateVerdict) -> bool:
    rows = entry.rows
    found = await every(connection, statements.stored(rows.id))
    if not found:
        return False
    await _paid(connection, rows.id, rows.cost_nanousd)
    evidence = {**found[0]["evidence"], "late": rows.verdict}
    await connection.execute(update(inference).where(inference.c.id == rows.id).values(evidence=evidence))
    await _insert(connection, attempt, shifted(rows.attempts, found[0]["calls"]))
    await _insert(connection, label, rows.labels)
    return True


async def _said(connection: AsyncConnection, entry: Opinion) -> bool:
    caller = Caller(team=entry.team or "", admin=entry.team is None)
    found = await every(connection, statements.inference_of(entry.id, caller))
    if not found or found[0]["served_tier"] is None:
        return False
    row = feedback_row(found[0], entry.correct, entry.by, entry.note, entry.created_at)
    await connection.execute(insert(label), [row])
    return True


async def _insert(connection: AsyncConnection, table: Any, rows: Any) -> None:
    if rows:
        await connection.execute(insert(table), list(rows))
