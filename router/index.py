"""The nearest past questions, by FAISS: exact search over segments that never change.

The law of this file: no lock. A partition's state is touched on the event loop only; other threads read frozen rows or
build a new segment, which the loop then swaps in as one assignment. So a request never waits for a rebuild.

    add -> tail (a block of 1,024 rows) -> full: sealed -> merged, in the background, into ever larger FAISS segments

As in a log-structured merge tree, each merge at least doubles, so there are O(log n) segments and a row is copied
O(log n) times.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from router.domain import Neighbour
from router.vectors import MARGIN, Block, Rows, checked, joined, similarities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from router.ports import StoredQuestion

#: Rows of a tail before it is sealed.
SEGMENT_ROWS = 1024
#: Up to this many rows a search takes well under a millisecond, less than handing it to a thread.
INLINE_ROWS = 4096
#: How many more than k are fetched, to see whether equally similar rows go on behind the k-th.
SPARE = 8
#: When so many rows are forgotten, and so large a share of all, a partition is built anew without them.
COMPACT_ROWS = 1024
COMPACT_SHARE = 0.1
#: Of more rows than this that tie with the k-th, the newest are passed over.
MAX_TIES = 1024


class Part(Protocol):
    """A run of consecutive rows that no longer changes."""

    first_row: int
    size: int

    def vectors(self) -> NDArray[np.float32]:
        """All rows, shape (size, d)."""

    def candidates(self, vector: NDArray[np.float32], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Similarities and rows of all that may be among the k nearest."""


class FaissSegment:
    """Consecutive rows in one exact inner-product index.

    Args:
        parts: the runs of rows it is built from, oldest first and without gaps.
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        import faiss  # noqa: PLC0415 - on first use: a proxy without history need not load it

        self.first_row = parts[0].first_row
        self.size = sum(part.size for part in parts)
        self._index: Any = faiss.IndexFlatIP(parts[0].vectors().shape[1])
        for part in parts:
            self._index.add(np.ascontiguousarray(part.vectors()))

    def vectors(self) -> NDArray[np.float32]:
        """All rows, a copy of shape (size, d)."""
        rows: NDArray[np.float32] = self._index.reconstruct_n(0, self.size)
        return rows

    def candidates(self, vector: NDArray[np.float32], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Similarities and rows of all that may be among the k nearest, in no particular order."""
        rows = self._rough(vector.reshape(1, -1), k)
        return similarities(self._index.reconstruct_batch(rows), vector), rows + self.first_row

    def _rough(self, query: NDArray[np.float32], k: int) -> NDArray[np.int64]:
        """Local rows: the k best by float32 and whatever ties with the last of them."""
        fetched = min(self.size, k + SPARE)
        found, rows = self._index.search(query, fetched)
        least = found[0][min(k, fetched) - 1]
        if fetched == self.size or found[0][-1] < least - MARGIN:
            kept: NDArray[np.int64] = rows[0][found[0] >= least - MARGIN]
            return kept
        _, found, rows = self._index.range_search(query, float(least) - MARGIN)
        above, tied = rows[found > least + MARGIN], np.sort(rows[found <= least + MARGIN])
        return np.concatenate([above, tied[: MAX_TIES + k]])


class _Partition:
    """One scope's questions: `sealed` parts oldest first, then the growing tail; `ids` by row."""

    def __init__(self, dimensions: int, segment_rows: int) -> None:
        self._dimensions = dimensions
        self._segment_rows = segment_rows
        self.sealed: tuple[Part, ...] = ()
        self.tail = Block(0, segment_rows, dimensions)
        self.ids: list[str] = []
        self.labels: dict[str, Mapping[str, float]] = {}
        self.dead = 0
        self.merging = False

    def append(self, id: str, vector: NDArray[np.float32]) -> None:  # noqa: A002 - the row's id
        """Write a row at the end; a tail that is full becomes a sealed part."""
        self.tail.append(vector)
        self.ids.append(id)
        if self.tail.full:
            self.sealed = (*self.sealed, self.tail.frozen())
            self.tail = Block(len(self.ids), self._segment_rows, self._dimensions)

    def parts(self) -> tuple[Part, ...]:
        """All rows as they are now."""
        return (*self.sealed, self.tail.frozen()) if self.tail.size else self.sealed

    def due(self) -> tuple[Part, ...]:
        """The newest sealed parts that should become one: each at most as large as all behind it together."""
        group: tuple[Part, ...] = ()
        for part in reversed(self.sealed):
            if group and part.size > sum(newer.size for newer in group):
                break
            group = (part, *group)
        return () if len(group) == 1 and isinstance(group[0], FaissSegment) else group

    def swap(self, group: tuple[Part, ...], merged: Part) -> None:
        """Put the merged part in the place of its group; parts sealed meanwhile stay behind it."""
        start = self.sealed.index(group[0])
        self.sealed = (*self.sealed[:start], merged, *self.sealed[start + len(group) :])


