"""Two-tier selection by uncertainty: ask the small model; where it is unsure, ask the large one (arXiv 2405.02134).

The law of this file: pure. What was seen so far (margins, costs, the pot) is `evidence.margins`, and what it makes of
an answer's margin is in `two_tier_bar.py`; the margin of this answer comes with the attempt itself.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from cascade.margins import measure
from cascade.policies.budget_quantile import Regime
from cascade.policies.policy import (
    Turned,
    asked,
    deliver_best,
    deliver_last,
    failed_words,
    judge_failed,
    nobody_left,
    refused,
    stopped_or_accepted,
    turned,
)
from cascade.policies.two_tier_bar import Bars
from cascade.policies.two_tier_settings import TwoTierSettings
from cascade.stickiness import Start, stickiness
from router.domain import Ask, Deliver, Judge, Judging, Stop, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Attempt, Decision, Run, Tier


_DEFAULTS = TwoTierSettings()


class TwoTier:
    """The policy `two-tier`."""

    name = "two-tier"
    neighbours = 0

    def __init__(self, settings: TwoTierSettings = _DEFAULTS) -> None:
        self._set = settings

    @property
    def horizon(self) -> int:
        """Over how many requests the pot runs (`WantsMargins`)."""
        return self._set.horizon

    @property
    def wants_curve(self) -> bool:
        """Whether P(wrong) is wanted as a curve (`WantsMargins`)."""
        return self._set.calibration == "isotonic"

    @property
    def curves(self) -> str | None:
        """The path of curves that were fitted elsewhere (`WantsMargins`)."""
        return self._set.curves if self.wants_curve else None

    @property
    def measure(self) -> str:
        """The measure it asks for."""
        return measure(self._set.margin, self._set.scale)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every number it decides by."""
        return asdict(self._set)

    @property
    def nearby(self) -> list[Turned]:
        """Whatever the threshold comes from, a step lower and higher (`Turnable`)."""
        if self._set.threshold is not None:
            return turned(TwoTier, self._set, {"threshold": 0.1})
        return turned(TwoTier, self._set, {"target_accuracy" if self.wants_curve else "budget_share": 0.1})

    def estimates(self, run: Run) -> Mapping[str, float]:  # noqa: ARG002 - nothing is known before the answer
        """None: it looks at the answer, not at the question."""
        return {}

    def decide(self, run: Run) -> Decision:
        """Ask the small tier, look at its margin, then serve or ask the large one."""
        if not run.attempts:
            return self._start(run)
        if ended := stopped_or_accepted(run):
            return ended
        last = run.attempts[-1]
        if last.verdict is not Verdict.UNJUDGED:
            return self._elsewhere(run, failed_words(last))
        return self._weigh(run, last)

    # --- before anyone was asked

    def _start(self, run: Run) -> Decision:
        if run.stop is not None:
            return Deliver(None, f"no call was started ({run.stop})", run.stop)
        tier, why, promised = self._opening(run)
        if not promised:
            # Nothing is known of the question beforehand, so a conversation has only its own past to go by.
            start = stickiness(run, Start(tier, why, by_evidence=False), {}, 0.0)
            tier, why = start.tier, start.why
        if run.budget.pays_ask(tier.name):
            return self._ask(run, tier, why)
        payable = next((rung for rung in self._order(run) if run.budget.pays_ask(rung.name)), None)
        if payable is None:
            return Deliver(None, "the cap pays for no tier", Stop.BUDGET)
        return self._ask(run, payable, f"{why}; the cap does not pay for {tier.name}, it does for {payable.name}")

    def _opening(self, run: Run) -> tuple[Tier, str, bool]:
        """The tier to begin with, why, and whether its answer is served whatever it is."""
        bars = Bars(self._set, run)
        sides = bars.sides
        if sides.one:
            return sides.small, f"{sides.small.name} is the only tier this request may use", True
        regime, words = bars.regime()
        if regime is Regime.LARGE_DIRECTLY:
            return sides.large, words, False
        if run.judging is not Judging.BEFORE:
            return sides.small, f"{words}, and nobody looks at the answer before it is served", True
        return sides.small, words, regime is Regime.SMALL_ONLY

    def _ask(self, run: Run, tier: Tier, why: str) -> Ask:
        """Ask a tier; the small one with what its confidence is taken from, unless nothing depends on it."""
        bars, (opening, _, promised) = Bars(self._set, run), self._opening(run)
        sides = bars.sides
        others = [rung for rung in self._order(run) if rung.name not in {tier.name, *asked(run)}]
        nobody_else = not any(run.budget.pays_ask(rung.name) for rung in others)
        # The large tier has the last word of the two: nothing but a check could still turn to a third one.
        final = nobody_else or tier.name == sides.large.name or (promised and tier.name == opening.name)
        if final or tier.name != sides.small.name or sides.large.name in asked(run):
            return Ask(tier.name, why, final=final)
        if not bars.lacks(tier):
            return Ask(tier.name, why, logprobs=True, margin=self.measure)
        why = f"{why}; {tier.name} gives no log-probabilities, so {self._fallback_words()}"
        return self._sampled(tier, why) if self._set.fallback == "agreement" else Ask(tier.name, why)

    def _sampled(self, tier: Tier, why: str) -> Ask:
        return Ask(tier.name, why, samples=self._set.samples, temperature=self._set.sample_temperature)

    # --- with the small tier's answer

    def _weigh(self, run: Run, last: Attempt) -> Decision:
        """Serve an answer that nothing depends on, or the small tier's if it is sure enough; else ask the large one."""
        opening, why, promised = self._opening(run)
        if promised and opening.name == last.tier:
            return deliver_last(run, f"{last.tier}'s answer is served as it is: {why}")
        sides = Bars(self._set, run).sides
        if last.tier != sides.small.name or sides.large.name in asked(run):
            return deliver_last(run, f"{last.tier} has the last word: {last.why}")
        return self._without_margin(run, last) if last.confidence is None else self._compare(run, last, last.confidence)

    def _compare(self, run: Run, last: Attempt, confidence: float) -> Decision:
        bars = Bars(self._set, run)
        sides, bar = bars.sides, bars.bar(last)
        told = f"{last.tier}'s {self._kind(last)} {confidence:.3f}"
        if confidence >= bar.threshold:
            return deliver_last(run, f"{told} reaches {bar.threshold:.3f} ({bar.why})")
        if bar.unpaid:
            return deliver_last(run, f"{told} is below {bar.threshold:.3f}, but {bar.why}")
        if not run.budget.pays_ask(sides.large.name):
            why = f"{told} is below {bar.threshold:.3f}, and the cap does not pay for {sides.large.name}"
            return deliver_best(run, why, Stop.BUDGET)
        return self._ask(run, sides.large, f"{told} is below {bar.threshold:.3f} ({bar.why})")

    def _without_margin(self, run: Run, last: Attempt) -> Decision:
        """No log-probabilities came: found out now or known before, the fallback decides."""
        told = f"{last.tier} gave no log-probabilities"
        times = sum(attempt.tier == last.tier for attempt in run.attempts)
        if self._set.fallback == "agreement":
            if last.confidence_by and times == 1 and run.budget.pays_ask(last.tier):
                return self._sampled(run.tier(last.tier), f"{told}, so {self._fallback_words()}")
            return deliver_last(run, f"{told} and its samples cannot be compared: served unchecked")
        if last.judge_failed:
            return judge_failed(run, self._elsewhere)
        if not run.budget.pays_judge() or not run.budget.pays_ask(Bars(self._set, run).sides.large.name):
            return deliver_best(run, "the cap does not pay for a judge and a higher tier", Stop.BUDGET)
        judge = run.tier(last.tier).judge
        return Judge(judge, f"{told}, so {judge} judges its answer")

    # --- what is known

    def _elsewhere(self, run: Run, why: str) -> Decision:
        """After a failure: the other of the two, then any other tier, the highest first; nobody left = best so far."""
        if ended := refused(run):
            return ended
        left = (rung for rung in self._order(run) if rung.name not in asked(run))
        payable = next((rung for rung in left if run.budget.pays_ask(rung.name)), None)
        return nobody_left(run, why) if payable is None else self._ask(run, payable, why)

    def _order(self, run: Run) -> list[Tier]:
        """The tiers in the order in which they replace each other: large, small, the others from the top."""
        sides = Bars(self._set, run).sides
        first = {sides.large.name: sides.large, sides.small.name: sides.small}
        return [*first.values(), *(tier for tier in reversed(run.ladder) if tier.name not in first)]

    def _kind(self, last: Attempt) -> str:
        return "agreement" if last.confidence_by.startswith("agreement") else "margin"

    def _fallback_words(self) -> str:
        return (
            "its answers are judged" if self._set.fallback == "judge" else f"{self._set.samples} samples are compared"
        )
