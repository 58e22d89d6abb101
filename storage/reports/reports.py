"""Sums of money out of SQL: what was spent, on what, and what it would have cost otherwise.

The law of this file: it reads, in the database's own aggregates, and sends no rows of requests to Python. Money stays
integers; where tokens have to become money (the second-best tier, which was not asked), `router.pricing` does it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from router.pricing import Usage, cost_nanousd
from storage.faults import guard
from storage.reports import judging, recent, sums

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncEngine

    from router.pricing import Price
    from storage.reports.buckets import By, Span
    from storage.reports.judging import JudgedTier

PURPOSES = ("generate", "judge", "embed", "audit")


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier that requests are compared with as if it alone had answered them."""

    name: str
    price: Price | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a report; money in nano-dollars.

    `cost` is what was spent up to the answers, `late` what was spent after them; `by_purpose` splits the calls'
    prices. `top` and `second` are what the top and the second-best tier alone would have cost (None = unknown);
    `unpriced` requests have an unknown cost and count as nothing.
    """

    name: str
    requests: int
    failed: int
    unpriced: int
    cost_nanousd: int
    late_nanousd: int
    top_nanousd: int
    second_nanousd: int | None = None
    by_purpose: Mapping[str, int] | None = None

    @property
    def spent_nanousd(self) -> int:
        """Everything that was spent."""
        return self.cost_nanousd + self.late_nanousd

    @property
    def saved_nanousd(self) -> int:
        """Against always asking the top tier; judging, late and failed calls counted as spent."""
        return self.top_nanousd - self.spent_nanousd

    @property
    def saved_second_nanousd(self) -> int | None:
        """Against always asking the second-best tier."""
        return None if self.second_nanousd is None else self.second_nanousd - self.spent_nanousd

    def of(self, purpose: str) -> int:
        """What calls for one purpose cost."""
        return (self.by_purpose or {}).get(purpose, 0)


class Reports:
    """Reads the store's money.

    Args:
        engine: the store's.
        second: the second-best tier, None where there is none.
    """

    def __init__(self, engine: AsyncEngine, second: Tier | None = None) -> None:
        self.engine = engine
        self.second = second

    async def spending(self, span: Span, by: By) -> list[Line]:
        """One line per day, key, team, tag or tier, by name."""
        dialect = self.engine.dialect.name
        lines = {row["name"]: _line(row) for row in await self.rows(sums.money(span, by, dialect))}
        purposes: dict[str, dict[str, int]] = {name: {} for name in lines}
        for row in await self.rows(sums.purposes(span, by, dialect)):
            purposes.setdefault(row["name"], {})[row["purpose"]] = int(row["nanousd"])
        second = await self._second(span, by, dialect)
        return [
            replace(line, by_purpose=purposes[name], second_nanousd=None if second is None else second.get(name, 0))
            for name, line in sorted(lines.items())
        ]

    async def judged(self, span: Span) -> list[JudgedTier]:
        """How the judge did, for each tier whose answers it judged."""
        return judging.tiers(await self.rows(judging.judged(span)))

    async def latest(self, span: Span, limit: int) -> list[dict[str, Any]]:
        """The newest requests first, each with what became of its rungs."""
        rows = await self.rows(recent.latest(span, limit))
        found = await self.rows(recent.rungs([row["id"] for row in rows])) if rows else ()
        return recent.joined(rows, found)

    async def rows(self, statement: Select[Any]) -> Sequence[Mapping[str, Any]]:
        """Ask the database.

        Raises:
            StoreUnavailable: it is away.
        """
        with guard("reading a report"):
            async with self.engine.begin() as connection:
                return [dict(row) for row in (await connection.execute(statement)).mappings()]

    async def _second(self, span: Span, by: By, dialect: str) -> dict[str, int] | None:
        """What the second-best tier alone would have cost: its real price where it answered, else its price list.

        The tokens are summed first and priced once; surcharges for long prompts do not apply to a sum.
        """
        if self.second is None or self.second.price is None:
            return None
        price = replace(self.second.price, long_context=())
        found = {
            row["name"]: int(row["nanousd"])
            for row in await self.rows(sums.answered(span, by, dialect, self.second.name))
        }
        for row in await self.rows(sums.served_tokens(span, by, dialect, self.second.name)):
            usage = Usage(*(int(row[kind]) for kind in sums.TOKENS))
            found[row["name"]] = found.get(row["name"], 0) + cost_nanousd(usage, price)
        return found


def _line(row: Mapping[str, Any]) -> Line:
    return Line(
        name=row["name"],
        requests=int(row["requests"]),
        failed=int(row["failed"]),
        unpriced=int(row["unpriced"]),
        cost_nanousd=int(row["cost"]),
        late_nanousd=int(row["late"]),
        top_nanousd=int(row["top"]),
    )