class FaissNeighbours:
    """The port `Neighbours`, exact, one partition a scope. To be used from one event loop.

    Args:
        dimensions: length of the vectors.
        segment_rows: rows of a tail before it is sealed.
        inline_rows: searches over more rows than this run in a thread.
    """

    def __init__(self, dimensions: int, *, segment_rows: int = SEGMENT_ROWS, inline_rows: int = INLINE_ROWS) -> None:
        self._dimensions = dimensions
        self._segment_rows = segment_rows
        self._inline_rows = inline_rows
        self._partitions: dict[str, _Partition] = {}
        self._searchers = ThreadPoolExecutor(2, thread_name_prefix="neighbours-search")
        self._merger = ThreadPoolExecutor(1, thread_name_prefix="neighbours-merge")
        self._merges: set[asyncio.Task[None]] = set()

    async def search(self, vector: NDArray[np.float32], k: int, scope: str) -> tuple[Neighbour, ...]:
        """The nearest first, the older one first where they are equal; at most k. Labels are the latest ones."""
        vector = checked(vector, self._dimensions)
        partition = self._partitions.get(scope)
        if partition is None or k <= 0:
            return ()
        parts = partition.parts()
        rows, wanted = sum(part.size for part in parts), k
        while True:
            found = await self._nearest(parts, vector, wanted, rows)
            near = tuple(self._living(partition, found))
            if len(near) >= k or wanted >= rows:
                return near[:k]
            wanted = max(2 * wanted, k + partition.dead)  # forgotten questions stand in the way of others

    async def _nearest(
        self, parts: tuple[Part, ...], vector: NDArray[np.float32], k: int, rows: int
    ) -> list[tuple[float, int]]:
        if rows <= self._inline_rows:
            return _nearest(parts, vector, k)
        return await asyncio.get_running_loop().run_in_executor(self._searchers, _nearest, parts, vector, k)

    @staticmethod
    def _living(partition: _Partition, found: list[tuple[float, int]]) -> Iterator[Neighbour]:
        for similarity, row in found:
            labels = partition.labels.get(partition.ids[row])
            if labels is not None:
                yield Neighbour(partition.ids[row], similarity, labels)

    async def add(self, id: str, vector: NDArray[np.float32], labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Add a question; one whose id is known keeps its vector and its age and gets the new labels."""
        self._add(id, checked(vector, self._dimensions), labels, scope)

    async def relabel(self, id: str, labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Replace a question's labels; an unknown id is ignored."""
        partition = self._partitions.get(scope)
        if partition is not None and id in partition.labels:
            partition.labels[id] = dict(labels)

    async def size(self, scope: str) -> int:
        """How many questions the scope holds."""
        partition = self._partitions.get(scope)
        return len(partition.labels) if partition else 0

    async def total(self) -> int:
        """How many questions all scopes hold together."""
        return sum(len(partition.labels) for partition in self._partitions.values())

    async def scopes(self) -> Sequence[str]:
        """The scopes that hold questions."""
        return [scope for scope, partition in self._partitions.items() if partition.labels]

    async def ids(self, scope: str) -> Sequence[str]:
        """The ids of a scope's questions, oldest first."""
        partition = self._partitions.get(scope)
        return [id_ for id_ in partition.ids if id_ in partition.labels] if partition else []

    async def forget(self, ids: Sequence[str], scope: str) -> None:
        """Remove questions; unknown ids are ignored. Their rows are passed over until the partition is built anew."""
        partition = self._partitions.get(scope)
        if partition is None:
            return
        gone = {each for each in ids if partition.labels.pop(each, None) is not None}
        partition.ids = ["" if each in gone else each for each in partition.ids]
        partition.dead += len(gone)
        if partition.dead >= COMPACT_ROWS and partition.dead >= COMPACT_SHARE * len(partition.ids):
            self._work(self._compact(scope))

    async def load(self, batches: AsyncIterator[Sequence[StoredQuestion]], scope_of: Callable[[str], str]) -> int:
        """Take over stored questions, oldest first; `scope_of` maps a team to its scope. How many were taken.

        Those without labels have nothing to teach and are left out. Returns once all merging is done.
        """
        taken = 0
        async for batch in batches:
            labelled = [question for question in batch if question.labels]
            for question in labelled:
                vector = checked(question.vector, self._dimensions)
                self._add(question.id, vector, question.labels, scope_of(question.team))
            taken += len(labelled)
        await self.settled()
        return taken

    async def settled(self) -> None:
        """Wait until no merge is running or due."""
        while self._merges:
            await asyncio.gather(*self._merges)

    async def aclose(self) -> None:
        """Stop merging and give the threads back; a segment that is being built is finished first."""
        for merge in tuple(self._merges):
            merge.cancel()
        await asyncio.gather(*self._merges, return_exceptions=True)
        for threads in (self._merger, self._searchers):
            await asyncio.to_thread(threads.shutdown, cancel_futures=True)

    def _add(self, id: str, vector: NDArray[np.float32], labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        partition = self._partitions.get(scope)
        if partition is None:
            partition = self._partitions[scope] = _Partition(self._dimensions, self._segment_rows)
        known = id in partition.labels
        partition.labels[id] = dict(labels)
        if known:
            return
        partition.append(id, vector)
        if not partition.merging and partition.due():
            partition.merging = True
            self._work(self._merge(partition))

    def _work(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(job)
        self._merges.add(task)
        task.add_done_callback(self._merges.discard)

    async def _compact(self, scope: str) -> None:
        """Build a scope anew without its forgotten rows; what is added meanwhile is carried over, in its order."""
        old = self._partitions[scope]
        if old.merging:
            return  # the next call of `forget` comes back to it
        old.merging = True
        parts, ids, loop = old.parts(), old.ids, asyncio.get_running_loop()
        rows = len(ids)
        try:
            new = await loop.run_in_executor(self._merger, self._without_dead, parts, ids[:rows])
        finally:
            old.merging = False
        for part in old.parts():
            if part.first_row + part.size > rows:
                for row in range(max(rows, part.first_row), part.first_row + part.size):
                    if old.ids[row]:
                        new.append(old.ids[row], part.vectors()[row - part.first_row])
        new.labels = old.labels
        new.dead = len(new.ids) - len(new.labels)  # forgotten meanwhile
        self._partitions[scope] = new

    def _without_dead(self, parts: tuple[Part, ...], ids: list[str]) -> _Partition:
        """A partition of these rows without the forgotten ones; runs in a thread, on what no longer changes."""
        new = _Partition(self._dimensions, self._segment_rows)
        keep = np.flatnonzero(np.array([bool(each) for each in ids]))
        if len(keep):
            rows = np.concatenate([part.vectors() for part in parts])[keep]
            new.sealed = (FaissSegment([Rows(0, rows)]),)
            new.ids = [each for each in ids if each]
            new.tail = Block(len(new.ids), self._segment_rows, self._dimensions)
        return new

    async def _merge(self, partition: _Partition) -> None:
        """Merge whatever is due, one group after the other; the partition goes on growing meanwhile."""
        loop = asyncio.get_running_loop()
        try:
            while group := partition.due():
                merged = await loop.run_in_executor(self._merger, FaissSegment, group)
                partition.swap(group, merged)
        finally:
            partition.merging = False


def _nearest(parts: tuple[Part, ...], vector: NDArray[np.float32], k: int) -> list[tuple[float, int]]:
    """The k nearest (similarity, row) over all parts."""
    return joined([part.candidates(vector, k) for part in parts], k)
