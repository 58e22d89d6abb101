"""What is made of a Redis that is there and does not do what it is asked: crowded, closed to us, full, or a replica."""

from __future__ import annotations

import asyncio

import pytest
from redis_server import running_redis

from router.domain import RateLimits
from router.errors import ConfigError
from storage.money.limits import MemoryLimiter, RedisLimiter
from storage.sharing.cache import RedisCache
from storage.sharing.joins import MemoryJoins, RedisJoins
from storage.sharing.redis_link import MAX_CONNECTIONS, RedisLink


async def test_a_crowd_larger_than_the_pool_of_connections_waits_in_line_and_calls_nobody_away(redis_link):
    cache = RedisCache(redis_link)
    await cache.put("a", b"1", 60)
    assert set(await asyncio.gather(*(cache.get("a") for _ in range(20 * MAX_CONNECTIONS)))) == {b"1"}
    assert not redis_link.away
    assert int((await redis_link.redis.info("clients"))["connected_clients"]) <= MAX_CONNECTIONS + 1


@pytest.fixture
def locked():
    """A server that wants a password."""
    with running_redis() as server:
        server.run("CONFIG SET requirepass right")
        yield server


async def greeted(url):
    link = RedisLink(url, patience_s=20)
    try:
        await link.greet()
    finally:
        await link.aclose()
    return link.away


@pytest.mark.parametrize(
    "query", ["", "?password=canary", "?password=right&db=99"], ids=["none", "wrong", "no such db"]
)
async def test_a_redis_that_turns_us_away_is_the_operators_to_mend(locked, query):
    with pytest.raises(ConfigError, match=r"redis turns us away .+ Mend redis\.url") as refused:
        await greeted(locked.url + query)
    assert "canary" not in str(refused.value)


async def test_a_redis_that_knows_us_is_not_away(locked):
    assert not await greeted(f"{locked.url}?password=right")


async def test_a_redis_that_is_away_at_start_is_no_error(tmp_path):
    assert await greeted(f"unix://{tmp_path}/none")


@pytest.fixture
def own_redis():
    """A server whose settings a test may spoil."""
    with running_redis() as server:
        yield server


SPOILT = {
    "full": ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
    "a replica": ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
}


@pytest.mark.parametrize("how", SPOILT)
async def test_a_redis_that_takes_no_writes_is_gone_on_without_until_it_does_again(own_redis, how):
    spoil, mend = SPOILT[how]
    now = 0.0
    link = RedisLink(own_redis.url, patience_s=20, clock=lambda: now)
    link.name("test")
    cache, joins = RedisCache(link), RedisJoins(link, MemoryJoins())
    limiter = RedisLimiter(link, MemoryLimiter())
    await cache.put("a", b"1", 60)
    own_redis.run(spoil)
    await cache.put("b", b"2", 60)
    assert link.away
    assert (await joins.claim("k", "body", "w", 5)).state.name == "MINE"
    await limiter.admit("k", RateLimits(3), 1)
    own_redis.run(mend)
    now = 10.0
    await cache.put("b", b"2", 60)
    assert (await cache.get("b"), link.away) == (b"2", False)
    await link.aclose()
