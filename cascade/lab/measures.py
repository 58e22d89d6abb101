"""What results are compared with: random mixing, the Pareto front, another policy on the same queries.

The law of this file: pure arithmetic over rows; accuracies from 0 to 1, costs in nano-dollars of the whole stream.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from cascade.lab.score import Z

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.lab.score import Row
    from cascade.recordings import Recording


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more accurate one policy is than another on the same queries: mean and 95 % interval, -1 to 1."""

    mean: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def mixed_accuracy(low: Row, high: Row, cost_nanousd: float) -> float | None:
    """What random mixing of two single models scores at this cost; beyond the ends the end itself.

    None where an accuracy is unknown, or both cost the same.
    """
    if low.accuracy is None or high.accuracy is None or high.cost_nanousd == low.cost_nanousd:
        return None
    share = (cost_nanousd - low.cost_nanousd) / (high.cost_nanousd - low.cost_nanousd)
    return low.accuracy + min(max(share, 0.0), 1.0) * (high.accuracy - low.accuracy)


def pareto(rows: Sequence[Row]) -> list[Row]:
    """The rows that no other row beats in both cost and accuracy, cheapest first."""
    front: list[Row] = []
    best = -1.0
    for row in sorted(rows, key=lambda row: (row.cost_nanousd, -(row.accuracy or 0.0))):
        if row.accuracy is not None and row.accuracy > best:
            front.append(row)
            best = row.accuracy
    return front


def best_mix(singles: Sequence[Row], cost_nanousd: float) -> float | None:
    """What the best random mix of any two single models scores at this cost; None = it pays for none of them."""
    known = [row for row in singles if row.accuracy is not None]
    found = [row.accuracy or 0.0 for row in known if row.cost_nanousd <= cost_nanousd]
    pairs = [(low, high) for low in known for high in known if low.cost_nanousd < cost_nanousd < high.cost_nanousd]
    mixed = [mixed_accuracy(low, high, cost_nanousd) or 0.0 for low, high in pairs]
    return max([*found, *mixed], default=None)


def difference(recording: Recording, one: Row, other: Row) -> Difference | None:
    """The paired difference `one` - `other` over the queries that both have a grade for; None without two of them.

    Paired, since both answered the same queries: the interval is that of the mean of -1, 0 and 1 per query.
    """
    gaps = [mine - theirs for mine, theirs in _grades(recording, one, other)]
    if len(gaps) < 2:  # noqa: PLR2004 - a spread needs two
        return None
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / (len(gaps) - 1) / len(gaps))
    return Difference(mean, mean - Z * spread, mean + Z * spread)


def _grades(recording: Recording, one: Row, other: Row) -> list[tuple[int, int]]:
    pairs = zip(one.stories, other.stories, strict=True)
    grades = [(mine.correct(recording), theirs.correct(recording)) for mine, theirs in pairs]
    return [(mine, theirs) for mine, theirs in grades if mine is not None and theirs is not None]


def area(points: Sequence[tuple[float, float]], low: float, high: float) -> float | None:
    """The normalised area under accuracy against cost between two costs (papers.md section 2): a mean accuracy.

    Args:
        points: (cost, accuracy), at least one; before the first and after the last the nearest one's accuracy holds.
        low: the cheaper end, such as always-small's cost.
        high: the dearer end.
    """
    if high <= low or not points:
        return None
    ordered = sorted(points)
    inside = [(cost, accuracy) for cost, accuracy in ordered if low < cost < high]
    path = [(low, _at(ordered, low)), *inside, (high, _at(ordered, high))]
    steps = pairwise(path)
    return sum((right - left) * (one + two) / 2 for (left, one), (right, two) in steps) / (high - low)


def _at(ordered: Sequence[tuple[float, float]], cost: float) -> float:
    """The accuracy at a cost, between two points on the straight line."""
    if cost <= ordered[0][0]:
        return ordered[0][1]
    for (left, one), (right, two) in pairwise(ordered):
        if left <= cost <= right:
            return two if right == left else one + (two - one) * (cost - left) / (right - left)
    return ordered[-1][1]
