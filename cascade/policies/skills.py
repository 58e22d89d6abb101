"""BELLA: pick the model whose skills fit the question, under the request's budget (arXiv 2602.02386).

The law of this file: pure. What the question needs and what each model can do is `evidence.skills`, looked up before
the first decision; no model is asked for it. The tiers need not be a ladder: a cheaper one may be better at a skill.

What the paper leaves open, decided here: tau is `capable`, on the smoothed mean (thin counts lean on the model's
average); where nobody is capable of all that is required, every tier is a candidate, and the best estimate counts
alone; up to `trade` of predicted success is given up for a cheaper model, since estimates that near are the same.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from math import inf
from typing import TYPE_CHECKING, Any, Literal

from cascade.policies.policy import (
    Turned,
    asked,
    check_shares,
    deliver_best,
    deliver_last,
    failed_words,
    judge_failed,
    nobody_left,
    refused,
    stopped_or_accepted,
    turned,
)
from cascade.policies.skill_words import rationale
from cascade.stickiness import Start, stickiness
from cascade.upstreams.params import bare_model
from router.domain import Ask, Deliver, Judge, Judging, Stop, Verdict
from router.pricing import cost_nanousd
from router.skills import SkillEvidence, mean_capability, predicted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.domain import Attempt, Decision, Run, Tier
    from router.skills import ModelSkills


@dataclass(frozen=True, slots=True)
class SkillsSettings:
    """Which profile, and how it is read.

    `profile` is the file that `gearbox skills profile` wrote; `neighbours` how many profiled questions say what a
    question needs; `capable` is tau, the least capability in each required skill; `required` the least weight (0..1)
    at which a needed skill is required; `trade` how much predicted success (0..1) is given up for a cheaper model;
    `prior_weight` of how many instances a model's average counts beside a skill's own. `verify: judge` has the answer
    judged before it is served.
    """

    profile: str | None = None
    neighbours: int = 8
    capable: float = 0.3
    required: float = 0.2
    trade: float = 0.03
    prior_weight: float = 10.0
    verify: Literal["none", "judge"] = "none"

    def __post_init__(self) -> None:
        if self.profile is not None and not self.profile.strip():
            raise ValueError("profile is a path, not empty")
        if self.neighbours < 1:
            raise ValueError(f"neighbours counts profiled questions and is at least 1, not {self.neighbours}")
        check_shares(self, "capable", "required", "trade")
        if not 0 <= self.prior_weight < inf:
            raise ValueError(f"prior_weight counts instances and is at least 0, not {self.prior_weight}")


DEFAULTS = SkillsSettings()


@dataclass(frozen=True, slots=True)
class Candidate:
    """One tier as it is weighed: predicted success, expected cost (infinite = unknown), C of each needed skill."""

    tier: Tier
    predicted: float
    cost_nanousd: float
    capabilities: Mapping[str, float]
    lacking: tuple[str, ...]

    @property
    def capable(self) -> bool:
        """Whether every required skill is there."""
        return not self.lacking


class Skills:
    """The policy `skills`."""

    name = "skills"
    #: None are looked at; one is asked for so that the question is embedded.
    neighbours = 1

    def __init__(self, settings: SkillsSettings = DEFAULTS) -> None:
        self._set = settings

    @property
    def profile(self) -> str | None:
        """The profile's path (`WantsSkills`)."""
        return self._set.profile

    @property
    def profiled_neighbours(self) -> int:
        """How many profiled questions are looked at (`WantsSkills`)."""
        return self._set.neighbours

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every number it decides by."""
        return asdict(self._set)

    @property
    def nearby(self) -> list[Turned]:
        """What a skill needs to be required, and a model to be capable, a step lower and higher (`Turnable`)."""
        return turned(Skills, self._set, {"required": 0.1, "capable": 0.1})

    def estimates(self, run: Run) -> dict[str, float]:
        """Predicted success of each tier."""
        return {each.tier.name: each.predicted for each in self._weighed(run, run.ladder)}

    def decide(self, run: Run) -> Decision:
        """Ask the tier that fits; after a failure the next best one."""
        if not run.attempts:
            return self._start(run)
        if ended := stopped_or_accepted(run):
            return ended
        last = run.attempts[-1]
        if last.verdict is Verdict.UNJUDGED:
            return self._unjudged(run, last)
        return self._next(run, failed_words(last))

    def _start(self, run: Run) -> Decision:
        if run.stop is not None:
            return Deliver(None, f"no call was started ({run.stop})", run.stop)
        payable = _payable(run)
        return self._sticky(run, payable) if payable else Deliver(None, "the cap pays for no tier", Stop.BUDGET)

    def _sticky(self, run: Run, payable: Sequence[Tier]) -> Ask:
        """The tier that fits, unless the conversation had better stay where it is."""
        fitting, estimates = self._ask(run, payable, ""), self.estimates(run)
        wanted = estimates[fitting.tier] if run.quality is None else run.quality
        start = stickiness(run, Start(run.tier(fitting.tier), fitting.why), estimates, wanted)
        if start.tier not in payable:
            return fitting
        return replace(fitting, tier=start.tier.name, why=start.why, p_valid=estimates[start.tier.name])

    def _unjudged(self, run: Run, last: Attempt) -> Decision:
        """Serve the answer, or have it judged where that is wanted and could change anything."""
        short = last.why.partition(";")[0]
        if self._set.verify == "none" or run.judging is not Judging.BEFORE:
            return deliver_last(run, short)
        if last.judge_failed:
            return judge_failed(run, self._next)
        if not _payable(run):
            return deliver_last(run, f"{short}; a judge could change nothing, no other tier can be asked")
        if not run.budget.pays_judge():
            return deliver_best(run, "the cap does not pay for a judge", Stop.BUDGET)
        judge = run.tier(last.tier).judge
        return Judge(judge, f"{judge} judges {last.tier}'s answer")

    def _next(self, run: Run, why: str) -> Decision:
        if ended := refused(run):
            return ended
        payable = _payable(run)
        return self._ask(run, payable, f"{why}; next best: ") if payable else nobody_left(run, why)

    def _ask(self, run: Run, among: Sequence[Tier], before: str) -> Ask:
        candidates = self._weighed(run, among)
        chosen, note = self._choose(candidates, run.quality)
        why = rationale(chosen, candidates, _evidence(run), note)
        final = len(among) == 1 or run.judging is not Judging.BEFORE
        return Ask(chosen.tier.name, before + why, chosen.predicted, final=final)

    def _choose(self, candidates: Sequence[Candidate], quality: float | None) -> tuple[Candidate, str]:
        """The best of the capable ones, or a cheaper one that is as good; with what is to be said about it."""
        capable = [each for each in candidates if each.capable]
        if not capable:
            return max(candidates, key=_worth), "nobody is capable of all that is required, so the best estimate counts"
        best = max(capable, key=_worth)
        if quality is None:
            return min((each for each in capable if _near(each, best, self._set.trade)), key=_price), ""
        enough = [each for each in capable if each.predicted >= quality]
        if not enough:
            return best, f"nobody capable is predicted to reach the wanted quality {quality:.2f}, so the best is taken"
        return min(enough, key=_price), f"it is the cheapest that reaches the wanted quality {quality:.2f}"

    def _weighed(self, run: Run, tiers: Sequence[Tier]) -> list[Candidate]:
        evidence = _evidence(run)
        return [self._candidate(tier, evidence) for tier in tiers]

    def _candidate(self, tier: Tier, evidence: SkillEvidence) -> Candidate:
        models = [_row(evidence.models, model) for model in sorted(tier.models)]
        weight, prior, needs = self._set.prior_weight, tier.prior_accuracy, evidence.needs
        capabilities = {
            need.skill: _mean([mean_capability(model, need.skill, prior, weight) for model in models]) for need in needs
        }
        lacking = tuple(
            need.skill
            for need in needs
            if need.weight >= self._set.required and capabilities[need.skill] < self._set.capable
        )
        return Candidate(
            tier, predicted_of(tier, evidence, weight), _expected_cost(tier, evidence.models), capabilities, lacking
        )


def predicted_of(tier: Tier, evidence: SkillEvidence, prior_weight: float) -> float:
    """Predicted success of a tier, 0..1: the mean of its models'."""
    models = [_row(evidence.models, model) for model in sorted(tier.models)]
    return _mean([predicted(model, evidence.needs, tier.prior_accuracy, prior_weight) for model in models])


