"""Labelled margins -> P(wrong) by margin, by isotonic regression (UCCI, arXiv 2605.18796).

The law of this file: the only import of scikit-learn's regression; it is fitted here, outside every policy, and the
policy gets plain numbers.
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np

from router.margins_state import Block, Curve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.margins_state import Labelled


def fit_curve(labelled: Sequence[Labelled], seen: Sequence[float]) -> Curve:
    """P(wrong) as a falling function of the margin.

    Args:
        labelled: (margin, correctness 0..1), at least one.
        seen: all margins, sorted; they say how many answers each block concerns. Empty = the labelled ones.
    """
    from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - a second to import, and it sets variables

    pairs = sorted(labelled)
    margins = np.array([margin for margin, _ in pairs])
    wrong = np.array([1.0 - correct for _, correct in pairs])
    fitted = IsotonicRegression(increasing=False, y_min=0.0, y_max=1.0).fit(margins, wrong).predict(margins)
    steps = [
        (float(next(group)[0]), float(p_wrong))
        for p_wrong, group in groupby(zip(margins, fitted, strict=True), key=lambda pair: round(float(pair[1]), 9))
    ]
    return Curve(_blocks(steps, list(seen) or margins.tolist()), len(pairs))


def _blocks(steps: Sequence[tuple[float, float]], seen: Sequence[float]) -> tuple[Block, ...]:
    """The steps with the share of margins in each; what lies below the first labelled margin belongs to the first."""
    starts = [0, *(bisect_left(seen, margin) for margin, _ in steps[1:]), len(seen)]
    return tuple(
        Block(margin, p_wrong, (starts[place + 1] - starts[place]) / len(seen))
        for place, (margin, p_wrong) in enumerate(steps)
    )
