"""Which deployment of a tier is asked next: least busy first, those that keep failing cool down.

The law of this file: bookkeeping in memory, of this process alone; it sends nothing.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.errors import UpstreamMisconfigured, UpstreamRateLimited, UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from router.domain import Deployment, Tier
    from router.errors import UpstreamError


@dataclass(slots=True)
class Health:
    """One deployment's recent fortune."""

    busy: int = 0
    turns: int = 0
    failures: int = 0
    cool_until: float = 0.0
    limited: bool = False


class Deployments:
    """The health of every deployment, and the choice among a tier's."""

    def __init__(
        self, *, cooldown_failures: int = 3, cooldown_s: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Build it.

        Args:
            cooldown_failures: failures in a row after which a deployment rests.
            cooldown_s: for how long; an upstream's own `retry-after` is obeyed where it is longer.
            clock: seconds, monotonic.
        """
        self._health: dict[str, Health] = {}
        self._cooldown_failures = cooldown_failures
        self._cooldown_s = cooldown_s
        self._clock = clock

    def choose(self, among: Sequence[Deployment], tried: Collection[str], *, even_cooling: bool) -> Deployment | None:
        """The least busy healthy deployment, those not tried yet first, in turn among equals; None: all cool down.

        Args:
            among: a tier's deployments, or those of them that can be paid.
            tried: ids already tried for this call.
            even_cooling: take a cooling one rather than none, where no other tier could answer.
        """
        now = self._clock()
        ready = [deployment for deployment in among if self._of(deployment.id).cool_until <= now]
        candidates = ready or (list(among) if even_cooling else [])
        if not candidates:
            return None
        return min(candidates, key=lambda deployment: (deployment.id in tried, *self._load(deployment)))

    def _load(self, deployment: Deployment) -> tuple[int, int]:
        health = self._of(deployment.id)
        return health.busy, health.turns

    def another(self, tier: Tier, tried: Collection[str]) -> bool:
        """Whether a healthy deployment is left that was not tried yet."""
        now = self._clock()
        return any(d.id not in tried and self._of(d.id).cool_until <= now for d in tier.deployments)

    def ready_in_s(self, tier: Tier) -> float:
        """Seconds until the first of the tier's deployments has cooled down; 0 = one is ready."""
        now = self._clock()
        return max(min(self._of(deployment.id).cool_until for deployment in tier.deployments) - now, 0.0)

    def limited(self, tier: Tier) -> bool:
        """Whether it was rate limits that all of the tier's deployments ran into last."""
        return all(self._of(deployment.id).limited for deployment in tier.deployments)

    @contextmanager
    def busy(self, deployment: Deployment) -> Iterator[None]:
        """Count a call while it runs."""
        health = self._of(deployment.id)
        health.busy += 1
        health.turns += 1
        try:
            yield
        finally:
            health.busy -= 1

    def succeeded(self, deployment: Deployment) -> None:
        """A call went well: all is forgiven."""
        health = self._of(deployment.id)
        health.failures, health.cool_until, health.limited = 0, 0.0, False

    def failed(self, deployment: Deployment, error: UpstreamError) -> None:
        """A call failed; a rejected request is the caller's fault and does not count."""
        if isinstance(error, UpstreamRejected):
            return
        health = self._of(deployment.id)
        health.failures += 1
        health.limited = isinstance(error, UpstreamRateLimited)
        rest = 0.0
        if health.failures >= self._cooldown_failures or isinstance(error, UpstreamMisconfigured):
            rest = self._cooldown_s
        if isinstance(error, UpstreamRateLimited):
            rest = max(rest, error.retry_after_s or 0.0)
        if rest:
            health.cool_until = self._clock() + rest

    def _of(self, deployment_id: str) -> Health:
        return self._health.setdefault(deployment_id, Health())
