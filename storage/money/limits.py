"""Rate limits: token buckets per key, in this process or in Redis (in SQL: `limits_sql`).

The law of this file: one rule, in Python and in Lua, and one contract suite over all. A bucket holds a minute's worth
and fills evenly, so no minute of any alignment sees more than twice the limit, and a steady stream exactly the
limit. A request larger than the whole bucket passes when the bucket is full, else it could never pass.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router.errors import RateLimited, StoreUnavailable
from storage.sharing.redis_away import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.domain import RateLimits
    from router.ports import Limiter, Permit
    from storage.sharing.redis_link import RedisLink

#: A request that is not heard of for so long has ended with its worker.
LOST_S = 60.0
_MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Leave:
    """A `Permit`: which request of which key, under which limits, and the tokens it was let in for."""

    key_id: str
    limits: RateLimits
    tokens: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass(slots=True)
class Bucket:
    """`level` is what is left in it at the time `at`, in seconds."""

    level: float
    at: float

    def fill(self, per_minute: int, now: float) -> None:
        """Let in what has come since."""
        self.level = min(self.level + max(now - self.at, 0.0) * per_minute / _MINUTE_S, per_minute)
        self.at = max(now, self.at)


@dataclass(slots=True)
class Pace:
    """How fast one key has been: its buckets, and which of its requests run since when. The rule itself."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    running: dict[str, float] = field(default_factory=dict)

    def admit(self, leave: Leave, now: float) -> None:
        """Take what a request needs; nothing is taken where any of the limits refuses.

        Raises:
            RateLimited: with the seconds after which it would fit.
        """
        limits = leave.limits
        wanted = [("requests", limits.requests_per_minute, 1), ("tokens", limits.tokens_per_minute, leave.tokens)]
        taken: list[tuple[Bucket, int]] = []
        for kind, per_minute, amount in wanted:
            if per_minute is None:
                continue
            bucket = self.buckets.setdefault(kind, Bucket(per_minute, now))
            bucket.fill(per_minute, now)
            missing = min(amount, per_minute) - bucket.level
            if missing > 0:
                raise too_many(kind, per_minute, missing * _MINUTE_S / per_minute)
            taken.append((bucket, amount))
        if limits.concurrent_requests is not None:
            for lost in [each for each, since in self.running.items() if now - since >= LOST_S]:
                del self.running[lost]
            if len(self.running) >= limits.concurrent_requests:
                raise too_many("concurrent", limits.concurrent_requests, 1.0)
            self.running[leave.id] = now
        for bucket, amount in taken:
            bucket.level -= amount

    def renew(self, leave: Leave, now: float) -> None:
        """A request still runs."""
        if leave.id in self.running:
            self.running[leave.id] = now

    def leave(self, leave: Leave, tokens: int, now: float) -> None:
        """A request is over; so many tokens it really used."""
        self.running.pop(leave.id, None)
        bucket = self.buckets.get("tokens")
        if bucket is not None and leave.limits.tokens_per_minute is not None:
            bucket.fill(leave.limits.tokens_per_minute, now)
            bucket.level -= tokens - leave.tokens


class MemoryLimiter:
    """See `Limiter`; for one process.

    Args:
        clock: seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paces: dict[str, Pace] = {}

    async def admit(self, key_id: str, limits: RateLimits, tokens: int) -> Permit:
        """See `Limiter`."""
        leave = Leave(key_id, limits, tokens)
        self._paces.setdefault(key_id, Pace()).admit(leave, self._clock())
        return leave

    async def renew(self, permit: Permit) -> None:
        """See `Limiter`."""
        self._paces.setdefault(permit.key_id, Pace()).renew(own(permit), self._clock())

    async def leave(self, permit: Permit, tokens: int) -> None:
        """See `Limiter`."""
        self._paces.setdefault(permit.key_id, Pace()).leave(own(permit), tokens, self._clock())


# keys: requests, tokens, open; arguments: now ('' = Redis's), per minute (or ''), tokens per minute, tokens,
# concurrent, id, lost_s. Returns what refuses and by how much, or nothing.
_ADMIT = """
local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] + t[2] / 1000000
end
local function level(key, limit)
  local b = redis.call('HMGET', key, 'level', 'at')
  if not b[1] then return limit end
  return math.min(tonumber(b[1]) + math.max(now - tonumber(b[2]), 0) * limit / 60, limit)
end
local function put(key, value)
  redis.call('HSET', key, 'level', tostring(value), 'at', string.format('%.6f', now))
  redis.call('EXPIRE', key, 300)
end
local rpm, tpm, tokens, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local r, t
if rpm then
  r = level(KEYS[1], rpm)
  if r < 1 then return {'requests', tostring((1 - r) * 60 / rpm)} end
