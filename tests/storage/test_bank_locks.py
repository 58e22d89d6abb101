"""Two transactions of the ledger never wait for each other in a circle."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from router.budgets import BudgetTerms, Period, Scope
from storage.engine import create_engine
from storage.migrate import migrate
from storage.money.bank_sql import SqlBank
from storage.money.budgets import SqlBudgets

WAITING = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
A, B = (BudgetTerms(Scope.KEY, name, Period.TOTAL, 1_000) for name in "ab")


@pytest.fixture
async def engine(postgresql_url):
    engine = create_engine(postgresql_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


async def waits(engine):
    """Until some statement waits for a lock."""
    async with asyncio.timeout(60), engine.connect() as connection:
        while not (await connection.execute(WAITING)).scalar_one():  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.02)


async def test_a_renewal_waits_for_a_settlement_without_holding_what_it_needs_next(engine, clock):
    bank = SqlBank(engine)
    for terms in (A, B):
        await SqlBudgets(engine, clock).put(terms)
    for terms in (B, A):  # so that the rows lie in the other order
        await bank.lend("pool", {terms.id: 100})
    touched = text("UPDATE reservation SET seq = seq + 1 WHERE budget_id = :budget")
    async with engine.begin() as settling:
        await settling.execute(touched, {"budget": A.id})
        renewing = asyncio.create_task(bank.renew("pool"))
        await waits(engine)
        await settling.execute(touched, {"budget": B.id})
    await renewing
