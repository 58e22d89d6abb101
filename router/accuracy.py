"""The smoothed probability that a tier answers a question well (papers.md section 1, the accuracy estimator).

The law of this file: pure arithmetic over neighbours. It embeds nothing, searches nothing and picks no tier: the
policy compares the estimate with its threshold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.domain import Neighbour, Tier


@dataclass(frozen=True, slots=True)
class Estimate:
    """P(valid) of one tier in [0, 1], and what it is made of.

    `weight_correct` and `weight_incorrect` are n_T and n_F, sums of similarities; `prior` is the tier's acc_j.
    """

    p_valid: float
    weight_correct: float
    weight_incorrect: float
    prior: float


def estimate(neighbours: Sequence[Neighbour], tier: Tier, smoothing: float) -> Estimate:
    """P_j = (n_T + lambda * acc_j) / (n_T + n_F + lambda).

    A label c in [0, 1] counts sim * c as correct and sim * (1 - c) as incorrect. Only labels of the tier's present
    models count: after a swap of models a tier is back at its prior. Without any weight (no labels and lambda = 0, or
    negative similarities that outweigh lambda) the prior stands.

    Args:
        neighbours: past questions, each with its cosine similarity; their number is the caller's k.
        tier: the tier j whose models' labels and whose prior are meant.
        smoothing: lambda >= 0, the prior's weight in units of similarity.
    """
    correct = incorrect = 0.0
    for neighbour in neighbours:
        label = label_of(neighbour, tier)
        if label is not None:
            correct += neighbour.similarity * label
            incorrect += neighbour.similarity * (1.0 - label)
    weight = correct + incorrect + smoothing
    p_valid = (correct + smoothing * tier.prior_accuracy) / weight if weight > 0 else tier.prior_accuracy
    return Estimate(min(max(p_valid, 0.0), 1.0), correct, incorrect, tier.prior_accuracy)


def label_of(neighbour: Neighbour, tier: Tier) -> float | None:
    """What a past question says of a tier: the mean label of its present models, 0..1; None = blank."""
    labels = [neighbour.labels[model] for model in sorted(tier.models) if model in neighbour.labels]
    return sum(labels) / len(labels) if labels else None
