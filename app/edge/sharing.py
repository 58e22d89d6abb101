"""What stands between a request and its run: its key's rate limits, and runs of the same request on other workers.

The law of this file: a request is let in once, joined or run once, and whatever it was let in for is given back.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from app.edge.claims import Claims, repeated
from app.edge.deserted import LEFT_KEPT_S, Deserted
from app.edge.joining import idempotency_key
from cascade.quotes import Size
from router.domain import CostSource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from router.domain import Outcome, RateLimits, Request, Tier
    from router.ports import Joins, Limiter, Permit

#: How long an answer stays for its idempotency key, in seconds. Where nothing of a request is to be kept, it stays for
#: those who may be waiting for it already.
KEPT_S = 86_400.0
#: Seconds between two signs of life of a request that counts among those at once.
RENEW_S = 20.0


class Turn(Protocol):
    """A request's turn: answered elsewhere already, or to be run here and then finished."""

    @property
    def answered(self) -> Outcome | None:
        """The outcome of another worker's run."""

    async def finish(self, outcome: Outcome) -> None:
        """Leave the outcome for those who wait for it."""


class Shared(Protocol):
    """See the module."""

    def turn(self, request: Request, body: str) -> AbstractAsyncContextManager[Turn]:
        """Wait until it is this request's turn; `body` is its fingerprint, "" where it joins nothing.

        Raises:
            RateLimited: its key is too fast.
            RequestError: its idempotency key belongs to another request.
        """

    def deserted(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """Its client has gone: a next try on another worker may have the outcome."""

    async def met(self, run_id: str) -> None:
        """A next try in this process has it: no other one may."""


@dataclass(slots=True)
class _Turn:
    answered: Outcome | None = None
    outcome: Outcome | None = None

    async def finish(self, outcome: Outcome) -> None:
        self.outcome = outcome


class Alone:
    """Nothing is limited and nothing shared."""

    @asynccontextmanager
    async def turn(self, request: Request, body: str) -> AsyncIterator[Turn]:  # noqa: ARG002 - see Shared
        """At once."""
        yield _Turn()

    def deserted(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """Nobody else is there."""

    async def met(self, run_id: str) -> None:
        """Nobody else is there."""


class SharedRuns:
    """See `Shared`.

    Args:
        limiter: of keys.
        joins: across workers.
        ladder: all tiers.
    """

    def __init__(self, limiter: Limiter, joins: Joins, ladder: Sequence[Tier]) -> None:
        self._limiter = limiter
        self._claims = Claims(joins, ladder)
        self._deserted = Deserted(self._claims)

    @asynccontextmanager
    async def turn(self, request: Request, body: str) -> AsyncIterator[Turn]:
        """See `Shared`."""
        key = idempotency_key(request)
        answered = await self._elsewhere(request, key, body)
        if answered is not None:
            yield _Turn(answered)
            return
        mine = _Turn()
        try:
            async with self._limited(request, mine):
                if key is None:
                    yield mine
                else:
                    async with self._claims.renewed(key, request.id):
                        yield mine
        finally:
            if key is not None:
                kept = request.wishes.store or request.wishes.keeps_answer
                keep_s = KEPT_S if kept else LEFT_KEPT_S
                await self._claims.leave(key, request.id, mine.outcome, keep_s)

    def deserted(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """See `Shared`."""
        self._deserted.offer(request, body, outcome)

    async def met(self, run_id: str) -> None:
        """See `Shared`."""
        await self._deserted.met(run_id)

    async def _elsewhere(self, request: Request, key: str | None, body: str) -> Outcome | None:
        """The outcome of the same request's run elsewhere; None where it is to be run here, claimed by its key."""
        if key is not None:
            return await self._claims.settled(key, request, body)
        return await self._deserted.find(request, body) if body and request.wishes.retry_count else None

    @asynccontextmanager
    async def _limited(self, request: Request, turn: _Turn) -> AsyncIterator[None]:
        limits = request.caller.limits
        if not limits.any:
            yield
            return
        size = Size.of(request.body)
        expected = size.input_bound // 4 + (size.client_limit or 0) * size.n
        permit = await self._limiter.admit(request.caller.key_id, limits, expected)
        used = expected
        try:
            async with self._running(permit, limits):
                yield
            used = _used(turn.outcome, expected)
        finally:
            await self._limiter.leave(permit, used)

    @asynccontextmanager
    async def _running(self, permit: Permit, limits: RateLimits) -> AsyncIterator[None]:
        """Keep a request's place among those at once while it runs; one whose worker died loses it soon."""
        if limits.concurrent_requests is None:
            yield
            return
        async with repeated(RENEW_S, lambda: self._limiter.renew(permit)):
            yield


def _used(outcome: Outcome | None, expected: int) -> int:
    """Tokens that a finished request used, judges included; no less than expected where nobody knows.

    Of a call that was cut nobody does: it is paid at its worst case, too.
    """
    if outcome is None:
        return expected
    usages = [call.usage for call in outcome.calls if call.usage is not None]
    used = sum(usage.prompt_tokens + usage.completion_tokens for usage in usages)
    cut = any(call.cost_source is CostSource.RESERVATION for call in outcome.calls)
    return max(used, expected) if cut else used
