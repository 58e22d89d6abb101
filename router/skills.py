"""BELLA's capability matrix: which model shows which skill how often (arXiv 2602.02386).

The law of this file: pure arithmetic over counts; it picks no model. C[m, s] is the share of the instances that
require skill s in which model m demonstrated it. A share of few instances is not taken at its word: each count is
joined with the model's own average as a prior of `weight` instances, so that a thin count says little more than that
average does, and its credible interval says how little (Beta distribution).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router import beta

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.pricing import Usage

#: A model nobody profiled: its tier's prior accuracy counts like this many instances.
UNKNOWN_WEIGHT = 2.0
#: The mass of the credible intervals that are shown.
MASS = 0.9


@dataclass(frozen=True, slots=True)
class Count:
    """In how many of the instances that required a skill it was demonstrated."""

    shown: float = 0.0
    required: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.shown + other.shown, self.required + other.required)


@dataclass(frozen=True, slots=True)
class ModelSkills:
    """One model's row of the matrix, and the mean tokens of its profiled answers (None = not recorded)."""

    counts: Mapping[str, Count]
    usage: Usage | None = None

    @property
    def overall(self) -> Count:
        """All skills together."""
        return sum(self.counts.values(), Count())


@dataclass(frozen=True, slots=True)
class Capability:
    """C[m, s] as far as the counts tell: its mean, its credible interval, and how many instances it rests on."""

    mean: float
    low: float
    high: float
    instances: float


@dataclass(frozen=True, slots=True)
class Need:
    """A skill that a question requires; the weights of a question's needs sum to 1 (criticality times nearness)."""

    skill: str
    weight: float


@dataclass(frozen=True, slots=True)
class SkillEvidence:
    """What is known of a question before a model is picked.

    `needs` are the required skills, the weightiest first; empty = nothing could be compared, and `note` says why.
    `models` is the profile's matrix; `nearest` the profiled questions they were taken from, with their similarity.
    """

    needs: tuple[Need, ...] = ()
    models: Mapping[str, ModelSkills] = field(default_factory=dict)
    nearest: tuple[tuple[str, float], ...] = ()
    profile: str = ""
    note: str = ""

    def summary(self) -> dict[str, Any]:
        """What is stored and shown of it."""
        return {
            "profile": self.profile,
            "needs": {need.skill: round(need.weight, 4) for need in self.needs},
            "nearest": [{"id": id_, "similarity": round(near, 4)} for id_, near in self.nearest],
            "note": self.note,
        }


def capability(
    skills: ModelSkills | None, skill: str, prior: float, weight: float, *, mass: float = MASS
) -> Capability:
    """C[m, s], smoothed.

    Args:
        skills: the model's row; None = never profiled.
        skill: s.
        prior: what the model is taken for where nothing is known of it, 0..1.
        weight: of how many instances the model's average counts.
        mass: of the credible interval.
    """
    a, b, instances = _posterior(skills, skill, prior, weight)
    low, high = beta.interval(a, b, mass)
    return Capability(beta.mean(a, b), low, high, instances)


def mean_capability(skills: ModelSkills | None, skill: str, prior: float, weight: float) -> float:
    """The same, its mean alone."""
    a, b, _ = _posterior(skills, skill, prior, weight)
    return beta.mean(a, b)


def average(skills: ModelSkills | None, prior: float) -> float:
    """How often a model shows what is required of it, all skills together; the prior counts like two instances."""
    overall = Count() if skills is None else skills.overall
    return (overall.shown + UNKNOWN_WEIGHT * prior) / (overall.required + UNKNOWN_WEIGHT)


def predicted(skills: ModelSkills | None, needs: Sequence[Need], prior: float, weight: float) -> float:
    """p(m, t): the chance that the model answers well, its capabilities weighed by the question's needs."""
    if not needs:
        return average(skills, prior)
    return sum(need.weight * mean_capability(skills, need.skill, prior, weight) for need in needs)


def coverage(capabilities: Mapping[str, float], needs: Sequence[Need], least: float) -> float:
    """The weight of the needs that are met with at least `least`, 0..1; nothing needed = 1."""
    return sum(need.weight for need in needs if capabilities[need.skill] >= least) if needs else 1.0


def difference(model: str, skill: str, matrix: Mapping[str, Mapping[str, float]]) -> float:
    """Delta C[m, s] = C[m, s] - max over the others; the capability itself where there are no others."""
    others = [row[skill] for name, row in matrix.items() if name != model]
    return matrix[model][skill] - max(others, default=0.0)


def pareto(costs: Mapping[str, float], worth: Mapping[str, float]) -> tuple[str, ...]:
    """The names that no other one beats in both cost (less is better) and worth; the cheapest first."""
    front: list[str] = []
    for name in sorted(costs, key=lambda each: (costs[each], -worth[each], each)):
        if not front or worth[name] > worth[front[-1]]:
            front.append(name)
    return tuple(front)


def _posterior(skills: ModelSkills | None, skill: str, prior: float, weight: float) -> tuple[float, float, float]:
    count = Count() if skills is None else skills.counts.get(skill, Count())
    known = max(weight, UNKNOWN_WEIGHT)
    centre = average(skills, prior)
    a = count.shown + known * centre
    b = count.required - count.shown + known * (1.0 - centre)
    return max(a, 1e-6), max(b, 1e-6), count.required
