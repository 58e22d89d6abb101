"""By what sums are grouped: day, key, team, tag, tier, model.

The law of this file: it builds expressions over `inference` for both databases and runs nothing. A day is one in UTC.
A request with several tags stands in several groups, one without any in the group "", so sums by tag may exceed the
whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import Text, cast, column, func, literal, select, true

from storage.history import clean
from storage.schema import inference

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.sql.selectable import FromClause


class By(StrEnum):
    """What a report's lines stand for."""

    ALL = "all"
    DAY = "day"
    HOUR = "hour"
    KEY = "key"
    TEAM = "team"
    TAG = "tag"
    TIER = "tier"
    POLICY = "policy"


@dataclass(frozen=True, slots=True)
class Span:
    """Which requests count: received in [since, until), of one team or (None) of all. Both times are aware."""

    since: datetime
    until: datetime
    team: str | None = None
    key: str | None = None

    def where(self) -> tuple[ColumnElement[bool], ...]:
        """The same as conditions."""
        found = [inference.c.created_at >= self.since, inference.c.created_at < self.until]
        if self.team is not None:
            found.append(inference.c.team == clean.text(self.team))
        if self.key is not None:
            found.append(inference.c.key_id == clean.text(self.key))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One grouping: its expression, and what has to be joined for it (None = nothing)."""

    expression: ColumnElement[Any]
    source: FromClause | None = None

    def joined(self, statement: Select[Any]) -> Select[Any]:
        """The statement with the grouping's own rows joined; a request without any keeps one."""
        if self.source is None:
            return statement
        return statement.join(self.source, true(), isouter=True)


def bucket(by: By, dialect: str) -> Bucket:
    """The grouping in a dialect (`sqlite` or `postgresql`)."""
    if by is By.TAG:
        return _tags(dialect)
    return Bucket(_expression(by, dialect))


def _expression(by: By, dialect: str) -> ColumnElement[Any]:
    if by is By.DAY:
        return _time(dialect, "%Y-%m-%d", "YYYY-MM-DD")
    if by is By.HOUR:
        return _time(dialect, "%Y-%m-%dT%H:00Z", 'YYYY-MM-DD"T"HH24:00"Z"')
    plain: dict[By, ColumnElement[Any]] = {
        By.KEY: inference.c.key_id,
        By.TEAM: inference.c.team,
        By.TIER: func.coalesce(inference.c.served_tier, literal("", literal_execute=True)),
        By.POLICY: inference.c.policy,
    }
    return plain.get(by, literal(""))


def _time(dialect: str, sqlite: str, postgresql: str) -> ColumnElement[Any]:
    # The formats are literal SQL: as parameters, PostgreSQL would take two of them for two different groupings.
    if dialect == "sqlite":
        return func.strftime(_quoted(sqlite), inference.c.created_at)
    return func.to_char(func.timezone(_quoted("UTC"), inference.c.created_at), _quoted(postgresql))


def _quoted(text: str) -> ColumnElement[Any]:
    return literal(text, literal_execute=True)


def _tags(dialect: str) -> Bucket:
    each = func.json_each if dialect == "sqlite" else func.jsonb_each_text
    tags = each(inference.c.tags).table_valued(column("key", Text), column("value", Text), name="tag_of")
    # A pair is shown as the header has it; a request without tags has NULL here, and so the name "".
    shown = tags.c.key + literal("=", literal_execute=True) + cast(tags.c.value, Text)
    source = tags.lateral() if dialect == "postgresql" else tags
    if dialect == "postgresql":
        shown = source.c.key + literal("=", literal_execute=True) + source.c.value
    return Bucket(func.coalesce(shown, literal("", literal_execute=True)), source)


def grouped(by: By, dialect: str, *sums: Any) -> tuple[Select[Any], Bucket]:
    """`SELECT bucket AS name, sums` over requests, not yet limited to a span."""
    found = bucket(by, dialect)
    return found.joined(select(found.expression.label("name"), *sums).select_from(inference)), found
