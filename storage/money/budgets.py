"""Budgets as operators set them, in SQL.

The law of this file: it changes terms, never what is spent or reserved. A budget that stands in gearbox.yaml is changed
there alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from router.budgets import Scope, window
from router.errors import RequestError
from storage.clock import database_time
from storage.engine import writing
from storage.faults import guard
from storage.history import clean
from storage.money.bank_sql import terms_of
from storage.money.revision import bump
from storage.money.schema import budget as budgets
from storage.money.schema import reservation as reservations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from router.budgets import BudgetTerms


class SqlBudgets:
    """Terms by owner and period.

    Args:
        engine: whose tables are up to date; not closed here.
        clock: seconds since the epoch instead of the database's own time; for tests.
    """

    def __init__(self, engine: AsyncEngine, clock: Callable[[], float] | None = None) -> None:
        self._engine = engine
        self._clock = clock

    async def put(self, terms: BudgetTerms) -> None:
        """Add a budget, or change its limits; spending goes on where it was.

        Raises:
            RequestError: it stands in gearbox.yaml.
        """
        with guard("setting a budget"):
            async with writing(self._engine).begin() as connection:
                await _refuse_configured(connection, terms.id)
                await self._put(connection, terms, configured=False)
                await bump(connection)

    async def remove(self, budget: str) -> bool:
        """Forget a budget and what was spent of it; False where there is none. What is lent stays so (`Bank.settle`).

        Raises:
            RequestError: it stands in gearbox.yaml.
        """
        with guard("removing a budget"):
            async with writing(self._engine).begin() as connection:
                await _refuse_configured(connection, budget)
                gone = await connection.execute(delete(budgets).where(budgets.c.id == clean.text(budget)))
                await bump(connection)
        return gone.rowcount > 0

    async def configure(self, wanted: Sequence[BudgetTerms]) -> None:
        """Make the budgets of gearbox.yaml those, adding and removing; nothing is written where nothing is new."""
        with guard("setting the configured budgets"):
            async with writing(self._engine).begin() as connection:
                rows = (await connection.execute(select(budgets).where(budgets.c.configured))).mappings().all()
                known = {row["id"]: terms_of(row) for row in rows}
                gone = known.keys() - {terms.id for terms in wanted}
                if gone or any(known.get(terms.id) != terms for terms in wanted):
                    await bump(connection)
                # In the order of their ids, as everywhere: no two starting replicas wait for each other in a circle.
                for terms in sorted(wanted, key=lambda each: each.id):
                    if known.get(terms.id) != terms:
                        await self._put(connection, terms, configured=True)
                if gone:
                    await connection.execute(delete(budgets).where(budgets.c.id.in_(gone)))

    async def of(self, key_id: str, team: str) -> Sequence[BudgetTerms]:
        """Every budget that bounds this caller, by id."""
        key_id, team = clean.text(key_id), clean.text(team)
        bound = or_(
            and_(budgets.c.scope == Scope.KEY.value, budgets.c.owner == key_id),
            and_(budgets.c.scope == Scope.TEAM.value, budgets.c.owner == team),
            budgets.c.scope == Scope.GLOBAL.value,
        )
        return await self._read(select(budgets).where(bound).order_by(budgets.c.id))

    async def all(self) -> Sequence[BudgetTerms]:
        """Every budget there is, by id."""
        return await self._read(select(budgets).order_by(budgets.c.id))

    async def _read(self, statement: Any) -> Sequence[BudgetTerms]:
        with guard("reading budgets"):
            async with self._engine.begin() as connection:
                return [terms_of(row) for row in (await connection.execute(statement)).mappings()]

    async def _put(self, connection: AsyncConnection, terms: BudgetTerms, *, configured: bool) -> None:
        now = (await connection.execute(select(database_time(self._engine, self._clock)))).scalar_one()
        start, end = window(terms.period, now)
        limits = {
            "limit_nanousd": terms.limit_nanousd,
            "soft_nanousd": terms.soft_nanousd,
            "configured": configured,
            "changed_at": now,
        }
        new = {
            "id": clean.text(terms.id),
            "scope": terms.scope.value,
            "owner": clean.text(terms.owner),
            "period": terms.period.value,
            "spent_nanousd": 0,
            "reserved_nanousd": await _still_lent(connection, clean.text(terms.id)),
            "window_start": start,
            "window_end": end,
        }
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        statement = dialect.insert(budgets).values({**new, **limits})
        await connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=limits))


async def _still_lent(connection: AsyncConnection, budget: str) -> int:
    """What workers hold of a budget of this name that was removed; locked, so that none settles it meanwhile."""
    lent = select(reservations.c.amount_nanousd).where(reservations.c.budget_id == budget).with_for_update()
    standing = exists().where(budgets.c.id == budget)
    return sum((await connection.execute(lent.where(~standing))).scalars())


def configured_elsewhere(budget: str) -> RequestError:
    """What is said to whoever changes a budget of gearbox.yaml."""
    return RequestError(f"the budget {budget[:200]} stands in gearbox.yaml: change it there", param="budget")


async def _refuse_configured(connection: AsyncConnection, budget: str) -> None:
    found = await connection.execute(select(budgets.c.configured).where(budgets.c.id == clean.text(budget)))
    if found.scalar_one_or_none():
        raise configured_elsewhere(budget)
