"""Budgets that outlive a request: a key's, a team's, everybody's; per day, week, month or for ever.

The law of this file: pure words and the calendar, in UTC. It is handed the time and never asks for it, so that a
window's end is the database's to say and not a worker's clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum


class Scope(StrEnum):
    """Whose spending a budget bounds."""

    KEY = "key"
    TEAM = "team"
    GLOBAL = "global"


class Period(StrEnum):
    """How often it starts anew; weeks begin on Monday (ISO 8601), `total` never does."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class BudgetTerms:
    """What an operator sets.

    `owner` is the key's id or the team's name, "" for the global budget; `limit_nanousd` None = spending is counted
    and never refused; at `soft_nanousd` the caller is told.
    """

    scope: Scope
    owner: str
    period: Period
    limit_nanousd: int | None
    soft_nanousd: int | None = None

    @property
    def id(self) -> str:
        """Its name in SQL, in headers and in messages; one owner has one budget per period."""
        return f"{self.scope}:{self.owner}:{self.period}"

    @property
    def words(self) -> str:
        """Such as "the monthly budget of team blue"."""
        often = {Period.DAY: "daily", Period.WEEK: "weekly", Period.MONTH: "monthly", Period.TOTAL: "total"}
        whose = "" if self.scope is Scope.GLOBAL else f" of {self.scope} {self.owner}"
        return f"the {often[self.period]} {'global ' if not whose else ''}budget{whose}"


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget as it stands: settled spend, open reservations, and when it starts anew (None = never)."""

    terms: BudgetTerms
    spent_nanousd: int
    reserved_nanousd: int
    resets_at: datetime | None

    @property
    def unspent_nanousd(self) -> int | None:
        """The limit minus settled spend; None = no limit."""
        limit = self.terms.limit_nanousd
        return None if limit is None else limit - self.spent_nanousd

    @property
    def free_nanousd(self) -> int | None:
        """What can be reserved now; None = no limit."""
        unspent = self.unspent_nanousd
        return None if unspent is None else unspent - self.reserved_nanousd


def removed(budget: str) -> Standing:
    """How a budget stands that is no more, by its id: nothing bounds what was lent of it."""
    scope, _, rest = budget.partition(":")
    owner, _, period = rest.rpartition(":")
    return Standing(BudgetTerms(Scope(scope), owner, Period(period), None), 0, 0, None)


def window(period: Period, now: datetime) -> tuple[datetime, datetime | None]:
    """The window around `now` (aware): its start, and its end, which belongs to the next one."""
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case Period.DAY:
            return day, day + timedelta(days=1)
        case Period.WEEK:
            monday = day - timedelta(days=day.weekday())
            return monday, monday + timedelta(days=7)
        case Period.MONTH:
            first = day.replace(day=1)
            return first, (first + timedelta(days=32)).replace(day=1)
        case Period.TOTAL:
            return day, None


def applies(terms: BudgetTerms, key_id: str, team: str) -> bool:
    """Whether a budget bounds what this caller spends."""
    match terms.scope:
        case Scope.KEY:
            return terms.owner == key_id
        case Scope.TEAM:
            return terms.owner == team
        case Scope.GLOBAL:
            return True