def _evidence(run: Run) -> SkillEvidence:
    return run.evidence.skills or SkillEvidence(note="there is no skill profile, so the tiers' priors count")


def _payable(run: Run) -> list[Tier]:
    """The tiers that were not asked yet and that the cap pays for: the request's budget B."""
    tried = asked(run)
    return [tier for tier in run.ladder if tier.name not in tried and run.budget.pays_ask(tier.name)]


def _expected_cost(tier: Tier, models: Mapping[str, ModelSkills]) -> float:
    """c[m]: the mean tokens of the model's profiled answers at its present price.

    An unprofiled model is taken to use as many tokens as the profiled ones do on average; without any price it is
    the dearest.
    """
    deployment = tier.deployments[0]
    if deployment.price is None:
        return inf
    own = _row(models, deployment.model)
    usages = [own.usage] if own and own.usage else [each.usage for each in models.values() if each.usage]
    if usages:
        return _mean([cost_nanousd(usage, deployment.price) for usage in usages])
    return float(deployment.price.base.input + deployment.price.base.output)


def _row(models: Mapping[str, ModelSkills], model: str) -> ModelSkills | None:
    """A model's row, by its whole name or without the vendor's prefix (a recording's models have none)."""
    return models.get(model) or models.get(bare_model(model))


def _worth(candidate: Candidate) -> tuple[float, float]:
    return candidate.predicted, -candidate.cost_nanousd


def _price(candidate: Candidate) -> tuple[float, float]:
    return candidate.cost_nanousd, -candidate.predicted


def _near(candidate: Candidate, best: Candidate, trade: float) -> bool:
    # Compared with a hair's breadth: 0.73 - 0.70 is a little more than 0.03 in floating point.
    return candidate.predicted >= best.predicted - trade - 1e-12


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
