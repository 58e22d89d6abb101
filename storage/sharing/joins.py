"""Who runs what, and the answers left for those who come later: in this process, or in Redis (in SQL: `joins_sql`).

The law of this file: keys, digests, owners and bytes; each operation atomic, one rule in Python and in Lua.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.ports import Claim, ClaimState
from storage.sharing.redis_away import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from router.ports import Joins
    from storage.sharing.redis_link import RedisLink

#: After so many claims the ended ones are swept out of memory.
_SWEEP = 1_000


@dataclass(slots=True)
class _Entry:
    body: str
    owner: str
    until: float
    answer: bytes | None = None


class MemoryJoins:
    """See `Joins`; for one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}
        self._claims = 0

    async def claim(self, key: str, body: str, owner: str, ttl_s: float) -> Claim:
        """See `Joins`."""
        now = self._clock()
        self._claims += 1
        if self._claims % _SWEEP == 0:
            self._entries = {name: entry for name, entry in self._entries.items() if entry.until > now}
        entry = self._entries.get(key)
        if entry is None or entry.until <= now:
            self._entries[key] = _Entry(body, owner, now + ttl_s)
            return Claim(ClaimState.MINE)
        if entry.body != body:
            return Claim(ClaimState.OTHER_BODY)
        return Claim(ClaimState.RUNNING) if entry.answer is None else Claim(ClaimState.DONE, entry.answer)

    async def claimed(self, key: str) -> bool:
        """See `Joins`."""
        entry = self._entries.get(key)
        return entry is not None and entry.until > self._clock()

    async def renew(self, key: str, owner: str, ttl_s: float) -> bool:
        """See `Joins`."""
        entry = self._mine(key, owner)
        if entry is not None:
            entry.until = self._clock() + ttl_s
        return entry is not None

    async def finish(self, key: str, owner: str, answer: bytes, keep_s: float) -> None:
        """See `Joins`."""
        entry = self._mine(key, owner)
        if entry is not None:
            entry.answer, entry.until = answer, self._clock() + keep_s

    async def drop(self, key: str, owner: str) -> None:
        """See `Joins`."""
        if self._mine(key, owner) is not None:
            del self._entries[key]

    def _mine(self, key: str, owner: str) -> _Entry | None:
        entry = self._entries.get(key)
        mine = entry is not None and entry.owner == owner and entry.answer is None and entry.until > self._clock()
        return entry if mine else None


_CLAIM = """
local e = redis.call('HMGET', KEYS[1], 'body', 'answer')
if not e[1] then
  redis.call('HSET', KEYS[1], 'body', ARGV[1], 'owner', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
  return {'mine'}
end
if e[1] ~= ARGV[1] then return {'other_body'} end
if e[2] then return {'done', e[2]} end
return {'running'}
"""
_MINE = """
local e = redis.call('HMGET', KEYS[1], 'owner', 'answer')
if e[1] ~= ARGV[1] or e[2] then return 0 end
"""
_RENEW = (
    _MINE
    + """
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
_FINISH = (
    _MINE
    + """
redis.call('HSET', KEYS[1], 'answer', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
"""
)
_DROP = (
    _MINE
    + """
redis.call('DEL', KEYS[1])
return 1
"""
)


class RedisJoins:
    """See `Joins`; for all workers on one Redis, and by `instead` while it is away: `redis_away.MODE` says so."""

    def __init__(self, link: RedisLink, instead: Joins) -> None:
        self._link = link
        self._instead = instead

    async def claim(self, key: str, body: str, owner: str, ttl_s: float) -> Claim:
        """See `Joins`."""
        try:
            answer = await self._link.run(_CLAIM, [self._link.key(f"join:{key}")], [body, owner, _ms(ttl_s)])
        except RedisAway:
            return await self._instead.claim(key, body, owner, ttl_s)
        return Claim(ClaimState(answer[0].decode()), answer[1] if len(answer) > 1 else None)

    async def claimed(self, key: str) -> bool:
        """See `Joins`."""
        try:
            name = self._link.key(f"join:{key}")
            return bool(await self._link.ask(lambda: self._link.redis.exists(name)))
        except RedisAway:
            return await self._instead.claimed(key)

    async def renew(self, key: str, owner: str, ttl_s: float) -> bool:
        """See `Joins`."""
        try:
            return bool(await self._link.run(_RENEW, [self._link.key(f"join:{key}")], [owner, _ms(ttl_s)]))
        except RedisAway:
            return await self._instead.renew(key, owner, ttl_s)

    async def finish(self, key: str, owner: str, answer: bytes, keep_s: float) -> None:
        """See `Joins`."""
        try:
            await self._link.run(_FINISH, [self._link.key(f"join:{key}")], [owner, _ms(keep_s), answer])
        except RedisAway:
            await self._instead.finish(key, owner, answer, keep_s)

    async def drop(self, key: str, owner: str) -> None:
        """See `Joins`."""
        try:
            await self._link.run(_DROP, [self._link.key(f"join:{key}")], [owner])
        except RedisAway:
            await self._instead.drop(key, owner)


def _ms(seconds: float) -> int:
    return max(round(seconds * 1000), 1)
