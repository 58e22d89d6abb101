"""The same tests over memory and Redis, of limits and joins over SQL as well."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from router.domain import RateLimits
from router.errors import RateLimited
from router.ports import ClaimState
from storage.engine import create_engine
from storage.migrate import migrate
from storage.money.limits import MemoryLimiter, RedisLimiter
from storage.money.limits_sql import SqlLimiter
from storage.sharing import joins_sql
from storage.sharing.cache import MemoryCache, RedisCache
from storage.sharing.joins import MemoryJoins, RedisJoins
from storage.sharing.joins_sql import SqlJoins

BOTH = pytest.mark.parametrize("kind", ["memory", "redis"], indirect=True)


@pytest.fixture
def kind(request):
    return request.param


def or_redis(kind, request, memory, redis):
    return memory() if kind == "memory" else redis(request.getfixturevalue("redis_link"))


@pytest.fixture
def memory_limiter(clock):
    return MemoryLimiter(clock)


@pytest.fixture
def redis_limiter(redis_link, clock):
    return RedisLimiter(redis_link, Nobody(), clock)


@pytest.fixture
async def sqlite_limiter(sqlite_url, clock):
    async with migrated(sqlite_url) as engine:
        yield SqlLimiter(engine, Nobody(), 60, clock)


@pytest.fixture
async def postgresql_limiter(postgresql_url, clock):
    async with migrated(postgresql_url) as engine:
        yield SqlLimiter(engine, Nobody(), 60, clock)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def limiter(request):
    return request.getfixturevalue(f"{request.param}_limiter")


@pytest.fixture
def cache(kind, request):
    return or_redis(kind, request, MemoryCache, RedisCache)


@asynccontextmanager
async def migrated(url):
    engine = create_engine(url)
    await migrate(engine)
    yield engine
    await engine.dispose()


class Nobody:
    """Joins and limits that must not be needed."""


@pytest.fixture
def memory_joins(clock):
    return MemoryJoins(clock)


@pytest.fixture
def redis_joins(redis_link):
    return RedisJoins(redis_link, Nobody())


@pytest.fixture
async def sqlite_joins(sqlite_url, clock):
    async with migrated(sqlite_url) as engine:
        yield SqlJoins(engine, Nobody(), 60, clock)


@pytest.fixture
async def postgresql_joins(postgresql_url, clock):
    async with migrated(postgresql_url) as engine:
        yield SqlJoins(engine, Nobody(), 60, clock)


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
def joins(request):
    return request.getfixturevalue(f"{request.param}_joins")


@pytest.fixture
def passes(joins, clock):
    """Time goes by: Redis alone has no clock that tests can move."""

    async def wait(seconds):
        clock.now += seconds
        if isinstance(joins, RedisJoins):
            await asyncio.sleep(seconds)

    return wait


async def admitted(limiter, limits, times, tokens=1, key="k"):
    got = 0
    for _ in range(times):
        try:
            await limiter.admit(key, limits, tokens)
        except RateLimited:
            continue
        got += 1
    return got


async def test_a_minute_lets_as_many_requests_in_as_it_may(limiter, clock):
    assert await admitted(limiter, RateLimits(5), 9) == 5
    clock.now += 24
    assert await admitted(limiter, RateLimits(5), 9) == 2
    assert await admitted(limiter, RateLimits(5), 1, key="another") == 1


async def test_a_refusal_says_when_the_next_request_fits(limiter, clock):
    await admitted(limiter, RateLimits(60), 60)
    with pytest.raises(RateLimited, match="60 requests per minute") as caught:
        await limiter.admit("k", RateLimits(60), 1)
    clock.now += caught.value.retry_after_s + 0.001
    await limiter.admit("k", RateLimits(60), 1)


async def test_tokens_are_counted_as_they_were_used_in_the_end(limiter):
    permit = await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 900)
    await limiter.leave(permit, 100)
    permit = await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 900)
    await limiter.leave(permit, 2_000)
    with pytest.raises(RateLimited, match="1000 tokens per minute") as caught:
        await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 1)
    assert 60 < caught.value.retry_after_s < 70


async def test_a_request_larger_than_the_whole_minute_passes_when_nothing_else_did(limiter):
    assert await admitted(limiter, RateLimits(tokens_per_minute=100), 3, tokens=500) == 1


async def test_requests_at_once_are_counted_until_they_leave(limiter):
    permits = [await limiter.admit("k", RateLimits(concurrent_requests=2), 1) for _ in range(2)]
    with pytest.raises(RateLimited, match="at the same time"):
        await limiter.admit("k", RateLimits(concurrent_requests=2), 1)
    await limiter.leave(permits[0], 1)
    await limiter.admit("k", RateLimits(concurrent_requests=2), 1)


async def test_the_place_of_a_request_whose_worker_died_is_free_soon_and_that_of_a_long_one_is_not(limiter, clock):
    alive, _ = [await limiter.admit("k", RateLimits(concurrent_requests=2), 1) for _ in range(2)]
    for _ in range(3):
        clock.now += 20
        await limiter.renew(alive)
    assert await admitted(limiter, RateLimits(concurrent_requests=2), 3) == 1
    await limiter.leave(alive, 1)
    await limiter.renew(alive)
    assert await admitted(limiter, RateLimits(concurrent_requests=2), 3) == 1


async def test_a_limit_that_refuses_takes_nothing_from_the_others(limiter):
    limits = RateLimits(2, None, 1)
    permit = await limiter.admit("k", limits, 1)
    assert await admitted(limiter, limits, 5) == 0
    await limiter.leave(permit, 1)
    assert await admitted(limiter, limits, 5) == 1


async def test_of_many_at_once_no_more_get_in_than_may(limiter):
    assert sum(await asyncio.gather(*(admitted(limiter, RateLimits(7), 1) for _ in range(50)))) == 7


@BOTH
async def test_a_cache_gives_back_what_it_was_given_until_it_ends(cache):
    await cache.put("a", b"\x00answer", 0.05)
    assert await cache.get("a") == b"\x00answer"
    assert await cache.get("b") is None
    await asyncio.sleep(0.06)
    assert await cache.get("a") is None


async def test_the_cache_in_memory_is_bounded_and_forgets_the_least_used():
    cache = MemoryCache(max_bytes=10)
    for key in "abc":
        await cache.put(key, b"1234", 9)
        await cache.get("a")
    assert [await cache.get(key) is not None for key in "abc"] == [True, False, True]
    await cache.put("large", b"12345678901", 9)
    assert await cache.get("large") is None


async def test_one_claims_the_others_wait_and_the_answer_stays(joins):
    states = [(await joins.claim("k", "body", f"w{n}", 5)).state for n in range(3)]
    assert states == [ClaimState.MINE, ClaimState.RUNNING, ClaimState.RUNNING]
    await joins.finish("k", "w1", b"not mine", 5)
    await joins.finish("k", "w0", b"answer", 5)
    claim = await joins.claim("k", "body", "w9", 5)
    assert (claim.state, claim.answer) == (ClaimState.DONE, b"answer")


async def test_the_same_key_with_another_body_is_told_apart(joins):
    await joins.claim("k", "body", "w", 5)
    assert (await joins.claim("k", "other", "w", 5)).state is ClaimState.OTHER_BODY


async def test_a_dead_owners_claim_ends_unless_it_is_renewed(joins, passes):
    await joins.claim("renewed", "body", "w", 2)
    await joins.claim("dead", "body", "w", 2)
    assert await joins.renew("renewed", "w", 60)
    assert not await joins.renew("renewed", "x", 5)
    await passes(2.1)
    assert (await joins.claim("renewed", "body", "x", 5)).state is ClaimState.RUNNING
    assert not await joins.renew("dead", "w", 60)
    assert (await joins.claim("dead", "body", "x", 5)).state is ClaimState.MINE


async def test_an_answer_is_kept_as_long_as_it_was_meant_to_be(joins, passes):
    await joins.claim("k", "body", "w", 60)
    await joins.finish("k", "w", b"answer", 2)
    assert (await joins.claim("k", "body", "x", 60)).state is ClaimState.DONE
    assert await joins.claimed("k")
    await passes(2.1)
    assert not await joins.claimed("k")
    assert (await joins.claim("k", "other body", "x", 60)).state is ClaimState.MINE


async def test_of_many_claims_at_once_one_runs(joins):
    claims = await asyncio.gather(*(joins.claim("k", "body", f"w{n}", 60) for n in range(20)))
    assert sorted(each.state for each in claims) == [ClaimState.MINE] + [ClaimState.RUNNING] * 19


async def test_with_the_store_away_each_worker_limits_by_itself(sqlite_url, clock):
    engine = create_engine(sqlite_url)
    limiter = SqlLimiter(engine, MemoryLimiter(clock), 60, clock)
    assert await admitted(limiter, RateLimits(2), 3) == 2  # its tables are not there yet
    permit = await limiter.admit("other", RateLimits(concurrent_requests=1), 1)
    await limiter.leave(permit, 1)
    await migrate(engine)
    assert await admitted(limiter, RateLimits(2), 3) == 2
    await engine.dispose()


async def test_with_the_store_away_each_worker_joins_by_itself_and_the_store_is_asked_again_later(
    sqlite_url, monkeypatch
):
    monkeypatch.setattr(joins_sql, "LEFT_ALONE_S", 0)
    engine = create_engine(sqlite_url)
    joins = SqlJoins(engine, MemoryJoins(), 60)
    for state in (ClaimState.MINE, ClaimState.RUNNING):  # its tables are not there yet
        assert (await joins.claim("k", "b", "w", 60)).state is state
    await migrate(engine)
    assert (await joins.claim("k", "b", "x", 60)).state is ClaimState.MINE
    await engine.dispose()


async def test_a_run_without_an_answer_is_run_again(joins):
    await joins.claim("k", "body", "w", 5)
    assert await joins.claimed("k")
    await joins.drop("k", "w")
    assert not await joins.claimed("k")
    assert (await joins.claim("k", "body", "x", 5)).state is ClaimState.MINE


async def test_with_redis_away_each_process_goes_on_by_itself_and_redis_is_used_again_when_it_is_back(
    redis_server, redis_url, redis_link
):
    limiter = RedisLimiter(redis_link, MemoryLimiter())
    cache, joins = RedisCache(redis_link), RedisJoins(redis_link, MemoryJoins())
    await cache.put("a", b"1", 60)
    redis_server.stop()
    try:
        assert await admitted(limiter, RateLimits(3), 5) == 3
        assert await cache.get("a") is None
        assert (await joins.claim("k", "b", "w", 5)).state is ClaimState.MINE
        assert (await joins.claim("k", "b", "w", 5)).state is ClaimState.RUNNING
        assert redis_link.away
    finally:
        redis_server.start()
    await asyncio.sleep(1.1)
    assert await admitted(limiter, RateLimits(3), 5) == 3
    assert not redis_link.away
