"""Settings that meet a target, found on one part of a stream and tried on another.

The law of this file: grades are read on the fitting part to choose, on the other part to report; a policy never sees
them. The same seed finds the same settings.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cascade.lab import spaces
from cascade.policies import registry
from cascade.replay import replay_each
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cascade.lab.embeddings import CachedEmbedder
    from cascade.lab.memory import Seen
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream
    from cascade.replay import Progress

#: Fewer graded answers than this on either part decide nothing.
LEAST_GRADED = 30
#: The part of the tries that looks around the best one found so far.
_REFINING = 0.3
#: Names of splits that are there to fit on, and to report on.
_FITTING, _REPORTING = ("train", "dev", "fit"), ("test", "eval", "report")


@dataclass(frozen=True, slots=True)
class Goal:
    """Either an accuracy to reach as cheaply as possible (0..1), or USD per 1,000 queries to make the most of."""

    accuracy: float | None = None
    usd_per_thousand: float | None = None

    def met(self, row: Row) -> bool:
        """Whether a row meets it."""
        if self.accuracy is not None:
            return row.accuracy is not None and row.accuracy >= self.accuracy
        return _usd_per_thousand(row) <= (self.usd_per_thousand or 0.0)

    def order(self, row: Row) -> tuple[float, float, float]:
        """Sorts rows, the best first: those that meet the goal, then by what is left to gain."""
        cost, accuracy = _usd_per_thousand(row), row.accuracy or 0.0
        if self.accuracy is not None:
            return (0.0, cost, -accuracy) if self.met(row) else (1.0, -accuracy, cost)
        return (0.0, -accuracy, cost) if self.met(row) else (1.0, cost, -accuracy)


@dataclass(frozen=True, slots=True)
class Trial:
    """Settings that were changed, and what came of them."""

    changed: Mapping[str, Any]
    row: Row


@dataclass(frozen=True, slots=True)
class Tuned:
    """The best trial on the fitting part, the same settings on the reporting part, and the default's row there."""

    policy: str
    fitted: Trial
    reported: Row
    default: Row
    tried: int


class Tuner:
    """Tries settings of one policy.

    Args:
        policy: its name.
        base: settings that stay as they are.
        goal: what to reach.
        embedder: for policies that look at neighbours.
        seen: what each query saw when it was really asked, for stored traffic.
        tell: progress.
    """

    def __init__(
        self,
        policy: str,
        base: Mapping[str, Any],
        goal: Goal,
        embedder: CachedEmbedder | None,
        seen: Seen | None,
        tell: Progress,
    ) -> None:
        self._policy = policy
        self._base = base
        self._goal = goal
        self._embedder = embedder
        self._seen = seen
        self._tell = tell

    def tune(self, fit: Stream, report: Stream, tries: int, seed: int) -> Tuned:
        """Search widely, then around the best, then report.

        Raises:
            ConfigError: there is nothing to tune, or too few grades to decide by.
        """
        space = spaces.space_of(self._policy, _confidences(fit))
        refining = int(tries * _REFINING)
        found = self._tried(fit, [{}, *spaces.wide(space, max(2, tries - refining), seed)])
        best = self._best(found)
        found += self._tried(fit, list(spaces.near(space, best.changed, refining, seed)))
        best = self._best(found)
        default, chosen = self._tried(report, [{}, dict(best.changed)])
        for row in (best.row, chosen.row):
            if row.graded < LEAST_GRADED:
                raise ConfigError(
                    f"only {row.graded} answers are graded there: at least {LEAST_GRADED} are needed to tune"
                )
        return Tuned(self._policy, best, chosen.row, default.row, len(found))

    def _best(self, found: Iterable[Trial]) -> Trial:
        """The best of those that can be told: one right answer of one graded is no accuracy."""
        trials = list(found)
        told = [trial for trial in trials if trial.row.graded >= LEAST_GRADED]
        return min(told or trials, key=lambda trial: self._goal.order(trial.row))

    def _tried(self, chosen: Stream, candidates: list[dict[str, Any]]) -> list[Trial]:
        policies = [registry.build(self._policy, {**self._base, **changed}) for changed in candidates]
        trials = []
        rows = replay_each(chosen, policies, self._embedder, self._embedding, self._seen)
        for done, row in enumerate(rows):
            trials.append(Trial(candidates[done], replace(row, stories=())))
            self._tell(f"trying settings on {len(chosen.queries):,} queries", done + 1, len(policies))
        return trials

    def _embedding(self, what: str, done: int, total: int) -> None:
        if what == "embedding":
            self._tell(what, done, total)


def parts(chosen: Stream, fit: str | None = None, report: str | None = None) -> tuple[Stream, Stream]:
    """The part to fit on and the part to report on: the named splits, those called so, or the halves of the stream.

    Raises:
        ConfigError: an unknown split, the same twice, or too few queries.
    """
    splits = dict.fromkeys(query.split for query in chosen.queries)
    one = fit or next((name for name in _FITTING if name in splits), None)
    two = report or next((name for name in _REPORTING if name in splits and name != one), None)
    if one is not None and two is not None:
        if one == two:
            raise ConfigError(f"--fit and --report both name {one!r}: what was fitted cannot be reported on")
        return _of_split(chosen, one), _of_split(chosen, two)
    if fit or report:
        raise ConfigError("name both --fit and --report, or neither")
    half = len(chosen.queries) // 2
    if half == 0:
        raise ConfigError("one query cannot be divided into a part to fit on and a part to report on")
    return replace(chosen, queries=chosen.queries[:half]), replace(chosen, queries=chosen.queries[half:])


def _confidences(chosen: Stream) -> list[float]:
    """Those of the lowest tier's answers to these queries."""
    told = chosen.recording.answers[chosen.models[0]]
    answers = [told[query.id] for query in chosen.queries if query.id in told]
    return [answer.confidence for answer in answers if answer.confidence is not None]


def _of_split(chosen: Stream, split: str) -> Stream:
    chosen.recording.of_split(split)  # says which splits there are
    return replace(chosen, queries=tuple(query for query in chosen.queries if query.split == split), split=split)


def _usd_per_thousand(row: Row) -> float:
    return row.cost_nanousd / max(row.followed, 1) / 1e6
