"""A policy over all budgets: accuracy against cost, and the normalised area under it (papers.md section 2).

The law of this file: the same policy at several shares of the way between its two models' costs, each with a history of
its own; the curve's ends are the two models alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.lab.measures import area
from cascade.policies import registry
from cascade.replay import replay_each

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.lab.score import Row
    from cascade.lab.stream import Stream

#: The policy that has such a curve, the setting that moves along it, and the one that would hold it still.
POLICY, SHARE, FIXED = "two-tier", "budget_share", "threshold"
_STEPS = 8


@dataclass(frozen=True, slots=True)
class Curve:
    """(cost in nano-dollars, accuracy) at rising budgets.

    `area` and `mixed_area` are mean accuracies over all budgets, the policy's and random mixing's.
    """

    policy: str
    points: tuple[tuple[float, float], ...]
    area: float
    mixed_area: float


def budget_curve(chosen: Stream, settings: Mapping[str, Any], singles: Sequence[Row]) -> Curve | None:
    """Replay the policy at nine budgets.

    Args:
        chosen: the stream.
        settings: the policy's other settings.
        singles: one model alone, each rung.

    None where a fixed threshold leaves nothing to vary, or there are no two graded models between which to vary.
    """
    known = sorted((row for row in singles if row.accuracy is not None), key=lambda row: row.cost_nanousd)
    if len(known) < 2 or settings.get(FIXED) is not None:  # noqa: PLR2004 - a way has two ends
        return None
    shares = [step / _STEPS for step in range(_STEPS + 1)]
    policies = [registry.build(POLICY, {**settings, SHARE: share}) for share in shares]
    found = [(row.cost_nanousd, row.accuracy) for row in replay_each(chosen, policies)]
    points = sorted((float(cost), accuracy) for cost, accuracy in found if accuracy is not None)
    low, high = known[0], known[-1]
    under = area(points, low.cost_nanousd, high.cost_nanousd)
    if under is None:
        return None
    return Curve(POLICY, tuple(points), under, ((low.accuracy or 0.0) + (high.accuracy or 0.0)) / 2)
