"""Arithmetic on unit vectors: one similarity for all indexes, and a block that grows without copying.

The law of this file: numpy only, no ids, no labels, no scopes. A row is a question's place in its partition, in the
order of arrival, so a smaller row is an older question.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

#: Similarities are rounded to this many places: an embedding computed alone and the same one computed in a batch
#: differ by about 1e-7, and that noise must not decide which of two equal questions comes first.
PLACES = 6
#: How far below the k-th best a float32 similarity may lie and still be one of the k best once rounded.
MARGIN = 2e-6
#: How far a vector's length may be from 1 before it is refused.
UNIT_TOLERANCE = 1e-3


def similarities(rows: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float64]:
    """Cosine similarity of each row with the vector, in [-1, 1], rounded; rows (n, d), vector (d,) -> (n,).

    Summed in float64 row by row, so that equal vectors are equally similar wherever they are kept.
    """
    products = rows.astype(np.float64) * vector.astype(np.float64)
    found: NDArray[np.float64] = np.clip(products.sum(axis=1).round(PLACES), -1.0, 1.0)
    return found


def nearest(found: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> NDArray[np.intp]:
    """Places of the k most similar candidates, nearest first, the older one first where they are equal."""
    return np.lexsort((rows, -found))[:k]


def checked(vector: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """The vector as float32, shape (dimensions,).

    Raises:
        ValueError: another shape, or not of length 1 (NaN included).
    """
    vector = np.asarray(vector, dtype=np.float32)
    if vector.shape != (dimensions,):
        raise ValueError(f"this index holds vectors of shape ({dimensions},), not {vector.shape}: another model's?")
    length = float(np.linalg.norm(vector))
    if not abs(length - 1.0) <= UNIT_TOLERANCE:
        raise ValueError(f"this index holds unit vectors, and this one has length {length:.4g}: normalise it first")
    return vector


class Block:
    """Up to `capacity` rows in memory set aside at once: appending writes one row and moves none.

    Written rows never change, so a search that counted them before an append may go on reading in another thread.
    """

    def __init__(self, first_row: int, capacity: int, dimensions: int) -> None:
        self.first_row = first_row
        self.size = 0
        self._rows = np.empty((capacity, dimensions), dtype=np.float32)

    @property
    def full(self) -> bool:
        """Whether no row fits any more."""
        return self.size == len(self._rows)

    def append(self, vector: NDArray[np.float32]) -> None:
        """Write one row; it is counted once it is complete."""
        self._rows[self.size] = vector
        self.size += 1

    def vectors(self) -> NDArray[np.float32]:
        """The rows so far, a view of shape (size, d)."""
        return self._rows[: self.size]

    def frozen(self) -> Rows:
        """The rows so far, as a search sees them."""
        return Rows(self.first_row, self.vectors())


class Rows:
    """A run of rows that no longer changes, searched by one matrix product."""

    def __init__(self, first_row: int, rows: NDArray[np.float32]) -> None:
        self.first_row = first_row
        self.size = len(rows)
        self._rows = rows

    def vectors(self) -> NDArray[np.float32]:
        """All rows, shape (size, d)."""
        return self._rows

    def candidates(self, vector: NDArray[np.float32], k: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Similarities and rows of all that may be among the k nearest, in no particular order."""
        rows = np.arange(self.size, dtype=np.int64)
        if self.size > k:
            rough = self._rows @ vector
            rows = np.flatnonzero(rough >= np.partition(rough, -k)[-k] - MARGIN)
        return similarities(self._rows[rows], vector), rows + self.first_row


def joined(parts: Sequence[tuple[NDArray[np.float64], NDArray[np.int64]]], k: int) -> list[tuple[float, int]]:
    """The k nearest (similarity, row) over the candidates of all parts."""
    if not parts:
        return []
    found = np.concatenate([similarity for similarity, _ in parts])
    rows = np.concatenate([row for _, row in parts])
    return [(float(found[place]), int(rows[place])) for place in nearest(found, rows, k)]
