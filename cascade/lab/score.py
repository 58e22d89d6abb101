"""Stories -> one row of numbers: accuracy with its interval, money, latency, starts, and how the judge did.

The law of this file: pure; the only place in the lab where correctness is looked at.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.lab.story import Story
    from cascade.recordings import Recording

#: The 97.5 % point of the normal distribution: 95 % lie between -Z and Z.
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class JudgeScore:
    """How many right and wrong answers judges saw, and how many of each they accepted."""

    right: int = 0
    right_accepted: int = 0
    wrong: int = 0
    wrong_accepted: int = 0

    def as_json(self) -> dict[str, float | None]:
        """The two rates, 0..1; null where no such answer was judged."""
        return {
            "accept_right": _share(self.right_accepted, self.right),
            "accept_wrong": _share(self.wrong_accepted, self.wrong),
        }


@dataclass(frozen=True, slots=True)
class Row:
    """One policy's result over one stream.

    `queries` were replayed, `followed` of them to the end, `graded` with a known grade, `correct` right. Costs are of
    the followed ones. `latency_s` is the mean per query, None where not all was recorded. `starts` and `served` count
    per tier, `lacking` what the others would have needed. `stories` are what it is made of, for reports.
    """

    policy: str
    settings: Mapping[str, Any]
    queries: int
    followed: int
    graded: int
    correct: int
    generate_nanousd: int
    judge_nanousd: int
    latency_s: float | None
    starts: Mapping[str, int]
    served: Mapping[str, int]
    judge: JudgeScore
    lacking: Mapping[str, int] = field(default_factory=dict)
    stories: tuple[Story, ...] = field(default=(), repr=False, compare=False)

    @property
    def accuracy(self) -> float | None:
        """The share of right answers, 0..1; None where nothing is graded."""
        return _share(self.correct, self.graded)

    @property
    def accuracy_ci(self) -> tuple[float, float] | None:
        """Its 95 % interval."""
        return wilson(self.correct, self.graded) if self.graded else None

    @property
    def cost_nanousd(self) -> int:
        """Answers and verdicts together."""
        return self.generate_nanousd + self.judge_nanousd

    def as_json(self) -> dict[str, Any]:
        """The row as `gearbox replay --json` prints it; `unevaluable` and `graded` only where something is missing."""
        ci = self.accuracy_ci
        row = {
            "policy": self.policy,
            "settings": dict(self.settings),
            "accuracy": self.accuracy,
            "accuracy_ci": list(ci) if ci else None,
            "cost_usd": nanousd_to_usd(self.cost_nanousd),
            "generate_usd": nanousd_to_usd(self.generate_nanousd),
            "judge_usd": nanousd_to_usd(self.judge_nanousd),
            "latency_s": self.latency_s,
            "starts": dict(self.starts),
            "served": dict(self.served),
            "judge": self.judge.as_json(),
        }
        return row if self.graded == self.queries else {**row, **self._missing()}

    def _missing(self) -> dict[str, Any]:
        unevaluable = 1 - self.followed / self.queries if self.queries else None
        return {"unevaluable": unevaluable, "unevaluable_because": dict(self.lacking), "graded": self.graded}


def score(
    recording: Recording, tiers: Sequence[str], policy: str, settings: Mapping[str, Any], stories: Sequence[Story]
) -> Row:
    """Score a policy's stories."""
    followed = [story for story in stories if story.followed]
    grades = [grade for story in followed if (grade := story.correct(recording)) is not None]
    return Row(
        policy=policy,
        settings=settings,
        queries=len(stories),
        followed=len(followed),
        graded=len(grades),
        correct=sum(grades),
        generate_nanousd=sum(story.generate_nanousd for story in followed),
        judge_nanousd=sum(story.judge_nanousd for story in followed),
        latency_s=_mean_latency(recording, followed),
        starts=_count(tiers, [story.attempts[0].tier for story in followed if story.attempts]),
        served=_count(tiers, [story.served.tier for story in followed if story.served]),
        judge=_judge_score(recording, followed),
        lacking=dict(Counter(story.lacking for story in stories if not story.followed).most_common()),
        stories=tuple(stories),
    )


def wilson(correct: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share, which lies within it; both ends from 0 to 1.

    Args:
        correct: how many, 0 to `total`.
        total: of how many, at least 1.
    """
    share = correct / total
    scale = 1 + Z * Z / total
    middle = (share + Z * Z / (2 * total)) / scale
    half = Z * math.sqrt(share * (1 - share) / total + Z * Z / (4 * total * total)) / scale
    # In floats the ends may miss a share of 0 or 1 by its last digit.
    return max(min(middle - half, share), 0.0), min(max(middle + half, share), 1.0)


def _mean_latency(recording: Recording, stories: Sequence[Story]) -> float | None:
    waits = [story.latency_s(recording) for story in stories]
    known = [wait for wait in waits if wait is not None]
    return sum(known) / len(known) if known and len(known) == len(waits) else None


def _judge_score(recording: Recording, stories: Sequence[Story]) -> JudgeScore:
    seen = Counter(pair for story in stories for pair in story.judged(recording))
    right_accepted, wrong_accepted = seen[True, True], seen[True, False]
    return JudgeScore(
        right_accepted + seen[False, True], right_accepted, wrong_accepted + seen[False, False], wrong_accepted
    )


def _count(tiers: Sequence[str], names: Sequence[str]) -> dict[str, int]:
    """How often each tier occurs, the ladder's order, zeros included."""
    counted = Counter(names)
    return {tier: counted[tier] for tier in tiers}


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
