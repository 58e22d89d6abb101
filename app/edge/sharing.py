"""What stands between a request and its run: its key's rate limits, and runs of the same request on other workers.

The law of this file: a request is let in once, joined or run once, and whatever it was let in for is given back.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import structlog

from app.edge.joining import idempotency_key, other_body, retry_key
from cascade.keep import joined, pack
from cascade.quotes import Size
from router.ports import ClaimState

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from router.domain import Outcome, Request, Tier
    from router.ports import Joins, Limiter

_log = structlog.get_logger("gearbox.joins")

#: Seconds: how long an answer stays for its idempotency key; after how much silence a runner counts as dead; how often
#: a waiting worker looks; how long a deserted run's answer waits for its client's next try.
KEPT_S, CLAIM_S, LOOK_S, LEFT_KEPT_S = 86_400.0, 15.0, 0.1, 60.0


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


@dataclass(slots=True)
class SharedRuns:
    """See `Shared`.

    `across`: whether other workers take part, so that runs deserted here may be looked for there.
    """

    limiter: Limiter
    joins: Joins
    ladder: Sequence[Tier]
    across: bool
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

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
                    async with self._renewed(key, request.id):
                        yield mine
        finally:
            if key is not None:
                await self._leave_answer(key, request.id, mine.outcome, KEPT_S)

    def deserted(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """See `Shared`."""
        if self.across:
            task = asyncio.create_task(self._offer(request, body, outcome))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _elsewhere(self, request: Request, key: str | None, body: str) -> Outcome | None:
        """The outcome of the same request's run elsewhere; None where it is to be run here, claimed by its key."""
        if key is not None:
            return await self._claimed(key, request, body)
        if not (self.across and body and request.wishes.retry_count):
            return None
        name = retry_key(request, body)
        found = await self._claimed(name, request, body)
        if found is None:
            await self.joins.drop(name, request.id)
        return found

    async def _claimed(self, key: str, request: Request, body: str) -> Outcome | None:
        while True:
            claim = await self.joins.claim(key, body, request.id, CLAIM_S)
            match claim.state:
                case ClaimState.MINE:
                    return None
                case ClaimState.OTHER_BODY:
                    raise other_body()
                case ClaimState.DONE:
                    return joined(claim.answer or b"{}", request, self.ladder)
                case ClaimState.RUNNING:
                    await asyncio.sleep(LOOK_S)

    @asynccontextmanager
    async def _limited(self, request: Request, turn: _Turn) -> AsyncIterator[None]:
        limits = request.caller.limits
        if not limits.any:
            yield
            return
        size = Size.of(request.body)
        expected = size.input_bound // 4 + (size.client_limit or 0) * size.n
        permit = await self.limiter.admit(request.caller.key_id, limits, expected)
        used = expected
        try:
            yield
            used = _used(turn.outcome, expected)
        finally:
            await self.limiter.leave(permit, used)

    @asynccontextmanager
    async def _renewed(self, key: str, owner: str) -> AsyncIterator[None]:
        async def renew() -> None:
            while True:
                await asyncio.sleep(CLAIM_S / 3)
                await self.joins.renew(key, owner, CLAIM_S)

        task = asyncio.create_task(renew())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _offer(self, request: Request, body: str, outcome: Callable[[], Awaitable[Outcome]]) -> None:
        """Let the next try of a client that has left find this run, wherever it arrives."""
        key = retry_key(request, body)
        claim = await self.joins.claim(key, body, request.id, CLAIM_S)
        if claim.state is not ClaimState.MINE:
            return  # another of its samples was deserted as well, and the first is enough to be found
        ended: Outcome | None = None
        async with self._renewed(key, request.id):
            try:
                ended = await outcome()
            except Exception:  # noqa: BLE001 - the run's own task tells and logs it
                _log.debug("a deserted run failed", request=request.id)
        await self._leave_answer(key, request.id, ended, LEFT_KEPT_S)

    async def _leave_answer(self, key: str, owner: str, outcome: Outcome | None, keep_s: float) -> None:
        kept = None if outcome is None else pack(outcome)
        if kept is None:
            await self.joins.drop(key, owner)
        else:
            await self.joins.finish(key, owner, kept, keep_s)


def _used(outcome: Outcome | None, expected: int) -> int:
    """Tokens that a finished request used, judges included; what was expected, where nobody knows."""
    if outcome is None:
        return expected
    usages = [call.usage for call in outcome.calls if call.usage is not None]
    return sum(usage.prompt_tokens + usage.completion_tokens for usage in usages)
