"""What the absence of Redis is called; apart from `redis_link`, whose import brings the client library along."""

from __future__ import annotations

from router.errors import StoreUnavailable

MODE = "redis is away: budgets, limits and joins go through SQL, nothing is cached"


class RedisAway(StoreUnavailable):
    """Redis does not answer; what was asked may or may not have been done."""
