"""For each query of a stream the most similar earlier ones, computed once for all policies of a replay.

The law of this file: the arithmetic of `router.vectors` decides, so the result is what the live index would say; the
matrix products here only choose what is looked at exactly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from router.vectors import MARGIN, nearest, similarities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

#: Queries compared at once with all earlier ones: one matrix product is faster than as many single ones.
_ROWS = 256

#: (similarity, place in the stream), nearest first, the older one first where they are equal.
Ranking = list[tuple[float, int]]


class Similar:
    """The nearest earlier queries by place.

    Args:
        vectors: query id -> unit vector (d,), in stream order; a query without text is not among them.
        keep: how many are kept for each.
    """

    def __init__(self, vectors: Mapping[str, NDArray[np.float32]], keep: int) -> None:
        self._places = {query_id: place for place, query_id in enumerate(vectors)}
        self._rows = np.array(list(vectors.values()), dtype=np.float32)
        self._near = [ranking for start in range(0, len(vectors), _ROWS) for ranking in self._block(start, keep)]

    def place(self, query_id: str) -> int | None:
        """The query's place among those with a text; None = it has no text."""
        return self._places.get(query_id)

    def vector(self, query_id: str) -> NDArray[np.float32] | None:
        """The query's unit vector; None = it has no text."""
        place = self._places.get(query_id)
        return None if place is None else self._rows[place]

    def earlier(self, place: int) -> Ranking:
        """The kept nearest of all earlier queries."""
        return self._near[place]

    def among(self, place: int, others: Sequence[int], k: int) -> Ranking:
        """The k nearest of some earlier queries, by looking at each of them."""
        return self._ranked(place, np.array(others, dtype=np.int64), k)

    def _block(self, start: int, keep: int) -> list[Ranking]:
        end = min(start + _ROWS, len(self._rows))
        rough = self._rows[start:end] @ self._rows[:end].T
        return [self._best(place, rough[place - start, :place], keep) for place in range(start, end)]

    def _best(self, place: int, rough: NDArray[np.float32], keep: int) -> Ranking:
        """The exact ranking of all that can be among the first by their float32 similarity."""
        candidates = np.arange(place)
        if place > keep:
            candidates = np.flatnonzero(rough >= np.partition(rough, -keep)[-keep] - MARGIN)
        return self._ranked(place, candidates, keep)

    def _ranked(self, place: int, candidates: NDArray[np.int64], k: int) -> Ranking:
        found = similarities(self._rows[candidates], self._rows[place]) if len(candidates) else np.empty(0)
        return [(float(found[at]), int(candidates[at])) for at in nearest(found, candidates, k)]
