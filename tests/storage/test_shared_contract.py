"""Limits, cache and joins: the same tests over memory and Redis."""

from __future__ import annotations

import asyncio

import pytest

from router.domain import RateLimits
from router.errors import RateLimited
from router.ports import ClaimState
from storage.money.limits import MemoryLimiter, RedisLimiter
from storage.sharing.cache import MemoryCache, RedisCache
from storage.sharing.joins import MemoryJoins, RedisJoins

BOTH = pytest.mark.parametrize("kind", ["memory", "redis"], indirect=True)


@pytest.fixture
def kind(request):
    return request.param


def or_redis(kind, request, memory, redis):
    return memory() if kind == "memory" else redis(request.getfixturevalue("redis_link"))


@pytest.fixture
def limiter(kind, request, clock):
    return or_redis(
        kind, request, lambda: MemoryLimiter(clock), lambda link: RedisLimiter(link, MemoryLimiter(clock), clock)
    )


@pytest.fixture
def cache(kind, request):
    return or_redis(kind, request, MemoryCache, RedisCache)


@pytest.fixture
def joins(kind, request):
    return or_redis(kind, request, MemoryJoins, lambda link: RedisJoins(link, MemoryJoins()))


async def admitted(limiter, limits, times, tokens=1, key="k"):
    got = 0
    for _ in range(times):
        try:
            await limiter.admit(key, limits, tokens)
        except RateLimited:
            continue
        got += 1
    return got


@BOTH
async def test_a_minute_lets_as_many_requests_in_as_it_may(limiter, clock):
    assert await admitted(limiter, RateLimits(5), 9) == 5
    clock.now += 24
    assert await admitted(limiter, RateLimits(5), 9) == 2
    assert await admitted(limiter, RateLimits(5), 1, key="another") == 1


@BOTH
async def test_a_refusal_says_when_the_next_request_fits(limiter, clock):
    await admitted(limiter, RateLimits(60), 60)
    with pytest.raises(RateLimited, match="60 requests per minute") as caught:
        await limiter.admit("k", RateLimits(60), 1)
    clock.now += caught.value.retry_after_s + 0.001
    await limiter.admit("k", RateLimits(60), 1)


@BOTH
async def test_tokens_are_counted_as_they_were_used_in_the_end(limiter):
    permit = await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 900)
    await limiter.leave(permit, 100)
    permit = await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 900)
    await limiter.leave(permit, 2_000)
    with pytest.raises(RateLimited, match="1000 tokens per minute") as caught:
        await limiter.admit("k", RateLimits(tokens_per_minute=1_000), 1)
    assert 60 < caught.value.retry_after_s < 70


@BOTH
async def test_a_request_larger_than_the_whole_minute_passes_when_nothing_else_did(limiter):
    assert await admitted(limiter, RateLimits(tokens_per_minute=100), 3, tokens=500) == 1


@BOTH
async def test_requests_at_once_are_counted_until_they_leave(limiter):
    permits = [await limiter.admit("k", RateLimits(concurrent_requests=2), 1) for _ in range(2)]
    with pytest.raises(RateLimited, match="at the same time"):
        await limiter.admit("k", RateLimits(concurrent_requests=2), 1)
    await limiter.leave(permits[0], 1)
    await limiter.admit("k", RateLimits(concurrent_requests=2), 1)


@BOTH
async def test_a_limit_that_refuses_takes_nothing_from_the_others(limiter):
    limits = RateLimits(2, None, 1)
    permit = await limiter.admit("k", limits, 1)
    assert await admitted(limiter, limits, 5) == 0
    await limiter.leave(permit, 1)
    assert await admitted(limiter, limits, 5) == 1


@BOTH
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


@BOTH
async def test_one_claims_the_others_wait_and_the_answer_stays(joins):
    states = [(await joins.claim("k", "body", f"w{n}", 5)).state for n in range(3)]
    assert states == [ClaimState.MINE, ClaimState.RUNNING, ClaimState.RUNNING]
    await joins.finish("k", "w1", b"not mine", 5)
    await joins.finish("k", "w0", b"answer", 5)
    claim = await joins.claim("k", "body", "w9", 5)
    assert (claim.state, claim.answer) == (ClaimState.DONE, b"answer")


@BOTH
async def test_the_same_key_with_another_body_is_told_apart(joins):
    await joins.claim("k", "body", "w", 5)
    assert (await joins.claim("k", "other", "w", 5)).state is ClaimState.OTHER_BODY


@BOTH
async def test_a_dead_owners_claim_ends_unless_it_is_renewed(joins):
    await joins.claim("k", "body", "w", 0.1)
    assert await joins.renew("k", "w", 0.2)
    assert not await joins.renew("k", "x", 5)
    await asyncio.sleep(0.12)
    assert (await joins.claim("k", "body", "x", 5)).state is ClaimState.RUNNING
    await asyncio.sleep(0.12)
    assert (await joins.claim("k", "body", "x", 5)).state is ClaimState.MINE


@BOTH
async def test_a_run_without_an_answer_is_run_again(joins):
    await joins.claim("k", "body", "w", 5)
    await joins.drop("k", "w")
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
