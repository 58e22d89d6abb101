"""Two-tier selection by uncertainty: ask the small model; where it is unsure, ask the large one (arXiv 2405.02134).

The law of this file: pure. What was seen so far (margins, costs, the pot) is `evidence.margins`; the margin of this
answer comes with the attempt itself. Where the paper is silent, Gearbox's choices are named in `TwoTierSettings`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from cascade.margins import Scale, Tokens, as_probability_gap, from_probability_gap, measure
from cascade.policies.budget_quantile import Pot, Regime, threshold
from cascade.policies.policy import all_failed, asked, deliver_best, deliver_last, failed_words, is_clients_fault
from cascade.stickiness import Start, stickiness
from router.domain import Ask, Deliver, Judge, Judging, Stop, Verdict
from router.margins_state import MarginState
from router.pricing import cost_nanousd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Attempt, Decision, Run, Tier
    from router.margins_state import Curve


@dataclass(frozen=True, slots=True)
class TwoTierSettings:
    """How unsure is too unsure.

    `small` and `large` name tiers (None = the lowest and the highest this request may use). `margin` looks at the
    first token or the mean over all, `scale` at probabilities (default) or their logarithms.

    The threshold is, in this order: `threshold`, a fixed margin in the measure's scale; with `calibration: isotonic`,
    once enough answers have labels, the cheapest that meets `target_accuracy`; else the paper's running quantile for
    `budget_share`, 0..1 of the way from always-small's to always-large's cost, over a `horizon` of so many requests
    after which a new pot begins; the first `warm_up` answers are never escalated for their margin.

    Where an upstream gives no log-probabilities: `fallback` judge, or agreement of `samples` answers in all, drawn at
    `sample_temperature`.
    """

    small: str | None = None
    large: str | None = None
    margin: Tokens = "first"
    scale: Scale = "probability"
    threshold: float | None = None
    calibration: Literal["none", "isotonic"] = "none"
    target_accuracy: float = 0.8
    budget_share: float = 0.5
    horizon: int = 1000
    warm_up: int = 20
    fallback: Literal["judge", "agreement"] = "judge"
    samples: int = 5
    sample_temperature: float = 0.7

    def __post_init__(self) -> None:
        for name in ("budget_share", "target_accuracy"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} is a number from 0 to 1, not {getattr(self, name)}")
        if self.threshold is not None and not 0 <= self.threshold < inf:
            raise ValueError(f"threshold is a margin of at least 0, not {self.threshold}")
        if self.horizon < 1:
            raise ValueError(f"horizon counts requests and is at least 1, not {self.horizon}")
        if self.warm_up < 0:
            raise ValueError(f"warm_up counts requests and is at least 0, not {self.warm_up}")
        if not 2 <= self.samples <= 64:  # noqa: PLR2004 - one sample agrees with nobody
            raise ValueError(f"samples counts answers from 2 to 64, not {self.samples}")
        if not 0 < self.sample_temperature <= 2:  # noqa: PLR2004 - OpenAI's range
            raise ValueError(f"sample_temperature is more than 0 and at most 2, not {self.sample_temperature}")
        if self.small is not None and self.small == self.large:
            raise ValueError(f"small and large are two tiers, not both {self.small!r}")


@dataclass(frozen=True, slots=True)
class _Sides:
    """One run's two tiers; `one` = this request has only one of them to ask."""

    small: Tier
    large: Tier

    @property
    def one(self) -> bool:
        return self.small.name == self.large.name


@dataclass(frozen=True, slots=True)
class _Bar:
    """What a margin must reach to be served, and why in words; `unpaid` says that the pot is too empty to escalate."""

    threshold: float
    why: str
    unpaid: bool = False


