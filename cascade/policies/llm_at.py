"""LLM-AT: start where similar past questions say it is likely enough, judge, shift up (arXiv 2505.20921).

Generator and Judge are the runner's; this file is the Starter's choice and the cascade's rule. Pure.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from cascade.policies.policy import Turned, cascade_on, is_final, turned
from cascade.stickiness import Start, stickiness
from router.accuracy import estimate
from router.domain import Ask, Deliver, Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Decision, Run


@dataclass(frozen=True, slots=True)
class LlmAtSettings:
    """The paper's numbers.

    `threshold` is theta, the least estimated accuracy to start at (0..1); `k` the neighbours looked at; `smoothing`
    is lambda, the prior's weight in units of similarity; `cold_start` the number of past questions below which the
    start is the lowest tier (None = k); `none_reaches` where to start when no tier reaches theta: the lowest (the
    paper's code), the one with the best estimate, or the top. `invite_abstention` tells the lowest tier that it may
    reply "Abstain".
    """

    threshold: float = 0.7
    k: int = 5
    smoothing: float = 5.0
    cold_start: int | None = None
    none_reaches: Literal["lowest", "best", "top"] = "lowest"
    invite_abstention: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is a probability from 0 to 1, not {self.threshold}")
        if self.k < 1:
            raise ValueError(f"k counts neighbours and is at least 1, not {self.k}")
        if self.smoothing <= 0:
            raise ValueError(f"lambda is the prior's weight and more than 0, not {self.smoothing}")
        if self.cold_start is not None and self.cold_start < 0:
            raise ValueError(f"cold_start counts questions and is at least 0, not {self.cold_start}")


class LlmAt:
    """The policy `llm-at`."""

    name = "llm-at"

    def __init__(self, settings: LlmAtSettings = LlmAtSettings()) -> None:
        self._settings = settings

    @property
    def neighbours(self) -> int:
        """The paper's k."""
        return self._settings.k

    @property
    def settings(self) -> Mapping[str, Any]:
        """The paper's numbers as they are stored."""
        return asdict(self._settings)

    @property
    def nearby(self) -> list[Turned]:
        """The threshold, a step lower and higher (`Turnable`)."""
        return turned(LlmAt, self._settings, {"threshold": 0.1})

    def decide(self, run: Run) -> Decision:
        """Start by the estimate, then judge and shift up."""
        estimates = self.estimates(run)
        return cascade_on(run, estimates) if run.attempts else self._start(run, estimates)

    def estimates(self, run: Run) -> dict[str, float]:
        """P(valid) of each rung before it is asked (papers.md, accuracy estimator)."""
        neighbours = run.evidence.neighbours[: self._settings.k]
        return {tier.name: estimate(neighbours, tier, self._settings.smoothing).p_valid for tier in run.ladder}

    def _start(self, run: Run, estimates: Mapping[str, float]) -> Decision:
        if run.stop is not None:
            return Deliver(None, f"no call was started ({run.stop})", run.stop)
        start = stickiness(run, self._wanted(run, estimates), estimates, self._theta(run))
        tier, why = start.tier, start.why
        if not run.budget.pays_ask(tier.name):
            payable = [rung for rung in run.ladder if run.budget.pays_ask(rung.name)]
            if not payable:
                return Deliver(None, "the cap pays for no tier", Stop.BUDGET)
            wanted, tier = tier, max(payable, key=lambda rung: estimates[rung.name])
            why = f"{why}; the cap does not pay for {wanted.name}, {tier.name} is the best it pays for"
        invite = self._settings.invite_abstention and tier is run.ladder[0]
        return Ask(tier.name, why, estimates[tier.name], is_final(run, tier), invite_abstention=invite)

    def _theta(self, run: Run) -> float:
        return self._settings.threshold if run.quality is None else run.quality

    def _wanted(self, run: Run, estimates: Mapping[str, float]) -> Start:
        """The start the paper wants, the budget and the conversation apart."""
        settings, theta = self._settings, self._theta(run)
        needed = settings.k if settings.cold_start is None else settings.cold_start
        if run.evidence.history_size < needed:
            known = run.evidence.history_size
            why = f"cold start: {known} past questions, {needed} needed, so the lowest tier starts"
            return Start(run.ladder[0], why, by_evidence=False)
        for tier in run.ladder:
            if estimates[tier.name] >= theta:
                reached = f"P(valid) {estimates[tier.name]:.2f} >= {theta:.2f}"
                return Start(tier, f"{tier.name} is the cheapest tier with {reached}")
        best = max(run.ladder, key=lambda tier: estimates[tier.name])
        fallback = {"lowest": run.ladder[0], "best": best, "top": run.ladder[-1]}[settings.none_reaches]
        why = (
            f"no tier reaches P(valid) {theta:.2f} (the best is {best.name} with {estimates[best.name]:.2f}), "
            f"so {fallback.name} starts (none_reaches: {settings.none_reaches})"
        )
        return Start(fallback, why, by_evidence=False)