end
if tpm then
  t = level(KEYS[2], tpm)
  local need = math.min(tokens, tpm)
  if t < need then return {'tokens', tostring((need - t) * 60 / tpm)} end
end
if most then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - tonumber(ARGV[7]))
  if redis.call('ZCARD', KEYS[3]) >= most then return {'concurrent', '1'} end
  redis.call('ZADD', KEYS[3], now, ARGV[6])
  redis.call('EXPIRE', KEYS[3], math.ceil(tonumber(ARGV[7])))
end
if rpm then put(KEYS[1], r - 1) end
if tpm then put(KEYS[2], t - tokens) end
return {}
"""
# keys: open; arguments: now ('' = Redis's), id, lost_s
_RENEW = """
local now = tonumber(ARGV[1]) or tonumber(redis.call('TIME')[1])
if redis.call('ZADD', KEYS[1], 'XX', 'CH', now, ARGV[2]) then
  redis.call('EXPIRE', KEYS[1], math.ceil(tonumber(ARGV[3])))
end
return 1
"""
# keys: tokens, open; arguments: id, tokens more than expected (may be negative), or '' where they are not limited
_LEAVE = """
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[2] ~= '' and redis.call('EXISTS', KEYS[1]) == 1 then
  local level = tonumber(redis.call('HGET', KEYS[1], 'level'))
  redis.call('HSET', KEYS[1], 'level', tostring(level - tonumber(ARGV[2])))
end
return 1
"""


class RedisLimiter:
    """See `Limiter`; for all workers on one Redis, and by `instead` while it is away.

    Args:
        link: to Redis.
        instead: this process's own limits.
        clock: seconds instead of Redis's own time; for tests.
    """

    def __init__(self, link: RedisLink, instead: Limiter, clock: Callable[[], float] | None = None) -> None:
        self._link = link
        self._instead = instead
        self._clock = clock

    async def admit(self, key_id: str, limits: RateLimits, tokens: int) -> Permit:
        """See `Limiter`."""
        leave = Leave(key_id, limits, tokens)
        now = "" if self._clock is None else self._clock()
        given = [limits.requests_per_minute, limits.tokens_per_minute, tokens, limits.concurrent_requests]
        arguments = ["" if each is None else each for each in given]
        try:
            refused = await self._link.run(
                _ADMIT, self._keys(key_id, "requests", "tokens", "open"), [now, *arguments, leave.id, LOST_S]
            )
        except RedisAway:
            return Instead(await self._instead.admit(key_id, limits, tokens))
        if refused:
            kind = refused[0].decode()
            limit = {
                "requests": limits.requests_per_minute,
                "tokens": limits.tokens_per_minute,
                "concurrent": limits.concurrent_requests,
            }[kind]
            raise too_many(kind, limit or 0, float(refused[1]))
        return leave

    async def renew(self, permit: Permit) -> None:
        """See `Limiter`."""
        if isinstance(permit, Instead):
            await self._instead.renew(permit.permit)
            return
        now = "" if self._clock is None else self._clock()
        with suppress(StoreUnavailable):  # the next one may come in time
            await self._link.run(_RENEW, self._keys(permit.key_id, "open"), [now, own(permit).id, LOST_S])

    async def leave(self, permit: Permit, tokens: int) -> None:
        """See `Limiter`."""
        if isinstance(permit, Instead):
            await self._instead.leave(permit.permit, tokens)
            return
        permit = own(permit)
        more = "" if permit.limits.tokens_per_minute is None else tokens - permit.tokens
        try:
            await self._link.run(_LEAVE, self._keys(permit.key_id, "tokens", "open"), [permit.id, more])
        except StoreUnavailable:
            return  # it is forgotten there after `LOST_S`

    def _keys(self, key_id: str, *kinds: str) -> list[str]:
        return [self._link.key(f"limit:{kind}:{key_id}") for kind in kinds]


@dataclass(frozen=True, slots=True)
class Instead:
    """A permit of the process's own limiter."""

    permit: Permit

    @property
    def key_id(self) -> str:
        """See `Permit`."""
        return self.permit.key_id


def own(permit: Permit) -> Leave:
    """A permit as these limiters give it."""
    if not isinstance(permit, Leave):
        raise TypeError("this permit was given by another limiter")
    return permit


def too_many(kind: str, limit: int, retry_after_s: float) -> RateLimited:
    """What is said to a key that is too fast."""
    words = {
        "requests": f"{limit} requests per minute",
        "tokens": f"{limit} tokens per minute",
        "concurrent": f"{limit} requests at the same time",
    }
    return RateLimited(
        f"this key's limit of {words[kind]} is reached; try again in {max(retry_after_s, 0.001):.3g} s",
        retry_after_s=max(retry_after_s, 0.001),
    )
