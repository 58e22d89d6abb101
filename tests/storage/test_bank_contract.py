"""What every Bank promises: the same tests over memory, SQLite, PostgreSQL, and Redis before each."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from router.budgets import BudgetTerms, Period, Scope
from router.errors import Refused
from router.ports import Settlement
from storage.money.bank_memory import MemoryBank
from storage.money.budgets import SqlBudgets
from storage.money.keys_memory import MemoryBudgets

KEY = BudgetTerms(Scope.KEY, "k", Period.DAY, 1_000)
TEAM = BudgetTerms(Scope.TEAM, "t", Period.MONTH, 500, soft_nanousd=400)
EVER = BudgetTerms(Scope.GLOBAL, "", Period.TOTAL, None)


def budgets_of(bank, clock):
    """What an operator changes, of the same store."""
    inner = getattr(bank, "_inner", bank)
    return MemoryBudgets(inner) if isinstance(inner, MemoryBank) else SqlBudgets(inner.engine, clock)


async def standing(bank, terms):
    (found,) = await bank.standings([terms.id])
    return found.spent_nanousd, found.reserved_nanousd


async def test_what_is_lent_is_reserved(bank):
    lent = await bank.lend("w", {KEY.id: 300})
    assert lent[KEY.id].free_nanousd == 700
    assert await standing(bank, KEY) == (0, 300)


async def test_all_budgets_lend_or_none(bank):
    with pytest.raises(Refused) as caught:
        await bank.lend("w", {KEY.id: 600, TEAM.id: 600})
    assert caught.value.standing.terms == TEAM
    assert await standing(bank, KEY) == (0, 0)


async def test_the_budget_that_is_spent_refuses_before_one_that_is_only_reserved(bank):
    await bank.lend("x", {KEY.id: 900, TEAM.id: 450})
    await bank.settle("x", [Settlement(TEAM.id, 1, 450, 0)])
    with pytest.raises(Refused) as caught:
        await bank.lend("w", {KEY.id: 200, TEAM.id: 200})
    assert caught.value.standing.terms == TEAM


async def test_the_limit_itself_can_be_lent_and_not_a_nano_dollar_more(bank):
    await bank.lend("w", {KEY.id: 1_000})
    with pytest.raises(Refused):
        await bank.lend("x", {KEY.id: 1})


async def test_a_budget_without_a_limit_counts_and_never_refuses(bank):
    await bank.lend("w", {EVER.id: 10**15})
    await bank.settle("w", [Settlement(EVER.id, 1, 10**15, 0)])
    assert await standing(bank, EVER) == (10**15, 0)


async def test_a_budget_that_does_not_exist_bounds_nothing(bank):
    lent = await bank.lend("w", {"key:nobody:day": 10**12, KEY.id: 1})
    assert list(lent) == [KEY.id]


async def test_a_settlement_pays_and_gives_the_rest_back(bank):
    await bank.lend("w", {KEY.id: 600})
    await bank.settle("w", [Settlement(KEY.id, 1, 100, 200)])
    assert await standing(bank, KEY) == (100, 200)


async def test_a_settlement_that_is_sent_twice_counts_once(bank):
    await bank.lend("w", {KEY.id: 600})
    for _ in range(2):
        await bank.settle("w", [Settlement(KEY.id, 1, 100, 500)])
    assert await standing(bank, KEY) == (100, 500)


async def test_what_was_lent_without_our_hearing_of_it_comes_back_with_the_next_settlement(bank):
    await bank.lend("w", {KEY.id: 100})
    await bank.lend("w", {KEY.id: 300})  # its answer was lost
    await bank.settle("w", [Settlement(KEY.id, 1, 50, 50)])
    assert await standing(bank, KEY) == (50, 50)


async def test_a_vendor_that_bills_more_than_the_worst_case_is_booked_in_full(bank):
    await bank.lend("w", {KEY.id: 100})
    await bank.settle("w", [Settlement(KEY.id, 1, 130, 0)])
    assert await standing(bank, KEY) == (130, 0)


async def test_what_a_dead_worker_had_reserved_counts_as_spent(bank, clock):
    await bank.lend("dead", {KEY.id: 300})
    await bank.lend("alive", {KEY.id: 200})
    clock.now += 20
    await bank.renew("alive")
    clock.now += 15
    assert await bank.reap() == 1
    assert await standing(bank, KEY) == (300, 200)


async def test_a_worker_that_was_taken_for_dead_settles_nothing_any_more(bank, clock):
    await bank.lend("w", {KEY.id: 300})
    clock.now += 31
    await bank.reap()
    assert await bank.settle("w", [Settlement(KEY.id, 1, 100, 200)]) == {}
    assert await standing(bank, KEY) == (300, 0)


async def test_a_new_window_starts_at_nothing_spent_and_keeps_what_is_reserved(bank, clock):
    await bank.lend("w", {KEY.id: 900})
    await bank.settle("w", [Settlement(KEY.id, 1, 600, 300)])
    clock.at("2026-03-02T00:00:00")
    lent = await bank.lend("w", {KEY.id: 700})
    assert lent[KEY.id].resets_at == datetime(2026, 3, 3, tzinfo=UTC)
    assert await standing(bank, KEY) == (0, 1_000)


async def test_a_settlement_after_the_windows_end_counts_in_the_new_one(bank, clock):
    await bank.lend("w", {KEY.id: 900})
    clock.at("2026-03-02T00:00:01")
    await bank.settle("w", [Settlement(KEY.id, 1, 600, 0)])
    assert await standing(bank, KEY) == (600, 0)


async def test_a_clock_that_is_set_back_gives_no_second_allowance(bank, clock):
    clock.at("2026-03-02T00:00:05")
    await bank.lend("w", {KEY.id: 1_000})
    await bank.settle("w", [Settlement(KEY.id, 1, 1_000, 0)])
    clock.at("2026-03-01T23:59:00")
    with pytest.raises(Refused):
        await bank.lend("w", {KEY.id: 1})
    clock.at("2026-03-02T00:00:10")
    with pytest.raises(Refused):
        await bank.lend("w", {KEY.id: 1})


async def test_reading_shows_the_new_window_without_waiting_for_a_reservation(bank, clock):
    await bank.lend("w", {KEY.id: 900})
    await bank.settle("w", [Settlement(KEY.id, 1, 900, 0)])
    clock.at("2026-03-02T00:00:00")
    assert await standing(bank, KEY) == (0, 0)


async def test_of_many_at_once_as_many_get_through_as_the_budget_pays(bank):
    async def lend(n):
        try:
            await bank.lend(f"w{n}", {KEY.id: 300, TEAM.id: 10})
        except Refused:
            return 0
        return 1

    assert sum(await asyncio.gather(*(lend(n) for n in range(20)))) == 3
    assert await standing(bank, KEY) == (0, 900)


async def test_a_budget_that_is_removed_and_set_again_begins_with_what_is_still_lent(bank, clock):
    budgets = budgets_of(bank, clock)
    await bank.lend("w", {KEY.id: 600})
    await budgets.remove(KEY.id)
    await budgets.put(KEY)
    assert await standing(bank, KEY) == (0, 600)
    with pytest.raises(Refused):
        await bank.lend("x", {KEY.id: 401})
    await bank.settle("w", [Settlement(KEY.id, 1, 150, 0)])
    assert await standing(bank, KEY) == (150, 0)


async def test_what_is_lent_of_a_removed_budget_can_be_settled_and_is_gone_when_it_is_set_again(bank, clock):
    budgets = budgets_of(bank, clock)
    await bank.lend("w", {KEY.id: 600, TEAM.id: 100})
    await budgets.remove(KEY.id)
    told = await bank.settle("w", [Settlement(KEY.id, 1, 150, 0), Settlement(TEAM.id, 2, 50, 0)])
    assert told[KEY.id].free_nanousd is None
    await bank.aclose()  # what lies in a pool goes back
    await budgets.put(KEY)
    assert (await standing(bank, KEY), await standing(bank, TEAM)) == ((0, 0), (50, 0))


async def test_two_that_share_budgets_in_any_order_never_deadlock(bank):
    both = ({KEY.id: 1, TEAM.id: 1, EVER.id: 1}, {EVER.id: 1, TEAM.id: 1, KEY.id: 1})
    await asyncio.gather(*(bank.lend(f"w{n}", both[n % 2]) for n in range(30)))
    assert await standing(bank, TEAM) == (0, 30)
