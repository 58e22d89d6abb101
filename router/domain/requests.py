"""Who asks, and what for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.domain.words import BudgetEnd, StreamMode

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How much a key may do at once; None = as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return (self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key's id (never the key), its team, whether it may see every team, and what it may do.

    `budgets` are the ids of the budgets that count its spending; `policies` and `tiers` the only ones it may use, None
    = all; `headers` its defaults for `x-gearbox-*` request headers.
    """

    key_id: str = "anonymous"
    team: str = "default"
    admin: bool = False
    budgets: tuple[str, ...] = ()
    limits: RateLimits = RateLimits()
    policies: frozenset[str] | None = None
    tiers: frozenset[str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the request's `x-gearbox-*` headers ask for (wire.md).

    `keeps_answer`: nothing of it is stored, yet its answer waits for repeats of its idempotency key (embeddings).
    """

    cap_nanousd: int | None = None
    budget_end: BudgetEnd = BudgetEnd.BEST
    quality: float | None = None
    min_tier: str | None = None
    max_tier: str | None = None
    max_latency_s: float | None = None
    stream_mode: StreamMode = StreamMode.HOLD
    tags: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    store: bool = True
    keeps_answer: bool = False
    cache: bool = True
    idempotency_key: str | None = None
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request as Gearbox understands it.

    `received_at` is seconds since the epoch. `body` is the client's own JSON and is never changed; `policy` is the
    policy's name as registered (`always:small` for a tier named by the client); `question` is the text that is
    embedded.
    """

    id: str
    received_at: float
    body: Mapping[str, Any]
    policy: str
    question: str
    caller: Caller = Caller()
    wishes: Wishes = Wishes()
    asked_model: str = ""

    @property
    def stream(self) -> bool:
        """Whether the client wants server-sent events."""
        return bool(self.body.get("stream"))

    @property
    def n(self) -> int:
        """How many choices the client wants."""
        n = self.body.get("n")
        return n if isinstance(n, int) and n > 0 else 1
