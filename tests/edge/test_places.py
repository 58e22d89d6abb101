"""A request's place among those at once: kept by signs of life while it runs, and given back however it ends."""

from __future__ import annotations

import asyncio

import pytest

from app.edge import sharing
from app.edge.sharing import SharedRuns
from router.domain import Caller, RateLimits, Request
from storage.money.limits import MemoryLimiter
from storage.sharing.joins import MemoryJoins

LIMITS = RateLimits(concurrent_requests=1)
BODY = {"messages": [{"role": "user", "content": "Hi"}]}


class Heard(MemoryLimiter):
    """Tells of each sign of life."""

    def __init__(self):
        super().__init__()
        self.alive = asyncio.Event()

    async def renew(self, permit):
        await super().renew(permit)
        self.alive.set()


@pytest.fixture
async def limiter():
    return Heard()


def turn(limiter):
    request = Request("r", 0.0, BODY, "llm-at", "Hi", caller=Caller("k", limits=LIMITS))
    return SharedRuns(limiter, MemoryJoins(), ()).turn(request, "")


async def test_a_running_request_gives_signs_of_life(limiter, monkeypatch):
    monkeypatch.setattr(sharing, "RENEW_S", 0.001)
    async with turn(limiter), asyncio.timeout(30):
        await limiter.alive.wait()


async def test_its_place_is_given_back_after_a_fault(limiter):
    for _ in range(2):
        with pytest.raises(RuntimeError, match="ours"):
            async with turn(limiter):
                raise RuntimeError("ours")