class TwoTier:
    """The policy `two-tier`."""

    name = "two-tier"
    neighbours = 0

    def __init__(self, settings: TwoTierSettings = TwoTierSettings()) -> None:
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
    def measure(self) -> str:
        """The measure it asks for."""
        return measure(self._set.margin, self._set.scale)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every number it decides by."""
        return asdict(self._set)

    def estimates(self, run: Run) -> Mapping[str, float]:  # noqa: ARG002 - nothing is known before the answer
        """None: it looks at the answer, not at the question."""
        return {}

    def decide(self, run: Run) -> Decision:
        """Ask the small tier, look at its margin, then serve or ask the large one."""
        if not run.attempts:
            return self._start(run)
        last = run.attempts[-1]
        if run.stop is not None:
            return deliver_best(run, f"no new call is started ({run.stop})", run.stop)
        if last.verdict is Verdict.VALID:
            return deliver_last(run, f"{last.verdict_by.partition(':')[2]} accepted {last.tier}'s answer")
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
        sides = self._sides(run)
        if sides.one:
            return sides.small, f"{sides.small.name} is the only tier this request may use", True
        regime, words = self._regime(run, sides)
        if regime is Regime.LARGE_DIRECTLY:
            return sides.large, words, False
        if run.judging is not Judging.BEFORE:
            return sides.small, f"{words}, and nobody looks at the answer before it is served", True
        return sides.small, words, regime is Regime.SMALL_ONLY

    def _regime(self, run: Run, sides: _Sides) -> tuple[Regime, str]:
        if self._labels_or_fixed(run, sides.small):
            return Regime.CASCADE, f"{sides.small.name} is asked first; its margin decides"
        match self._pot(run, sides).regime:
            case Regime.SMALL_ONLY:
                return Regime.SMALL_ONLY, f"the budget pays for {sides.small.name} only"
            case Regime.LARGE_DIRECTLY:
                return Regime.LARGE_DIRECTLY, f"the budget pays for {sides.large.name} for every request that is left"
            case _:
                return Regime.CASCADE, f"{sides.small.name} is asked first; its margin decides"

    def _ask(self, run: Run, tier: Tier, why: str) -> Ask:
        """Ask a tier; the small one with what its confidence is taken from, unless nothing depends on it."""
        sides, (opening, _, promised) = self._sides(run), self._opening(run)
        others = [rung for rung in self._order(run) if rung.name not in {tier.name, *asked(run)}]
        nobody_else = not any(run.budget.pays_ask(rung.name) for rung in others)
        # The large tier has the last word of the two: nothing but a check could still turn to a third one.
        final = nobody_else or tier.name == sides.large.name or (promised and tier.name == opening.name)
        if final or tier.name != sides.small.name or sides.large.name in asked(run):
            return Ask(tier.name, why, final=final)
        if not self._lacks(run, tier):
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
        sides = self._sides(run)
        if last.tier != sides.small.name or sides.large.name in asked(run):
            return deliver_last(run, f"{last.tier} has the last word: {last.why}")
        return self._without_margin(run, last) if last.confidence is None else self._compare(run, last, last.confidence)

    def _compare(self, run: Run, last: Attempt, confidence: float) -> Decision:
        sides = self._sides(run)
        bar = self._bar(run, last)
        told = f"{last.tier}'s {self._kind(last)} {confidence:.3f}"
        if confidence >= bar.threshold:
            return deliver_last(run, f"{told} reaches {bar.threshold:.3f} ({bar.why})")
        if bar.unpaid:
            return deliver_last(run, f"{told} is below {bar.threshold:.3f}, but {bar.why}")
        if not run.budget.pays_ask(sides.large.name):
            why = f"{told} is below {bar.threshold:.3f}, and the cap does not pay for {sides.large.name}"
            return deliver_best(run, why, Stop.BUDGET)
        return self._ask(run, sides.large, f"{told} is below {bar.threshold:.3f} ({bar.why})")

    def _bar(self, run: Run, last: Attempt) -> _Bar:
        """The threshold for this answer."""
        if run.quality is not None and self._curve(run, last.model, last.confidence_by) is None:
            wanted = from_probability_gap(run.quality, self._scale(last))
            return _Bar(wanted, "the wanted quality, taken as a margin: too few answers have labels to say more")
        if run.quality is None and self._set.threshold is not None:
            return _Bar(self._fixed(last), "fixed")
        curve = self._curve(run, last.model, last.confidence_by)
        if curve is not None:
            target = self._set.target_accuracy if run.quality is None else run.quality
            return _cheapest(curve, target, self._sides(run).large.prior_accuracy)
        return self._quantile_bar(run, last)

    def _quantile_bar(self, run: Run, last: Attempt) -> _Bar:
        pot = self._pot(run, self._sides(run))
        seen = self._state(run).margins.get((last.model, last.confidence_by), ())
        if len(seen) < self._set.warm_up:
            return _Bar(0.0, f"warm-up: {len(seen)} answers seen, {self._set.warm_up} needed")
        bar = threshold(seen, last.confidence or 0.0, pot.quantile)
        if not pot.pays_large(last.cost_nanousd):
            return _Bar(bar, "the pot of this horizon is spent", unpaid=True)
        return _Bar(bar, f"the {pot.quantile:.1%} quantile of {len(seen) + 1} answers, budget share {pot.share:g}")

    def _without_margin(self, run: Run, last: Attempt) -> Decision:
        """No log-probabilities came: found out now or known before, the fallback decides."""
        told = f"{last.tier} gave no log-probabilities"
        times = sum(attempt.tier == last.tier for attempt in run.attempts)
        if self._set.fallback == "agreement":
            if last.confidence_by and times == 1 and run.budget.pays_ask(last.tier):
                return self._sampled(run.tier(last.tier), f"{told}, so {self._fallback_words()}")
            return deliver_last(run, f"{told} and its samples cannot be compared: served unchecked")
        if last.judge_failed:
            if run.judge_fails_open:
                return deliver_last(run, f"the judge failed ({last.reason}): {last.tier}'s answer is served unjudged")
            return self._elsewhere(run, f"the judge of {last.tier}'s answer failed ({last.reason})")
        if not run.budget.pays_judge() or not run.budget.pays_ask(self._sides(run).large.name):
            return deliver_best(run, "the cap does not pay for a judge and a higher tier", Stop.BUDGET)
        judge = run.tier(last.tier).judge
        return Judge(judge, f"{told}, so {judge} judges its answer")

    # --- what is known

    def _elsewhere(self, run: Run, why: str) -> Decision:
        """After a failure: the other of the two, then any other tier, the highest first; nobody left = best so far."""
        error = run.attempts[-1].error
        if error is not None and is_clients_fault(error) and all_failed(run):
            return Deliver(None, f"{run.attempts[-1].tier}'s upstream says that the request is wrong", Stop.UPSTREAM)
        left = [rung for rung in self._order(run) if rung.name not in asked(run)]
        payable = next((rung for rung in left if run.budget.pays_ask(rung.name)), None)
        if payable is not None:
            return self._ask(run, payable, why)
        stopped = Stop.BUDGET if left else Stop.UPSTREAM if error is not None else None
        return deliver_best(run, f"{why}, and no other tier can be asked", stopped)

    def _order(self, run: Run) -> list[Tier]:
        """The tiers in the order in which they replace each other: large, small, the others from the top."""
        sides = self._sides(run)
        first = {sides.large.name: sides.large, sides.small.name: sides.small}
        return [*first.values(), *(tier for tier in reversed(run.ladder) if tier.name not in first)]

    def _sides(self, run: Run) -> _Sides:
        """The configured tiers where this request may use them, else the lowest and the highest it may."""
        by_name = {tier.name: tier for tier in run.ladder}
        small = by_name.get(self._set.small or "", run.ladder[0])
        large = by_name.get(self._set.large or "", run.ladder[-1])
        return _Sides(small, large)

    def _pot(self, run: Run, sides: _Sides) -> Pot:
        state, small = self._state(run), _mean_cost(self._state(run), sides.small)
        large = _large_cost(state, sides, small)
        known = (state.asked, state.spent_nanousd)
        return Pot(self._set.budget_share, self._set.horizon, *known, small, large)

    def _state(self, run: Run) -> MarginState:
        return run.evidence.margins or MarginState()

    def _curve(self, run: Run, model: str, by: str) -> Curve | None:
        return self._state(run).curves.get((model, by)) if self.wants_curve else None

    def _labels_or_fixed(self, run: Run, small: Tier) -> bool:
        """Whether the threshold comes from elsewhere than the budget, so that there is no pot to watch."""
        if self._set.threshold is not None or run.quality is not None:
            return True
        return any(self._curve(run, model, self.measure) is not None for model in small.models)

    def _lacks(self, run: Run, tier: Tier) -> bool:
        """Whether the tier is known to give no log-probabilities."""
        lacking = self._state(run).lacking
        return all(each.model in lacking or "logprobs" in each.facts.lacks for each in tier.deployments)

    def _fixed(self, last: Attempt) -> float:
        fixed = self._set.threshold or 0.0
        return as_probability_gap(fixed, self._set.scale) if self._scale(last) != self._set.scale else fixed

    def _scale(self, last: Attempt) -> Scale:
        """The scale of this attempt's confidence; a share of agreeing samples is a probability."""
        return "logprob" if last.confidence_by.endswith(":logprob") else "probability"

    def _kind(self, last: Attempt) -> str:
        return "agreement" if last.confidence_by.startswith("agreement") else "margin"

    def _fallback_words(self) -> str:
        return (
            "its answers are judged" if self._set.fallback == "judge" else f"{self._set.samples} samples are compared"
        )


