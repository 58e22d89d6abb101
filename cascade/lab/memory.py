"""What a replay has learnt so far: the twin of the live index and of the Starter, without an event loop.

The law of this file: the arithmetic of `router.vectors`, so that a replay and the live server see the same neighbours
in the same order. A question joins only with labels, as live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Evidence, Neighbour
from router.labels import by_model, labels
from router.vectors import Block, joined

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from router.domain import Deliver, Run


class Memory:
    """One policy's history within one replay.

    Args:
        vectors: query id -> unit vector (d,); a query without text has none.
    """

    def __init__(self, vectors: Mapping[str, NDArray[np.float32]]) -> None:
        self._vectors = vectors
        dimensions = len(next(iter(vectors.values()), ()))
        self._block = Block(0, len(vectors), dimensions)
        self._known: list[tuple[str, Mapping[str, float]]] = []

    def evidence(self, query_id: str, k: int) -> Evidence:
        """The k nearest questions learnt so far, nearest first."""
        if k <= 0:
            return Evidence()
        vector = self._vectors.get(query_id)
        if vector is None:
            return Evidence(note="the request holds no text to compare with past questions")
        found = joined([self._block.frozen().candidates(vector, k)], k) if self._known else []
        near = tuple(Neighbour(self._known[row][0], similarity, self._known[row][1]) for similarity, row in found)
        return Evidence(near, len(self._known))

    def learn(self, run: Run, delivered: Deliver, *, direct: bool) -> None:
        """Take over what a finished run teaches."""
        vector = self._vectors.get(run.id)
        if vector is None:
            return
        learnt = by_model(labels(run, delivered, direct=direct))
        if learnt:
            self._block.append(vector)
            self._known.append((run.id, learnt))
