"""Sums of money by key, team, tag or day: the questions of a bill.

The law of this file: it builds statements; each is answered from an index of `schema`, whatever the size of the table
(`scripts/query-plans` shows how). None of them belongs on a request's path: budgets are the ledger's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from storage.schema import inference, tag

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select

_SUMS: tuple[ColumnElement[Any], ...] = (
    func.count().label("requests"),
    func.sum(inference.c.cost_nanousd).label("cost_nanousd"),
    func.sum(inference.c.late_cost_nanousd).label("late_cost_nanousd"),
    func.sum(inference.c.baseline_nanousd).label("baseline_nanousd"),
)


def of_key(key_id: str, since: datetime, until: datetime) -> Select[Any]:
    """What one key spent in [since, until): requests, cost, late cost and baseline."""
    return select(*_SUMS).where(inference.c.key_id == key_id, *_between(since, until))


def of_team(team: str, since: datetime, until: datetime) -> Select[Any]:
    """What one team spent."""
    return select(*_SUMS).where(inference.c.team == team, *_between(since, until))


def of_tag(name: str, value: str, since: datetime, until: datetime) -> Select[Any]:
    """What the requests with a tag cost."""
    tagged = (tag.c.name == name, tag.c.value == value, tag.c.created_at >= since, tag.c.created_at < until)
    return select(*_SUMS).select_from(tag.join(inference)).where(*tagged)


def by_day(since: datetime, until: datetime) -> Select[Any]:
    """What everyone spent, a row for each day (UTC)."""
    day = func.date(inference.c.created_at).label("day")
    return select(day, *_SUMS).where(*_between(since, until)).group_by(day).order_by(day)


def _between(since: datetime, until: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return inference.c.created_at >= since, inference.c.created_at < until
