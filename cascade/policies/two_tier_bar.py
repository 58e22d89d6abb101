"""What a margin must reach to be served under `two-tier`: fixed, from labels, or the running budget quantile. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from cascade.margins import as_probability_gap, from_probability_gap, measure
from cascade.policies.budget_quantile import Pot, Regime, threshold
from router.margins_state import MarginState
from router.pricing import cost_nanousd

if TYPE_CHECKING:
    from cascade.margins import Scale
    from cascade.policies.two_tier_settings import TwoTierSettings
    from router.domain import Attempt, Run, Tier
    from router.margins_state import Curve


@dataclass(frozen=True, slots=True)
class Sides:
    """One run's two tiers; `one` = this request has only one of them to ask."""

    small: Tier
    large: Tier

    @property
    def one(self) -> bool:
        """Whether there is nothing to choose."""
        return self.small.name == self.large.name


@dataclass(frozen=True, slots=True)
class Bar:
    """What a margin must reach to be served, and why in words; `unpaid` says that the pot is too empty to escalate."""

    threshold: float
    why: str
    unpaid: bool = False


class Bars:
    """The bars of one run: its settings, its two tiers and what was seen so far."""

    def __init__(self, settings: TwoTierSettings, run: Run) -> None:
        self._set = settings
        self._quality = run.quality
        self._state = run.evidence.margins or MarginState()
        self.sides = _sides(settings, run)

    def regime(self) -> tuple[Regime, str]:
        """What the pot still pays for, and why in words."""
        small, large = self.sides.small.name, self.sides.large.name
        regime = Regime.CASCADE if self._without_pot() else self._pot().regime
        match regime:
            case Regime.SMALL_ONLY:
                return regime, f"the budget pays for {small} only"
            case Regime.LARGE_DIRECTLY:
                return regime, f"the budget pays for {large} for every request that is left"
            case _:
                return regime, f"{small} is asked first; its margin decides"

    def lacks(self, tier: Tier) -> bool:
        """Whether the tier is known to give no log-probabilities."""
        lacking = self._state.lacking
        return all(each.model in lacking or "logprobs" in each.facts.lacks for each in tier.deployments)

    def bar(self, last: Attempt) -> Bar:
        """The bar of this answer, whose confidence is known."""
        curve = self._curve(last.model, last.confidence_by)
        if self._quality is not None and curve is None:
            wanted = from_probability_gap(self._quality, _scale(last))
            return Bar(wanted, "the wanted quality, taken as a margin: too few answers have labels to say more")
        if self._quality is None and self._set.threshold is not None:
            return Bar(self._fixed(self._set.threshold, last), "fixed")
        if curve is not None:
            target = self._set.target_accuracy if self._quality is None else self._quality
            return _cheapest(curve, target, self.sides.large.prior_accuracy)
        return self._quantile_bar(last)

    def _quantile_bar(self, last: Attempt) -> Bar:
        pot = self._pot()
        seen = self._state.margins.get((last.model, last.confidence_by), ())
        if len(seen) < self._set.warm_up:
            return Bar(0.0, f"warm-up: {len(seen)} answers seen, {self._set.warm_up} needed")
        bar = threshold(seen, last.confidence or 0.0, pot.quantile)
        if not pot.pays_large(last.cost_nanousd):
            return Bar(bar, "the pot of this horizon is spent", unpaid=True)
        return Bar(bar, f"the {pot.quantile:.1%} quantile of {len(seen) + 1} answers, budget share {pot.share:g}")

    def _pot(self) -> Pot:
        small = _mean_cost(self._state, self.sides.small)
        large = _large_cost(self._state, self.sides, small)
        known = (self._state.asked, self._state.spent_nanousd)
        return Pot(self._set.budget_share, self._set.horizon, *known, small, large)

    def _curve(self, model: str, by: str) -> Curve | None:
        return self._state.curves.get((model, by)) if self._set.calibration == "isotonic" else None

    def _without_pot(self) -> bool:
        """Whether the threshold comes from elsewhere than the budget, so that there is no pot to watch."""
        if self._set.threshold is not None or self._quality is not None:
            return True
        by = measure(self._set.margin, self._set.scale)
        return any(self._curve(model, by) is not None for model in self.sides.small.models)

    def _fixed(self, fixed: float, last: Attempt) -> float:
        return as_probability_gap(fixed, self._set.scale) if _scale(last) != self._set.scale else fixed


def _sides(settings: TwoTierSettings, run: Run) -> Sides:
    """The configured tiers where this request may use them, else the lowest and the highest it may."""
    by_name = {tier.name: tier for tier in run.ladder}
    return Sides(by_name.get(settings.small or "", run.ladder[0]), by_name.get(settings.large or "", run.ladder[-1]))


def _scale(last: Attempt) -> Scale:
    """The scale of this attempt's confidence; a share of agreeing samples is a probability."""
    return "logprob" if last.confidence_by.endswith(":logprob") else "probability"


def _mean_cost(state: MarginState, tier: Tier) -> float | None:
    """What an answer of this tier cost on average; None = nothing is known yet."""
    costs = [state.costs[model] for model in sorted(tier.models) if model in state.costs]
    answers = sum(cost.answers for cost in costs)
    return sum(cost.nanousd for cost in costs) / answers if answers else None


def _large_cost(state: MarginState, sides: Sides, small: float | None) -> float | None:
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


def _priced_as(state: MarginState, sides: Sides) -> float | None:
    """c_l before the large tier was ever asked: the small tier's average tokens at the large tier's price."""
    price = sides.large.deployments[0].price
    usages = [state.costs[model].mean_usage for model in sorted(sides.small.models) if model in state.costs]
    return float(cost_nanousd(usages[0], price)) if usages and price is not None else None


def _cheapest(curve: Curve, target: float, large_accuracy: float) -> Bar:
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
    return Bar(candidates[place], why)


def _expected(curve: Curve, place: int, large_accuracy: float) -> float:
    """The accuracy if the first `place` blocks go to the large tier."""
    above = sum(block.share * large_accuracy for block in curve.blocks[:place])
    return above + sum(block.share * (1.0 - block.p_wrong) for block in curve.blocks[place:])
