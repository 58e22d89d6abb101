"""The running budget quantile: when to ask the large model, learnt with no labels (papers.md section 2). Pure.

With B the average budget of a query, N the horizon, pot = B * N minus what was spent, and costs c_s and c_l:
p = min((B - c_s) / c_l, 1); T = element floor(p * n) of the sorted margins so far, this one included.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Regime(StrEnum):
    """What the pot still pays for, over the rest of the horizon."""

    SMALL_ONLY = "small only"
    CASCADE = "cascade"
    LARGE_DIRECTLY = "large directly"


@dataclass(frozen=True, slots=True)
class Pot:
    """The budget of one horizon.

    `share` is the average budget, 0..1 of the way from `small_nanousd` (c_s) to `large_nanousd` (c_l); both None
    while unknown (nothing asked yet, or no price): then nothing is counted and p is the share itself.
    """

    share: float
    horizon: int
    asked: int = 0
    spent_nanousd: int = 0
    small_nanousd: float | None = None
    large_nanousd: float | None = None

    @property
    def quantile(self) -> float:
        """The paper's p: the share of queries that the budget sends to the large model."""
        small, large = self.small_nanousd, self.large_nanousd
        if small is None or not large:
            return self.share
        return min(max((self._per_query - small) / large, 0.0), 1.0)

    @property
    def regime(self) -> Regime:
        """Whether the small, both or the large model is asked from here on."""
        if self.share <= 0:
            return Regime.SMALL_ONLY
        if self.share >= 1:
            return Regime.LARGE_DIRECTLY
        small, large = self.small_nanousd, self.large_nanousd
        if small is None or not large:
            return Regime.CASCADE
        rest = max(self.horizon - self.asked, 1)
        if self._left < small * rest:
            return Regime.SMALL_ONLY
        return Regime.LARGE_DIRECTLY if self._left >= large * rest else Regime.CASCADE

    def pays_large(self, spent_nanousd: int) -> bool:
        """Whether the pot pays for the large model once this request has spent so much on the small one."""
        return self.large_nanousd is None or self._left - spent_nanousd >= self.large_nanousd

    @property
    def _per_query(self) -> float:
        small, large = self.small_nanousd or 0.0, self.large_nanousd or 0.0
        return small + self.share * (large - small)

    @property
    def _left(self) -> float:
        return self._per_query * self.horizon - self.spent_nanousd


def threshold(seen: Sequence[float], margin: float, quantile: float) -> float:
    """T: element floor(p * n) of the sorted margins, this one included; past the end infinity: escalate.

    Args:
        seen: earlier margins, sorted.
        margin: this one.
        quantile: p, 0..1.
    """
    place = int(quantile * (len(seen) + 1))
    if place > len(seen):
        return inf
    own = bisect_left(seen, margin)
    if place == own:
        return margin
    return seen[place] if place < own else seen[place - 1]
