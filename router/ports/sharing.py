"""What requests share: rate limits, cached answers, runs in flight."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from router.domain import RateLimits


class Permit(Protocol):
    """Leave to serve one request, to be given back."""

    @property
    def key_id(self) -> str:
        """Whose."""


class Limiter(Protocol):
    """Rate limits of keys: requests and tokens per minute, requests at once."""

    async def admit(self, key_id: str, limits: RateLimits, tokens: int) -> Permit:
        """Let a request of about so many tokens in.

        Raises:
            RateLimited: with the seconds after which it would fit.
        """

    async def renew(self, permit: Permit) -> None:
        """Say that the request still runs; to be repeated well within the time after which it counts as lost."""

    async def leave(self, permit: Permit, tokens: int) -> None:
        """The request is over; so many tokens it really used. It never raises."""


class Cache(Protocol):
    """Answers by exact key, each for a while. It may forget anything at any time."""

    async def get(self, key: str) -> bytes | None:
        """The answer, or None."""

    async def put(self, key: str, answer: bytes, ttl_s: float) -> None:
        """Keep an answer; a failure to is nobody's."""


class ClaimState(StrEnum):
    """What became of a claim: it is ours to run, somebody runs it, its answer is there, or the body is another."""

    MINE = "mine"
    RUNNING = "running"
    DONE = "done"
    OTHER_BODY = "other_body"


@dataclass(frozen=True, slots=True)
class Claim:
    """`answer` is set where the state is `done`."""

    state: ClaimState
    answer: bytes | None = None


class Joins(Protocol):
    """Who runs what, across workers: one runs, the others wait for its answer. Each operation is atomic."""

    async def claim(self, key: str, body: str, owner: str, ttl_s: float) -> Claim:
        """Claim a key for a body (its digest). An owner that is not heard of for `ttl_s` loses its claim."""

    async def claimed(self, key: str) -> bool:
        """Whether somebody runs it or has left an answer."""

    async def renew(self, key: str, owner: str, ttl_s: float) -> bool:
        """Say that the owner still runs it; False where it is not its claim any more."""

    async def finish(self, key: str, owner: str, answer: bytes, keep_s: float) -> None:
        """Leave the answer for those who wait and those who come within `keep_s`."""

    async def drop(self, key: str, owner: str) -> None:
        """There is no answer: whoever comes next runs it again."""
