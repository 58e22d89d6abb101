"""Answers by exact key for a while: in this process, or in Redis.

The law of this file: it knows bytes and keys, and never raises: a cache that fails has nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from storage.sharing.redis_away import RedisAway

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.sharing.redis_link import RedisLink

_MB = 1024 * 1024


class MemoryCache:
    """See `Cache`: the least recently used go first.

    Args:
        max_bytes: of all answers together.
        clock: seconds, monotonic.
    """

    def __init__(self, max_bytes: int = 64 * _MB, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._clock = clock
        self._bytes = 0
        self._answers: OrderedDict[str, tuple[bytes, float]] = OrderedDict()

    async def get(self, key: str) -> bytes | None:
        """See `Cache`."""
        found = self._answers.get(key)
        if found is None:
            return None
        answer, until = found
        if self._clock() >= until:
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer

    async def put(self, key: str, answer: bytes, ttl_s: float) -> None:
        """See `Cache`."""
        self._forget(key)
        if len(answer) > self._max_bytes:
            return
        self._answers[key] = (answer, self._clock() + ttl_s)
        self._bytes += len(answer)
        while self._bytes > self._max_bytes:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: str) -> None:
        answer, _ = self._answers.pop(key, (b"", 0.0))
        self._bytes -= len(answer)


class RedisCache:
    """See `Cache`: for all workers on one Redis; while it is away there is no cache."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def get(self, key: str) -> bytes | None:
        """See `Cache`."""
        try:
            name = self._link.key(f"cache:{key}")
            found: bytes | None = await self._link.ask(lambda: self._link.redis.get(name))
        except RedisAway:
            return None
        return found

    async def put(self, key: str, answer: bytes, ttl_s: float) -> None:
        """See `Cache`."""
        ttl_ms = max(round(ttl_s * 1000), 1)
        try:
            name = self._link.key(f"cache:{key}")
            await self._link.ask(lambda: self._link.redis.set(name, answer, px=ttl_ms))
        except RedisAway:
            return
