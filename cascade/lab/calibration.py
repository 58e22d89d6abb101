"""Whether a number that claims to say how likely an answer is right does so: bins, and the area under the ROC curve.

The law of this file: pure; it reads estimates, margins and grades, and is used for reports alone.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from cascade.lab.score import wilson

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cascade.lab.score import Row
    from cascade.recordings import Recording
    from router.domain import Attempt

#: Bins of a calibration plot, each with about as many answers as the others, and the fewest a bin may have.
BINS = 10
LEAST = 15
#: Below this area a signal tells right from wrong little better than chance (0.5).
WEAK_AUC = 0.7

#: (what was claimed, whether it came out right)
Claim = tuple[float, bool]


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers with about the same claim: its mean, the share that was right with its 95 % interval, how many."""

    claimed: float
    right: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Signal:
    """One number that claims something about answers, over all answers that it was known for.

    `kind` is `estimate` (P(valid) before the tier is asked) or `confidence` (the margin of its answer).
    """

    policy: str
    kind: str
    model: str
    claims: tuple[Claim, ...]

    @property
    def auc(self) -> float | None:
        """See `area_under_roc`."""
        return area_under_roc(self.claims)

    @property
    def weak(self) -> bool:
        """Whether it hardly tells right from wrong."""
        auc = self.auc
        return auc is not None and auc < WEAK_AUC

    @property
    def gap(self) -> float:
        """Expected calibration error: the mean distance between claimed and right, 0..1."""
        found = bins(self.claims)
        total = sum(each.count for each in found)
        return sum(each.count * abs(each.claimed - each.right) for each in found) / total if total else 0.0


def signals(recording: Recording, row: Row) -> list[Signal]:
    """A row's estimates (all models together) and its confidences (each model apart), where there are any."""
    estimates: list[Claim] = []
    margins: dict[str, list[Claim]] = defaultdict(list)
    for attempt, right in _graded(recording, row):
        if attempt.p_valid is not None:
            estimates.append((attempt.p_valid, right))
        if attempt.confidence is not None:
            margins[attempt.model].append((attempt.confidence, right))
    found = [Signal(row.policy, "confidence", model, tuple(claims)) for model, claims in margins.items()]
    return [Signal(row.policy, "estimate", "", tuple(estimates)), *found] if estimates else found


def bins(claims: Sequence[Claim]) -> list[Bin]:
    """Up to ten bins of about equal size, ascending; equal claims stay together."""
    least = max(LEAST, len(claims) // BINS)
    found: list[Bin] = []
    held: list[Claim] = []
    for _, same in groupby(sorted(claims), key=lambda claim: claim[0]):
        held += same
        if len(held) >= least:
            found.append(_bin(held))
            held = []
    return [*found, _bin(held)] if held else found


def area_under_roc(claims: Sequence[Claim]) -> float | None:
    """How often a right answer has the higher claim than a wrong one (ties count half), 0..1; None without both."""
    ordered = sorted(claims)
    rights = sum(right for _, right in ordered)
    wrongs = len(ordered) - rights
    if not rights or not wrongs:
        return None
    below, won = 0, 0.0
    for _, group in groupby(ordered, key=lambda claim: claim[0]):
        grades = [right for _, right in group]
        right, wrong = sum(grades), len(grades) - sum(grades)
        won += right * (below + wrong / 2)
        below += wrong
    return won / (rights * wrongs)


def _graded(recording: Recording, row: Row) -> Iterator[tuple[Attempt, bool]]:
    for story in row.stories:
        for attempt in story.attempts:
            grade = recording.answers[attempt.model][story.query.id].correct
            if grade is not None:
                yield attempt, bool(grade)


def _bin(claims: Sequence[Claim]) -> Bin:
    right = sum(right for _, right in claims)
    low, high = wilson(right, len(claims))
    return Bin(sum(claimed for claimed, _ in claims) / len(claims), right / len(claims), low, high, len(claims))
