"""Whether a policy that learns has stopped choosing, and why: the weakness of labels that only chosen tiers get.

The law of this file: pure; it reads what the policy saw (neighbours, their labels) and the priors, never a grade.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.accuracy import estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.lab.score import Row
    from cascade.lab.story import Story
    from router.domain import Tier

#: The part of the stream that is looked at, and the share of it that starts at one tier where a policy is locked in.
LAST = 0.5
LOCKED = 0.98


@dataclass(frozen=True, slots=True)
class View:
    """What the policy saw of one tier late in the stream, means per query.

    `labels` counts the neighbours that hold a label for it (of `k`), `estimate` is P(valid), 0..1.
    """

    tier: str
    prior: float
    labels: float
    estimate: float


@dataclass(frozen=True, slots=True)
class LockIn:
    """A policy that starts nearly everything at its top tier; `share` of the later half of the stream."""

    policy: str
    tier: str
    share: float
    k: int
    threshold: float | None
    views: tuple[View, ...]


def lock_in(row: Row, tiers: Sequence[Tier]) -> LockIn | None:
    """How a policy is locked in at the top; None = it is not, or it does not learn."""
    late = [story for story in row.stories if story.followed and story.attempts]
    late = late[int(len(late) * (1 - LAST)) :]
    top = tiers[-1]
    if len(tiers) == 1 or not any(story.attempts[0].p_valid is not None for story in late):
        return None
    share = sum(story.attempts[0].tier == top.name for story in late) / len(late)
    if share < LOCKED:
        return None
    k = max(len(story.run.evidence.neighbours) for story in late if story.run)
    threshold, smoothing = row.settings.get("threshold"), float(row.settings.get("smoothing") or 1.0)
    views = tuple(_view(tier, late, smoothing) for tier in tiers)
    return LockIn(row.policy, top.name, share, k, threshold if isinstance(threshold, float) else None, views)


def _view(tier: Tier, stories: Sequence[Story], smoothing: float) -> View:
    seen = [story.run.evidence.neighbours for story in stories if story.run]
    held = sum(any(model in near.labels for model in tier.models) for neighbours in seen for near in neighbours)
    estimates = [estimate(neighbours, tier, smoothing).p_valid for neighbours in seen]
    return View(tier.name, tier.prior_accuracy, held / len(seen), sum(estimates) / len(estimates))
