"""What a pool has reserved is booked once, however often and by whoever it is told: the books never pass the limit."""

from __future__ import annotations

import pytest

from router.budgets import BudgetTerms, Period, Scope
from router.ports import Settlement
from storage.engine import create_engine
from storage.migrate import migrate
from storage.money.bank_memory import LEASE_TTL_S
from storage.money.bank_redis import RedisBank
from storage.money.bank_sql import SqlBank
from storage.money.budgets import SqlBudgets
from storage.sharing.redis_away import RedisAway

KEY = BudgetTerms(Scope.KEY, "k", Period.TOTAL, 1_000)


@pytest.fixture
async def inner(postgresql_url, clock):
    engine = create_engine(postgresql_url)
    await migrate(engine)
    await SqlBudgets(engine, clock).put(KEY)
    yield SqlBank(engine, clock=clock, pools=False)
    await engine.dispose()


@pytest.fixture
async def pool(inner, redis_link, clock):
    bank = RedisBank(inner, redis_link, clock=clock)
    await bank.join()
    return bank


async def booked(bank):
    (found,) = await bank.standings([KEY.id])
    return found.spent_nanousd


async def test_a_charge_that_is_told_again_books_no_more_than_was_reserved(inner):
    await inner.lend("redis:x", {KEY.id: 1_000})
    for _ in range(2):
        await inner.charge("redis:x", {KEY.id: 700}, {}, {})
    assert await booked(inner) == 1_000


async def test_what_was_billed_beyond_its_reservation_is_booked_all_the_same(pool, inner):
    await pool.lend("w", {KEY.id: 1_000})
    await pool.settle("w", [Settlement(KEY.id, 1, spent_nanousd=1_200, keep_nanousd=0)])
    assert await booked(inner) == 1_200


async def test_a_settlement_whose_answer_was_lost_and_whose_worker_is_then_taken_for_dead_counts_once(
    pool, inner, redis_link, clock, monkeypatch
):
    await pool.lend("w", {KEY.id: 1_000})

    async def silent(*_):
        raise RedisAway("redis is silent")

    monkeypatch.setattr(redis_link, "run", silent)  # SQL books it, and Redis never hears of it
    with pytest.raises(RedisAway):
        await pool.settle("w", [Settlement(KEY.id, 1, spent_nanousd=600, keep_nanousd=400)])
    monkeypatch.undo()
    clock.now += LEASE_TTL_S + 1
    await pool.reap()
    assert await booked(inner) == 1_000


async def test_a_settlement_that_comes_after_its_pool_was_lost_adds_nothing(pool, inner, clock):
    await pool.lend("w", {KEY.id: 1_000})
    clock.now += LEASE_TTL_S + 1
    await inner.reap_pools("redis:another")
    await inner.charge(pool._pool, {KEY.id: 600}, {}, {})
    assert await booked(inner) == 1_000
