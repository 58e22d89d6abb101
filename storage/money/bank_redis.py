"""A pool of money in Redis before the Bank in SQL, so that workers borrow without asking the database.

The law of this file: what lies in the pool is reserved in SQL already, in the name of the pool (`redis:<generation>`).
Each operation on the pool is one script. Money moves from "reserved" to "spent" in SQL before Redis hears of it, and
out of the pool before SQL hears that it is free; so whatever dies in between, SQL counts too much and never too little,
and never more than was reserved.
What is lost on the way counts as spent after a lease.
An empty Redis is a new generation with a new pool from SQL: what the lost pool held counts as spent once its
reservations expire, like that of a worker that died.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

from router.budgets import removed
from router.errors import Forfeited, Refused
from storage.money.bank_memory import LEASE_TTL_S
from storage.money.bank_sql import POOL
from storage.sharing.redis_away import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from router.budgets import Standing
    from router.ports import Settlement
    from storage.money.bank_sql import SqlBank
    from storage.sharing.redis_link import RedisLink

#: The pool borrows at most this many times what is missing, and at most this part of what is free.
_MORE, _PART = 10, 10
#: Others may take what was put in before we do; more than a few times in a row is a crowd, and we say so.
_ROUNDS = 8
#: Seconds after which money that nobody takes goes back to SQL.
IDLE_S = 10.0

# Redis's own time, unless a test gives another.
_CLOCK = """
local function clock(given)
  if given ~= '' then return tonumber(given) end
  return tonumber(redis.call('TIME')[1])
