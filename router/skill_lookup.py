"""A skill profile in memory: which skills does a question need, judged by the profiled questions nearest to it.

The law of this file: one matrix product a request, no model is asked. The profile is read-only.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from router.skills import Need, SkillEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from router.skills import ModelSkills

#: Needs that weigh less than this beside the others are not counted: one far neighbour's skill is no requirement.
LEAST_WEIGHT = 0.05


@dataclass(frozen=True, slots=True)
class ProfiledQuestion:
    """A question whose needs are known: skill -> criticality, more than 0 and at most 1."""

    id: str
    needs: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class SkillProfile:
    """What profiling found.

    `vectors` are the questions' unit vectors, shape (questions, dimensions), in their order; `centres` those of the
    skills' clusters by name, empty where the skills were taken as they stand. `revision` counts the changes of a file.
    """

    name: str
    embedding_model: str
    models: Mapping[str, ModelSkills]
    questions: tuple[ProfiledQuestion, ...]
    vectors: NDArray[np.float32]
    critic: str = ""
    source: str = ""
    revision: int = 1
    criterion: str = ""
    centres: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def skills(self) -> tuple[str, ...]:
        """Every skill, by name."""
        found = {skill for model in self.models.values() for skill in model.counts}
        return tuple(sorted(found | {skill for question in self.questions for skill in question.needs}))


class SkillLookup:
    """Question vector -> the skills it needs."""

    def __init__(self, profile: SkillProfile) -> None:
        self._profile = profile

    @property
    def profile(self) -> SkillProfile:
        """What it looks into."""
        return self._profile

    def evidence(self, vector: NDArray[np.float32] | None, k: int) -> SkillEvidence:
        """The needs of the k nearest profiled questions, weighed by similarity and criticality."""
        name = f"{self._profile.name} r{self._profile.revision}"
        if vector is None:
            note = "the question was not embedded, so nobody knows what it needs"
            return SkillEvidence(models=self._profile.models, profile=name, note=note)
        near = self._nearest(vector, k)
        nearest = tuple((self._profile.questions[place].id, similarity) for place, similarity in near)
        note = "" if near else "the profile holds no question that could be compared"
        return SkillEvidence(self._needs(near), self._profile.models, nearest, name, note)

    def _nearest(self, vector: NDArray[np.float32], k: int) -> list[tuple[int, float]]:
        """(place, similarity), nearest first, the earlier one where two are equal; only similarities above 0."""
        if not len(self._profile.questions) or len(vector) != self._profile.vectors.shape[1]:
            return []
        similarities = self._profile.vectors @ vector
        order = np.argsort(-similarities, kind="stable")[:k]
        return [(int(place), float(similarities[place])) for place in order if similarities[place] > 0]

    def _needs(self, near: list[tuple[int, float]]) -> tuple[Need, ...]:
        weights: defaultdict[str, float] = defaultdict(float)
        for place, similarity in near:
            for skill, criticality in self._profile.questions[place].needs.items():
                weights[skill] += similarity * criticality
        total = sum(weights.values())
        kept = {skill: weight for skill, weight in weights.items() if weight >= LEAST_WEIGHT * total}
        whole = sum(kept.values())
        return tuple(Need(skill, kept[skill] / whole) for skill in sorted(kept, key=lambda each: (-kept[each], each)))