def _mean_cost(state: MarginState, tier: Tier) -> float | None:
    """What an answer of this tier cost on average; None = nothing is known yet."""
    costs = [state.costs[model] for model in sorted(tier.models) if model in state.costs]
    answers = sum(cost.answers for cost in costs)
    return sum(cost.nanousd for cost in costs) / answers if answers else None


def _large_cost(state: MarginState, sides: _Sides, small: float | None) -> float | None:
    """c_l of an average request; None = nothing is known.

    Escalated requests are not average ones: so it is c_s times what the large model was paid for each dollar that the
    small one was paid for the same requests; before any, the small tier's average tokens at the large tier's price.
    """
    pairs = [
        state.both[one, other]
        for one in sorted(sides.small.models)
        for other in sorted(sides.large.models)
        if (one, other) in state.both
    ]
    paid_small, paid_large = (sum(paid) for paid in zip(*pairs, strict=True)) if pairs else (0, 0)
    if small is not None and paid_small:
        return small * paid_large / paid_small
    return _priced_as(state, sides) or _mean_cost(state, sides.large)


def _priced_as(state: MarginState, sides: _Sides) -> float | None:
    """c_l before the large tier was ever asked: the small tier's average tokens at the large tier's price."""
    price = sides.large.deployments[0].price
    usages = [state.costs[model].mean_usage for model in sorted(sides.small.models) if model in state.costs]
    return float(cost_nanousd(usages[0], price)) if usages and price is not None else None


def _cheapest(curve: Curve, target: float, large_accuracy: float) -> _Bar:
    """The lowest threshold whose expected accuracy meets the target; where none does, the most accurate.

    Below the threshold the large tier answers, right with its prior accuracy; above it the small one, wrong as the
    curve says.
    """
    bars = [block.margin for block in curve.blocks[1:]]
    candidates = [0.0, *bars, inf]
    expected = [_expected(curve, place, large_accuracy) for place in range(len(candidates))]
    meeting = next((place for place, accuracy in enumerate(expected) if accuracy >= target), None)
    place = meeting if meeting is not None else max(range(len(expected)), key=lambda each: (expected[each], -each))
    meets = "meets" if meeting is not None else "comes nearest to"
    why = f"{meets} accuracy {target:.2f}, {expected[place]:.2f} expected from {curve.labelled} labelled answers"
    return _Bar(candidates[place], why)


def _expected(curve: Curve, place: int, large_accuracy: float) -> float:
    """The accuracy if the first `place` blocks go to the large tier."""
    above = sum(block.share * large_accuracy for block in curve.blocks[:place])
    return above + sum(block.share * (1.0 - block.p_wrong) for block in curve.blocks[place:])
