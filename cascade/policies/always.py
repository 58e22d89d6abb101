"""`always:<tier>`: the pass-through policy, and what a client gets that names a tier. No cascade, no judge. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cascade.policies.policy import deliver_best, deliver_last
from router.domain import Ask, Deliver, Stop, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Decision, Run

#: How the policy is named: `always:<tier>`.
ALWAYS = "always:"


class Always:
    """Ask one tier and serve what it says."""

    neighbours = 0

    def __init__(self, tier: str) -> None:
        self._tier = tier

    @property
    def name(self) -> str:
        """`always:<tier>`."""
        return f"{ALWAYS}{self._tier}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The tier."""
        return {"tier": self._tier}

    def estimates(self, run: Run) -> Mapping[str, float]:  # noqa: ARG002 - it looks at nothing
        """None: it does not choose."""
        return {}

    def decide(self, run: Run) -> Decision:
        """Ask it once; deliver what came, a failure as a failure."""
        if run.attempts:
            if run.attempts[-1].verdict is Verdict.ERROR:
                return Deliver(None, f"{self._tier} failed and the request names no other tier", Stop.UPSTREAM)
            return deliver_last(run, f"the request goes to {self._tier} and nowhere else")
        if run.stop is not None:
            return deliver_best(run, "no call was started", run.stop)
        if not run.budget.pays_ask(self._tier):
            return Deliver(None, f"the cap does not pay for {self._tier}", Stop.BUDGET)
        return Ask(self._tier, f"the request names {self._tier}", final=True)
