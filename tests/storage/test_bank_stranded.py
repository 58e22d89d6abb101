"""Money that was lost on its way between SQL and the pool in Redis does not stay reserved for ever."""

from __future__ import annotations

import pytest

from router.budgets import BudgetTerms, Period, Scope
from storage.engine import create_engine
from storage.migrate import migrate
from storage.money.bank_memory import LEASE_TTL_S
from storage.money.bank_redis import RedisBank
from storage.money.bank_sql import SqlBank
from storage.money.budgets import SqlBudgets

KEY = BudgetTerms(Scope.KEY, "k", Period.TOTAL, 1_000)


@pytest.fixture
async def banks(postgresql_url, redis_link, clock):
    """The pool, and SQL behind it."""
    engine = create_engine(postgresql_url)
    await migrate(engine)
    await SqlBudgets(engine, clock).put(KEY)
    inner = SqlBank(engine, clock=clock, pools=False)
    pool = RedisBank(inner, redis_link, clock=clock)
    await pool.join()
    yield pool, inner
    await engine.dispose()


async def a_lease_later(pool, clock, worker="w"):
    """Everybody lives, and a lease's time passes."""
    for _ in range(4):
        await pool.renew(worker)
        await pool.reap()
        clock.now += LEASE_TTL_S / 3
    await pool.reap()


async def standing(bank):
    (found,) = await bank.standings([KEY.id])
    return found.spent_nanousd, found.reserved_nanousd


async def test_what_was_lent_to_the_pool_and_never_reached_it_counts_as_spent_after_a_lease(banks, clock):
    pool, inner = banks
    await inner.lend(pool._pool, {KEY.id: 300})  # and Redis never hears of it
    await pool.reap()
    assert await standing(inner) == (0, 300)
    await a_lease_later(pool, clock)
    assert await standing(inner) == (300, 0)


async def test_what_a_living_worker_holds_is_left_to_it(banks, clock):
    pool, inner = banks
    await pool.lend("w", {KEY.id: 300})
    await a_lease_later(pool, clock)
    assert (await standing(inner))[0] == 0
    assert (await standing(inner))[1] >= 300


async def test_two_workers_that_find_the_same_loss_count_it_once(banks, redis_link, clock):
    pool, inner = banks
    other = RedisBank(inner, redis_link, clock=clock)
    await other.join()
    await inner.lend(pool._pool, {KEY.id: 300})
    for bank in (pool, other):
        await bank.reap()
    clock.now += LEASE_TTL_S + 1
    for bank in (pool, other):
        await bank.reap()
    assert await standing(inner) == (300, 0)
