"""The in-memory twin of the FAISS index: every vector compared, every time.

The law of this file: the plainest code that can be right, for it is the oracle the fast index is tested against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from router.domain import Neighbour
from router.vectors import checked, nearest, similarities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from router.ports import StoredQuestion


class BruteForceNeighbours:
    """The port `Neighbours` over two dicts a scope: id -> vector and id -> labels, oldest first.

    Args:
        dimensions: length of the vectors.
    """

    def __init__(self, dimensions: int) -> None:
        self._dimensions = dimensions
        self._vectors: dict[str, dict[str, NDArray[np.float32]]] = {}
        self._labels: dict[str, dict[str, Mapping[str, float]]] = {}

    async def search(self, vector: NDArray[np.float32], k: int, scope: str) -> tuple[Neighbour, ...]:
        """The nearest first, the older one first where they are equal; at most k."""
        vector = checked(vector, self._dimensions)
        kept = self._vectors.get(scope)
        if not kept or k <= 0:
            return ()
        ids, labels = list(kept), self._labels[scope]
        found = similarities(np.stack(list(kept.values())), vector)
        places = nearest(found, np.arange(len(ids)), k)
        return tuple(Neighbour(ids[place], float(found[place]), labels[ids[place]]) for place in places)

    async def add(self, id: str, vector: NDArray[np.float32], labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Add a question; one whose id is known keeps its vector and its age and gets the new labels."""
        self._vectors.setdefault(scope, {}).setdefault(id, checked(vector, self._dimensions).copy())
        self._labels.setdefault(scope, {})[id] = dict(labels)

    async def relabel(self, id: str, labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Replace a question's labels; an unknown id is ignored."""
        if id in self._labels.get(scope, {}):
            self._labels[scope][id] = dict(labels)

    async def size(self, scope: str) -> int:
        """How many questions the scope holds."""
        return len(self._vectors.get(scope, {}))

    async def load(self, batches: AsyncIterator[Sequence[StoredQuestion]], scope_of: Callable[[str], str]) -> int:
        """Take over stored questions, oldest first; `scope_of` maps a team to its scope. How many were taken.

        Those without labels have nothing to teach and are left out.
        """
        taken = 0
        async for batch in batches:
            for question in batch:
                if question.labels:
                    await self.add(question.id, question.vector, question.labels, scope_of(question.team))
                    taken += 1
        return taken

    async def total(self) -> int:
        """How many questions all scopes hold together."""
        return sum(map(len, self._vectors.values()))

    async def scopes(self) -> Sequence[str]:
        """The scopes that hold questions."""
        return [scope for scope, kept in self._vectors.items() if kept]

    async def ids(self, scope: str) -> Sequence[str]:
        """The ids of a scope's questions, oldest first."""
        return list(self._vectors.get(scope, {}))

    async def forget(self, ids: Sequence[str], scope: str) -> None:
        """Remove questions; unknown ids are ignored."""
        for each in ids:
            self._vectors.get(scope, {}).pop(each, None)
            self._labels.get(scope, {}).pop(each, None)

    async def aclose(self) -> None:
        """Nothing to give back."""