end
"""
# keys: generation, free, held, workers, used
_TAKE = (
    _CLOCK
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'lost'} end
local short = {'short'}
for i = 5, #ARGV, 2 do
  local free = tonumber(redis.call('HGET', KEYS[2], ARGV[i]) or '0')
  if free < tonumber(ARGV[i + 1]) then
    short[#short + 1] = ARGV[i]
    short[#short + 1] = string.format('%.0f', tonumber(ARGV[i + 1]) - free)
  end
end
if #short > 1 then return short end
for i = 5, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[2], ARGV[i], '-' .. ARGV[i + 1])
  redis.call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])
end
local now = clock(ARGV[4])
redis.call('ZADD', KEYS[4], now + ARGV[3], ARGV[2])
local ok = {'ok'}
for i = 5, #ARGV, 2 do
  redis.call('HSET', KEYS[5], ARGV[i], now)
  ok[#ok + 1] = ARGV[i]
  ok[#ok + 1] = redis.call('HGET', KEYS[2], ARGV[i])
end
return ok
"""
)
# keys: generation, free
_PUT = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
for i = 2, #ARGV, 2 do redis.call('HINCRBY', KEYS[2], ARGV[i], ARGV[i + 1]) end
return 1
"""
# keys: generation, free, held, numbers; returns budget, free, ... of those that the worker has a row in
_TELL = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local known = {}
for i = 2, #ARGV, 4 do
  local held = redis.call('HGET', KEYS[3], ARGV[i])
  if held then
    known[#known + 1] = ARGV[i]
    if tonumber(redis.call('HGET', KEYS[4], ARGV[i]) or '0') < tonumber(ARGV[i + 1]) then
      local back = tonumber(held) - tonumber(ARGV[i + 2]) - tonumber(ARGV[i + 3])
      if back < 0 then back = 0 end
      local left = tonumber(held) - tonumber(ARGV[i + 2]) - back
      if left < 0 then left = 0 end
      redis.call('HINCRBY', KEYS[2], ARGV[i], string.format('%.0f', back))
      redis.call('HSET', KEYS[3], ARGV[i], string.format('%.0f', left))
      redis.call('HSET', KEYS[4], ARGV[i], ARGV[i + 1])
    end
    known[#known + 1] = redis.call('HGET', KEYS[2], ARGV[i]) or '0'
  end
end
return known
"""
# keys: generation, workers, prefix of held, prefix of numbers; returns budget, amount, ... of dead workers
_REAP = (
    _CLOCK
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local lost = {}
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', clock(ARGV[2]))) do
  local held = redis.call('HGETALL', KEYS[3] .. worker)
  for _, each in ipairs(held) do lost[#lost + 1] = each end
  redis.call('DEL', KEYS[3] .. worker, KEYS[4] .. worker)
  redis.call('ZREM', KEYS[2], worker)
end
return lost
"""
)
# keys: generation, workers
_RENEW = (
    _CLOCK
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('ZADD', KEYS[2], 'XX', clock(ARGV[4]) + ARGV[3], ARGV[2])
"""
)
# keys: generation, free, workers, prefix of held; returns the time, and the budgets of which there is money here
_KNOWN = (
    _CLOCK
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local found = {string.format('%.0f', clock(ARGV[2]))}
local places = {KEYS[2]}
for _, worker in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do places[#places + 1] = KEYS[4] .. worker end
for _, place in ipairs(places) do
  local money = redis.call('HGETALL', place)
  for i = 1, #money, 2 do
    if tonumber(money[i + 1]) > 0 then found[#found + 1] = money[i] end
  end
end
return found
"""
)
# keys: generation, free, used; takes out what is free and was not used for so many seconds
_DRAIN = (
    _CLOCK
    + """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {} end
local now = clock(ARGV[3])
local free = redis.call('HGETALL', KEYS[2])
local out = {}
for i = 1, #free, 2 do
  if now - (redis.call('HGET', KEYS[3], free[i]) or 0) >= tonumber(ARGV[2]) then
    out[#out + 1] = free[i]
    out[#out + 1] = free[i + 1]
    redis.call('HDEL', KEYS[2], free[i])
    redis.call('HDEL', KEYS[3], free[i])
  end
end
return out
"""
)


class RedisBank:
    """See `Bank`.

    Args:
        inner: the truth.
        link: to Redis.
        ttl_s: after how many seconds of silence a worker counts as dead.
        clock: seconds since the epoch instead of Redis's own time; for tests.
    """

    def __init__(
        self,
        inner: SqlBank,
        link: RedisLink,
        *,
        ttl_s: float = LEASE_TTL_S,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._inner = inner
        self._link = link
        self._ttl_s = ttl_s
        self._clock = clock
        self._generation = ""
        self._seen: dict[str, Standing] = {}
        self._charged: dict[tuple[str, str], int] = {}
        self._missing: dict[str, tuple[int, float]] = {}

    async def join(self) -> None:
        """Join the pool there is, before any reaper takes it for a dead one; called once, at the start."""
        await self._join()
        await self._inner.renew(self._pool)

    async def lend(self, worker: str, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        """See `Bank`."""
        await self._know(amounts)
        wanted = {budget: amount for budget, amount in sorted(amounts.items()) if budget in self._seen}
        refused: tuple[dict[str, int], Refused] | None = None
        for _ in range(_ROUNDS):
            if not wanted:
                return {}
            short, free = await self._take(worker, wanted)
            if not short:
                return {budget: _with_pool(self._seen[budget], free[budget]) for budget in wanted}
            if refused is not None and refused[0] == short:
                raise refused[1]
            try:
                gone = short.keys() - (await self._fill(short)).keys()
            except Refused as no:
                refused = short, no  # unless others have just put in what SQL has not any more
                continue
            wanted = {budget: amount for budget, amount in wanted.items() if budget not in gone}
        if refused is not None:
            raise refused[1]
        raise RedisAway("the pool of the ledger is emptied faster than it is filled")

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> Mapping[str, Standing]:
        """See `Bank`."""
        # One that Redis knows nothing of any more was counted as spent when its worker was taken for dead.
        (key,) = self._keys(f"held:{worker}")
        found = await self._link.ask(lambda: self._link.redis.hmget(key, [each.budget for each in settlements]))
        held = {each.budget: int(amount) for each, amount in zip(settlements, found, strict=True) if amount is not None}
        settlements = [each for each in settlements if each.budget in held]
        if not settlements:
            return {}
        new = [each for each in settlements if self._charged.get((worker, each.budget), 0) < each.seq]
        spent = {each.budget: min(each.spent_nanousd, held[each.budget]) for each in new if each.spent_nanousd}
        beyond = {each.budget: max(each.spent_nanousd - held[each.budget], 0) for each in new}
        if spent:
            booked = await self._inner.charge(self._pool, spent, {}, beyond)
            self._seen.update(booked)
            for gone in spent.keys() - booked.keys():
                self._seen.pop(gone, None)
        self._charged.update({(worker, each.budget): each.seq for each in new})
        arguments: list[str | int | float | bytes] = [self._generation]
        for each in settlements:
            arguments += [each.budget, each.seq, each.spent_nanousd, each.keep_nanousd]
        keys = self._keys("generation", "free", f"held:{worker}", f"numbers:{worker}")
        known = _pairs(await self._link.run(_TELL, keys, arguments))
        return {budget: _with_pool(self._seen.get(budget) or removed(budget), free) for budget, free in known}

    async def renew(self, worker: str) -> None:
        """See `Bank`; whoever lives keeps the pool alive too."""
        await self._inner.renew(self._pool)
        arguments: list[str | float] = [self._generation, worker, self._ttl_s, self._now]
        await self._link.run(_RENEW, self._keys("generation", "workers"), arguments)
        await self._drain(IDLE_S)

    async def reap(self) -> int:
        """See `Bank`: dead workers of the pool, pools that Redis has lost, and whatever is dead in SQL."""
        if not self._generation:
            await self._join()
        keys = self._keys("generation", "workers", "held:", "numbers:")
        amounts: dict[str, int] = {}
        for budget, amount in _pairs(await self._link.run(_REAP, keys, [self._generation, self._now])):
            amounts[budget] = amounts.get(budget, 0) + amount
        spent = {budget: amount for budget, amount in amounts.items() if amount}
        if spent:
            await self._inner.charge(self._pool, spent, {}, {})
        await self._forfeit_stranded()
        # A pool lives as long as Redis knows it, however late its workers are: it is never taken for dead by the clock.
        return len(spent) + await self._inner.reap_pools(self._pool) + await self._inner.reap()

    async def standings(self, budgets: Sequence[str]) -> Sequence[Standing]:
        """See `Bank`; what lies free in the pool is free."""
        found = await self._inner.standings(budgets)
        if not found or not self._generation:
            return found
        try:
            (key,) = self._keys("free")
            ids = [each.terms.id for each in found]
            free = await self._link.ask(lambda: self._link.redis.hmget(key, ids))
        except RedisAway:
            return found
        return [_with_pool(each, int(amount or 0)) for each, amount in zip(found, free, strict=True)]

    async def aclose(self) -> None:
        """Give what is free in the pool back to SQL; other workers fill it again where they need it."""
        await self._drain(0)

    async def _drain(self, idle_s: float) -> None:
        if not self._generation:
            return
        keys = self._keys("generation", "free", "used")
        free = _pairs(await self._link.run(_DRAIN, keys, [self._generation, idle_s, self._now]))
        back = {budget: amount for budget, amount in free if amount > 0}
        if back:
            await self._inner.charge(self._pool, {}, back, {})

    async def _forfeit_stranded(self) -> None:
        """Count as spent what SQL has reserved for the pool and the pool knows nothing of, once a lease has passed.

        Money may be lost on its way: Redis was silent between two steps, or a worker died between them. Whatever is
        merely under way changes what SQL has reserved within that time.
        """
        keys = self._keys("generation", "free", "workers", "held:")
        answer: list[bytes] = await self._link.run(_KNOWN, keys, [self._generation, self._now])
        if not answer:
            return
        now, known = float(answer[0]), {name.decode() for name in answer[1:]}
        reserved = await self._inner.reserved(self._pool)
        before, self._missing = self._missing, {}
        for budget in reserved.keys() - known:
            amount = reserved[budget]
            since = before[budget][1] if budget in before and before[budget][0] == amount else now
            if now - since >= self._ttl_s:
                await self._inner.forfeit(self._pool, budget, amount)
            else:
                self._missing[budget] = amount, since

    @property
    def _now(self) -> float | str:
        return "" if self._clock is None else self._clock()

    @property
    def _pool(self) -> str:
        return POOL + self._generation

    def _keys(self, *names: str) -> list[str]:
        return [self._link.key(f"ledger:{name}") for name in names]

    async def _know(self, budgets: Mapping[str, int]) -> None:
        """How budgets stand that were never seen here; those that do not exist stay unknown."""
        new = [budget for budget in budgets if budget not in self._seen]
        if new:
            self._seen.update({each.terms.id: each for each in await self._inner.standings(new)})

    async def _take(self, worker: str, wanted: Mapping[str, int]) -> tuple[dict[str, int], dict[str, int]]:
        """Take from the pool: what is missing there, or, where nothing is, what stays free; by budget."""
        keys = self._keys("generation", "free", f"held:{worker}", "workers", "used")
        asked = self._generation
        pairs = [word for budget, amount in wanted.items() for word in (budget, amount)]
        answer: list[bytes] = await self._link.run(_TAKE, keys, [asked, worker, self._ttl_s, self._now, *pairs])
        if answer[0] == b"lost":
            await self._join()
            if asked:
                # What was taken from the lost pool must never be settled with the new one: it would be counted twice.
                raise Forfeited("redis has lost the ledger's pool: what it held counts as spent")
            return dict(wanted), {}
        found = dict(_pairs(answer[1:]))
        return ({}, found) if answer[0] == b"ok" else (found, {})

    async def _join(self) -> None:
        """Join the generation that Redis knows, or begin a new one."""
        (key,) = self._keys("generation")
        await self._link.ask(lambda: self._link.redis.set(key, uuid.uuid4().hex, nx=True))
        found = await self._link.ask(lambda: self._link.redis.get(key))
        self._generation = found.decode() if found else ""

    async def _fill(self, short: Mapping[str, int]) -> Mapping[str, Standing]:
        """Reserve more in SQL and put it into the pool; the budgets that exist.

        Raises:
            Refused: SQL has not even what is missing.
        """
        more = {budget: missing + self._ahead(budget, missing) for budget, missing in short.items()}
        try:
            lent = await self._inner.lend(self._pool, more)
        except Refused:
            if more == short:
                raise
            more = dict(short)
            lent = await self._inner.lend(self._pool, more)
        self._seen.update(lent)
        for budget in short.keys() - lent.keys():
            self._seen.pop(budget, None)
        if lent:
            pairs = [word for budget in lent for word in (budget, more[budget])]
            await self._link.run(_PUT, self._keys("generation", "free"), [self._generation, *pairs])
        return lent

    def _ahead(self, budget: str, missing: int) -> int:
        free = self._seen[budget].free_nanousd if budget in self._seen else 0
        return missing * _MORE if free is None else max(min(missing * _MORE, free // _PART), 0)


def _pairs(answer: Sequence[bytes]) -> list[tuple[str, int]]:
    """A script's flat answer: budget, amount, budget, amount, ..."""
    return [(name.decode(), int(amount)) for name, amount in zip(answer[::2], answer[1::2], strict=True)]


def _with_pool(standing: Standing, free_nanousd: int) -> Standing:
    """As SQL says, with what lies free in the pool counted as free."""
    return replace(standing, reserved_nanousd=max(standing.reserved_nanousd - free_nanousd, 0))
