"""How hard a question is, and what that says of every tier's chance: one latent difficulty (the Rasch model).

The law of this file: pure arithmetic over a grid of difficulties. Each tier has an ability that follows from its
accuracy; P(right | difficulty) is a logistic curve of ability minus difficulty. What is seen of one tier, on this
question or on similar ones, moves the difficulty and with it every other tier's chance: a tier that is never asked
is judged by what the others made of similar questions.

A curve is a tuple of floats along `GRID`. Tuples, not arrays: of a dozen numbers plain Python is done before numpy has
begun.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, log
from operator import mul
from typing import TYPE_CHECKING, TypeAlias

from router.accuracy import label_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.domain import Neighbour, Tier

#: A number for each difficulty of the grid.
Curve: TypeAlias = tuple[float, ...]

#: Difficulties in standard deviations of the traffic's: what lies beyond is one question in three hundred.
GRID: Curve = tuple(place / 2 for place in range(-6, 7))
#: How steeply chances fall with difficulty. On fit halves of recordings of real models (BENCHMARKS, auto) the
#: likelihood of who was right where is highest at 2 to 4, whoever the vendors are.
SLOPE = 3.0
#: Accuracies are taken as at least this far from 0 and 1: nobody is always right.
_LEAST = 0.005
_HALVINGS = 40
#: Past questions less similar than this say nothing.
LEAST_SIMILARITY = 0.2


def _normal() -> Curve:
    heights = [exp(-place * place / 2) for place in GRID]
    return tuple(height / sum(heights) for height in heights)


#: P(difficulty) where nothing is known: the standard normal distribution.
NORMAL: Curve = _normal()


def over(one: Sequence[float], other: Sequence[float]) -> float:
    """The sum of products: the mean of the one where the other is a distribution."""
    return float(sum(map(mul, one, other)))


def curves(accuracies: Sequence[float]) -> tuple[Curve, ...]:
    """P(right | difficulty) for each mean accuracy, falling along the grid."""
    return tuple(_curve(accuracy) for accuracy in accuracies)


def difficulty(
    neighbours: Sequence[Neighbour], tiers: Sequence[Tier], chances: Sequence[Curve], weight: float
) -> Curve:
    """P(difficulty) of a question, by what became of similar ones.

    A neighbour's label l of a tier counts as `weight` times its squared similarity of an observation of this very
    question: right with l, wrong with 1 - l.

    Args:
        neighbours: past questions with their similarity and their labels, model -> correctness 0..1.
        tiers: whose models' labels count.
        chances: their curves.
        weight: 0..1.
    """
    rights, wrongs = [0.0] * len(tiers), [0.0] * len(tiers)
    for neighbour in neighbours:
        if neighbour.similarity < LEAST_SIMILARITY or not neighbour.labels:
            continue
        trust = weight * neighbour.similarity**2
        for place, tier in enumerate(tiers):
            label = label_of(neighbour, tier)
            if label is not None:
                rights[place] += trust * label
                wrongs[place] += trust * (1.0 - label)
    logs = [log(usual) for usual in NORMAL]
    for curve, right, wrong in zip(chances, rights, wrongs, strict=True):
        if right or wrong:
            logs = [sofar + right * log(p) + wrong * log(1.0 - p) for sofar, p in zip(logs, curve, strict=True)]
    most = max(logs)
    odds = [exp(each - most) for each in logs]
    mass = sum(odds)
    return tuple(each / mass for each in odds)


@lru_cache(maxsize=1024)
def _curve(accuracy: float) -> Curve:
    """The curve whose mean over all questions is this accuracy, found by halving."""
    wanted = min(max(accuracy, _LEAST), 1.0 - _LEAST)
    low, high = -10.0, 10.0
    for _ in range(_HALVINGS):
        ability = (low + high) / 2
        low, high = (ability, high) if over(_logistic(ability), NORMAL) < wanted else (low, ability)
    return _logistic(ability)


def _logistic(ability: float) -> Curve:
    # Bounded: an exponent this large is a certainty that no logarithm survives.
    return tuple(1.0 / (1.0 + exp(min(max(SLOPE * (place - ability), -30.0), 30.0))) for place in GRID)
