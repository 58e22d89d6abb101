"""Stored traffic, read back: what was asked, what it saw, every call it made, every label it got.

The law of this file: it reads and never writes; pages by key, so that no read transaction stays open for long.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from storage.faults import guard
from storage.schema import attempt, inference, label

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncEngine

#: Requests per page: their calls and labels are read with them.
PAGE = 500


@dataclass(frozen=True, slots=True)
class Stored:
    """One request: its `inference` row (its embedding where wanted), its calls by position, its labels as given."""

    row: Mapping[str, Any]
    attempts: tuple[Mapping[str, Any], ...]
    labels: tuple[Mapping[str, Any], ...]


async def traffic(
    engine: AsyncEngine, since: datetime | None = None, team: str | None = None, *, vectors: bool = False
) -> AsyncIterator[Sequence[Stored]]:
    """Every stored request from `since` (aware; None = the first), oldest first, in pages.

    Args:
        engine: the store's.
        since: the earliest time.
        team: this team's alone; None = all.
        vectors: with the embeddings as they are stored, bytes.
    """
    wanted = _wanted(since, team)
    left_out = frozenset() if vectors else frozenset({"embedding"})
    after: tuple[datetime, str] | None = None
    while page := await _page(engine, wanted, after, left_out):
        yield page
        after = (page[-1].row["created_at"], page[-1].row["id"])


def _wanted(since: datetime | None, team: str | None) -> list[ColumnElement[bool]]:
    found = [] if since is None else [inference.c.created_at >= since]
    return found if team is None else [*found, inference.c.team == team]


async def _page(
    engine: AsyncEngine,
    wanted: Sequence[ColumnElement[bool]],
    after: tuple[datetime, str] | None,
    left_out: frozenset[str],
) -> list[Stored]:
    with guard("reading stored traffic"):
        async with engine.begin() as connection:
            rows = [dict(row) for row in (await connection.execute(_requests(wanted, after, left_out))).mappings()]
            ids = [row["id"] for row in rows]
            calls = select(attempt).where(attempt.c.inference_id.in_(ids)).order_by(attempt.c.position)
            labels = select(label).where(label.c.inference_id.in_(ids)).order_by(label.c.id)
            made = _by_request([dict(row) for row in (await connection.execute(calls)).mappings()])
            given = _by_request([dict(row) for row in (await connection.execute(labels)).mappings()])
    return [Stored(row, tuple(made[row["id"]]), tuple(given[row["id"]])) for row in rows]


def _requests(
    wanted: Sequence[ColumnElement[bool]], after: tuple[datetime, str] | None, left_out: frozenset[str]
) -> Select[Any]:
    columns = [column for column in inference.c if column.name not in left_out]
    statement = select(*columns).where(*wanted)
    if after is not None:
        statement = statement.where(tuple_(inference.c.created_at, inference.c.id) > after)
    return statement.order_by(inference.c.created_at, inference.c.id).limit(PAGE)


def _by_request(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        found[row["inference_id"]].append(row)
    return found
