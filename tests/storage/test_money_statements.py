"""What the ledger asks of SQL while requests run: its own few rows, never a request's history, never a sum."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import event

from router.budgets import BudgetTerms, Period, Scope
from storage.money.bank_sql import SqlBank
from storage.money.budgets import SqlBudgets
from storage.money.ledger import LeasedLedger, LedgerSettings

KEY = BudgetTerms(Scope.KEY, "k", Period.DAY, 1_000_000)
TEAM = BudgetTerms(Scope.TEAM, "t", Period.MONTH, 1_000_000)


@pytest.fixture
async def said(sql_engine, clock):
    """Every statement of a ledger that reserves, settles, renews, reaps and closes."""
    for terms in (KEY, TEAM):
        await SqlBudgets(sql_engine, clock).put(terms)
    statements = []

    @event.listens_for(sql_engine.sync_engine, "before_cursor_execute")
    def _(connection, cursor, statement, *more):
        statements.append(statement)

    bank = SqlBank(sql_engine, clock=clock)
    ledger = LeasedLedger(bank, "w", LedgerSettings(tick_s=0.01))
    for _ in range(3):
        ledger.settle(await ledger.reserve([KEY.id, TEAM.id], 1_000, 0), 400)
    await bank.renew("w")
    clock.now += 100
    await bank.reap()
    await ledger.aclose()
    return statements


async def test_the_ledger_touches_budgets_and_reservations_alone_and_sums_nothing(said):
    tables = {name for each in said for name in re.findall(r"(?:\bFROM|^UPDATE|\bINTO) (\w+)", each)}
    assert tables == {"budget", "reservation"}
    assert not [each for each in said if re.search(r"\b(sum|count|avg|max)\(", each, re.IGNORECASE)]


async def test_a_reservation_is_one_conditional_update_of_each_budget(said):
    first = [each for each in said if each.startswith("UPDATE budget")][:2]
    for each in first:
        assert re.search(r"spent_nanousd \+ budget.reserved_nanousd \+ \S+ <= budget.limit_nanousd", each)
    assert not any(each.startswith("SELECT") and "FROM budget" in each for each in said[: said.index(first[1])])
