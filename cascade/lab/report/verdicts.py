"""What a policy buys against one model alone, in words that hold before a finance department.

The law of this file: pure; a difference that its 95 % interval does not tell from zero is never called a gain or loss.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.lab.measures import best_mix, difference, mixed_accuracy

if TYPE_CHECKING:
    from cascade.lab.measures import Difference
    from cascade.lab.report.results import Result
    from cascade.lab.score import Row

#: A policy this far (points as a share) from random mixing is said to be above or below it.
_NEAR = 0.005
#: A cheaper policy is called a good buy only if, at worst (95 %), it is less than this much less accurate.
TOLERATED = 0.03
#: ... and if it saves at least this share.
WORTHWHILE = 0.02


@dataclass(frozen=True, slots=True)
class Verdict:
    """One policy against the best single model, and against tossing a coin at the same spend.

    `saved` is the share of that model's cost that is not spent (negative: more is spent); `over_mixing` the accuracy
    above the random-mix line of the cheapest and the dearest model, `over_best` above the best mix of any two models,
    -1 to 1, None where there is no such mix.
    """

    row: Row
    against: Row
    saved: float | None
    gained: Difference | None
    over_mixing: float | None
    over_best: float | None

    @property
    def words(self) -> str:
        """The verdict in a few words."""
        return f"{self._quality}, {self._money}"

    @property
    def good(self) -> bool:
        """Cheaper and at worst a little less accurate, or measurably better at any price."""
        if self.gained is None:
            return False
        return ((self.saved or 0.0) >= WORTHWHILE and self.gained.low > -TOLERATED) or self.gained.low > 0

    @property
    def _worse(self) -> bool:
        return self.gained is not None and self.gained.high < 0

    @property
    def _quality(self) -> str:
        if self.gained is None:
            return "accuracy unknown"
        if not self.gained.clear:
            return "no measurable difference in accuracy"
        return "measurably less accurate" if self._worse else "measurably more accurate"

    @property
    def _money(self) -> str:
        if self.saved is None:
            return "cost not comparable"
        if abs(self.saved) < _NEAR:
            return "at the same cost"
        return f"{abs(self.saved):.0%} {'cheaper' if self.saved > 0 else 'dearer'}"

    @property
    def mixing_words(self) -> str:
        """Against random mixing of the cheapest and the dearest model at the same spend."""
        return _against(self.over_mixing)

    @property
    def best_words(self) -> str:
        """Against the best random mix of any two models at the same spend."""
        return _against(self.over_best)


def _against(over: float | None) -> str:
    if over is None:
        return "-"
    if abs(over) < _NEAR:
        return "level"
    return f"{100 * over:+.1f} points"


def best_single(result: Result) -> Row | None:
    """The most accurate model alone, the cheaper one where two are equal; None = none was run."""
    known = [row for row in result.always if row.accuracy is not None]
    return max(known, key=lambda row: (row.accuracy or 0.0, -row.cost_nanousd), default=None)


def ends(result: Result) -> tuple[Row, Row] | None:
    """The cheapest and the dearest model alone, between which chance mixes; None = fewer than two were run."""
    known = sorted((row for row in result.always if row.accuracy is not None), key=lambda row: row.cost_nanousd)
    return (known[0], known[-1]) if len(known) > 1 else None


def verdict(result: Result, row: Row) -> Verdict | None:
    """A policy's verdict; None where no single model was run."""
    against = best_single(result)
    if against is None:
        return None
    both = ends(result)
    line = mixed_accuracy(*both, row.cost_nanousd) if both else None
    over = None if line is None or row.accuracy is None else row.accuracy - line
    same = row.followed == against.followed and against.cost_nanousd > 0
    saved = 1 - row.cost_nanousd / against.cost_nanousd if same else None
    best = best_mix(result.always, row.cost_nanousd)
    over_best = None if best is None or row.accuracy is None else row.accuracy - best
    return Verdict(row, against, saved, difference(result.stream.recording, row, against), over, over_best)
