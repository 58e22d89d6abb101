"""A worker's ledger: what it borrows, what it waits for, and what it says when there is nothing left."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from test_bank_contract import budgets_of

from router.budgets import BudgetTerms, Period, Scope
from router.errors import QuotaSpent, RateLimited, StoreUnavailable
from storage.money.bank_memory import MemoryBank
from storage.money.ledger import LeasedLedger, LedgerSettings

KEY = BudgetTerms(Scope.KEY, "k", Period.DAY, 1_000, soft_nanousd=500)
TEAM = BudgetTerms(Scope.TEAM, "t", Period.MONTH, 10_000)
EVER = BudgetTerms(Scope.GLOBAL, "", Period.TOTAL, None)
QUICK = LedgerSettings(tick_s=0.02, idle_s=0.05, renew_s=0.05, ask_again_s=0.02, patience_s=20, away_s=0.05)
BOTH = (KEY.id, TEAM.id)


class Away(MemoryBank):
    """A bank that can be switched off, and counts what it is asked."""

    away = False
    asked = 0

    async def lend(self, worker, amounts):
        self.asked += 1
        if self.away:
            raise StoreUnavailable("gone")
        return await super().lend(worker, amounts)

    async def settle(self, worker, settlements):
        if self.away:
            raise StoreUnavailable("gone")
        return await super().settle(worker, settlements)


@pytest.fixture
async def ledger(bank):
    made = LeasedLedger(bank, "w", QUICK)
    yield made
    await made.aclose()


async def spend(ledger, nanousd, worst=None, budgets=BOTH, wait_s=0.0, lasting_s=0.0):
    hold = await ledger.reserve(budgets, worst or nanousd, wait_s)
    await asyncio.sleep(lasting_s)
    ledger.settle(hold, nanousd)


async def ending(call):
    try:
        await call
    except StoreUnavailable as error:
        return error


async def settled(bank, ledger, terms):
    """What SQL says once the worker has told it everything."""
    for _ in range(300):
        (found,) = await bank.standings([terms.id])
        if found.reserved_nanousd == 0:
            return found.spent_nanousd
        await asyncio.sleep(0.02)
    raise AssertionError(found)


async def test_a_call_is_paid_from_every_budget_at_its_real_price(bank, ledger):
    await spend(ledger, 100, worst=400)
    assert await settled(bank, ledger, KEY) == 100
    assert await settled(bank, ledger, TEAM) == 100


async def test_what_is_reserved_is_in_the_bank_before_the_call_starts(bank, ledger):
    hold = await ledger.reserve(BOTH, 400, 0)
    (found,) = await bank.standings([KEY.id])
    assert found.reserved_nanousd >= 400
    ledger.settle(hold, 0)


async def test_eight_first_requests_at_once_with_a_budget_for_one(bank, ledger):
    ended = await asyncio.gather(
        *(spend(ledger, 900, 1_000, wait_s=2, lasting_s=0.1) for _ in range(8)), return_exceptions=True
    )
    assert [type(each) for each in ended if each] == [QuotaSpent] * 7
    assert await settled(bank, ledger, KEY) == 900


async def test_a_call_waits_for_others_that_turn_out_cheap(bank, ledger):
    ended = await asyncio.gather(
        *(spend(ledger, 10, 1_000, wait_s=5, lasting_s=0.05) for _ in range(5)), return_exceptions=True
    )
    assert len([each for each in ended if each is None]) == 1  # 990 are left after the first, and 1,000 are wanted
    ended = await asyncio.gather(*(spend(ledger, 10, 900, wait_s=5, lasting_s=0.05) for _ in range(5)))
    assert await settled(bank, ledger, KEY) == 60


async def test_others_reservations_are_a_rate_limit_and_not_a_spent_quota(ledger):
    hold = await ledger.reserve(BOTH, 1_000, 0)
    started = time.monotonic()
    with pytest.raises(RateLimited, match="in flight") as caught:
        await ledger.reserve(BOTH, 1, 0.2)
    assert 0.15 < time.monotonic() - started < 2
    assert caught.value.retry_after_s
    ledger.settle(hold, 0)


async def test_where_one_budget_is_spent_and_another_reserved_nobody_waits(ledger):
    hold = await ledger.reserve((KEY.id,), 900, 0)
    await spend(ledger, 9_900, budgets=(TEAM.id,))
    with pytest.raises(QuotaSpent, match=r"monthly budget of team t .* 0\.000000100 USD is left"):
        await ledger.reserve(BOTH, 200, 60)
    ledger.settle(hold, 0)


async def test_a_spent_budget_says_what_is_left_and_when_it_resets(bank, ledger):
    await spend(ledger, 990)
    with pytest.raises(QuotaSpent, match=r"daily budget of key k .* 0\.000000010 USD is left.*resets at 2026-03-02"):
        await ledger.reserve(BOTH, 11, 5)


async def test_another_workers_idle_money_comes_back_in_time(bank, ledger):
    other = LeasedLedger(bank, "x", QUICK)
    await spend(other, 1, budgets=(KEY.id,))
    await spend(other, 1, budgets=(KEY.id,))
    await spend(ledger, 998, budgets=(KEY.id,), wait_s=5)
    assert await settled(bank, ledger, KEY) == 1_000
    await other.aclose()


async def test_the_soft_limit_is_told_once_it_is_reached(bank, ledger):
    await spend(ledger, 499)
    assert ledger.soft_reached(BOTH) == ()
    await spend(ledger, 1)
    assert ledger.soft_reached(BOTH) == (KEY.id,)


async def test_most_calls_of_a_large_budget_need_no_bank():
    bank = Away([TEAM])
    bank.put(BudgetTerms(Scope.TEAM, "t", Period.MONTH, 10**12))
    ledger = LeasedLedger(bank, "w", QUICK)
    for _ in range(1_000):
        await spend(ledger, 10_000, budgets=(TEAM.id,))
    assert bank.asked < 10
    await ledger.aclose()
    assert (await bank.standings([TEAM.id]))[0].spent_nanousd == 10_000_000


async def test_with_the_bank_away_what_is_borrowed_can_be_spent_and_then_it_is_503():
    bank = Away([BudgetTerms(Scope.TEAM, "t", Period.MONTH, 10_000_000)])
    ledger = LeasedLedger(bank, "w", QUICK)
    for _ in range(2):
        await spend(ledger, 100, budgets=(TEAM.id,))
    bank.away = True
    ended = [await ending(spend(ledger, 1_000, budgets=(TEAM.id,))) for _ in range(1_000)]
    got = ended.count(None)
    assert "ledger is away" in ended[-1].message
    assert 0 < got <= 500  # a twentieth of the budget at most
    bank.away = False
    await asyncio.sleep(0.2)
    await spend(ledger, 1_000, budgets=(TEAM.id,))
    await ledger.aclose()
    (found,) = await bank.standings([TEAM.id])
    assert (found.spent_nanousd, found.reserved_nanousd) == (200 + 1_000 * (got + 1), 0)


async def test_a_worker_that_was_taken_for_dead_goes_on_with_new_money(bank, clock):
    paused = LeasedLedger(bank, "w", replace(QUICK, renew_s=1_000))
    hold = await paused.reserve((KEY.id,), 300, 0)
    clock.now += 100
    assert await bank.reap() == 1
    paused.settle(hold, 100)
    await spend(paused, 50, budgets=(KEY.id,), wait_s=2)
    # 300 at worst for the open call; the 50 are part of that where they were spent before the worker heard of it
    assert await settled(bank, paused, KEY) in {300, 350}
    await paused.aclose()


async def test_a_budget_that_is_removed_and_set_again_is_not_overspent_by_what_was_borrowed_before(bank, clock):
    budgets = budgets_of(bank, clock)
    large = replace(TEAM, limit_nanousd=1_000_000)
    await budgets.put(large)
    ledger = LeasedLedger(bank, "w", QUICK)
    for _ in range(5):
        await spend(ledger, 100, budgets=(TEAM.id,))
    await budgets.remove(TEAM.id)
    await budgets.put(large)
    paid = []

    async def until_it_is_refused():
        while True:
            await spend(ledger, 5_000, budgets=(TEAM.id,), wait_s=5)
            paid.append(5_000)

    with pytest.raises(QuotaSpent):
        await until_it_is_refused()
    spent = sum(paid)
    assert 0 < spent <= large.limit_nanousd
    assert spent <= await settled(bank, ledger, TEAM) <= large.limit_nanousd
    await ledger.aclose()


async def test_a_budget_that_is_removed_bounds_nothing_any_more():
    bank = MemoryBank([KEY])
    ledger = LeasedLedger(bank, "w", QUICK)
    await spend(ledger, 1_000, budgets=(KEY.id,))
    bank.remove(KEY.id)
    await asyncio.sleep(0.1)
    await spend(ledger, 5_000, budgets=(KEY.id,))
    await ledger.aclose()
