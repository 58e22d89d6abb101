"""What changed in the database, whoever changed it: the port `Feed` over the ids of the table `label`.

The law of this file: it only reads. Whatever an index can learn is a new row of `label`, feedback included, and its id
grows with each; no clock is compared with another machine's.

PostgreSQL gives ids out before it commits, so a smaller id may appear after a larger one: the ids that are missing
between those seen (`holes`) are asked for again until they appear, or until HOLE_S have gone by, longer than any
transaction of ours can last (`engine.SERVER_LIMITS`); an id that was rolled back never appears. SQLite has one writer,
and its holes are never filled. `begin` goes OVERLAP ids back, for what is being committed at that moment.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from storage.faults import guard
from storage.history import statements
from storage.history.questions import every, with_labels
from storage.schema import inference, label

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy import Select

    from router.ports import StoredQuestion
    from storage.history.store import SqlHistory

OVERLAP = 1_000
HOLE_S = 120.0
#: More holes than this at a time are no transactions, but a sequence that was moved on.
MOST_HOLES = 10_000
LABELS_PER_CALL = 500


class SqlFeed:
    """The changes of one embedding model's questions, for one index.

    Args:
        history: the store; its engine is used, and its batches for `questions`.
        embedding_model: whose questions.
        clock: seconds, monotonic.
    """

    def __init__(
        self, history: SqlHistory, embedding_model: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._history = history
        self._engine = history.engine
        self._model = embedding_model
        self._clock = clock
        self._seen = 0
        self._holes: dict[int, float] = {}

    async def begin(self) -> None:
        """From now on `changed` tells what is labelled."""
        self._seen = max(await self._newest() - OVERLAP, 0)
        self._holes = {}

    def questions(self) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question, oldest first, in batches."""
        return self._history.questions(self._model)

    async def changed(self) -> Sequence[StoredQuestion]:
        """Questions labelled since the last call, with their labels of now; empty = no more yet."""
        while rows := await self._labels():
            ids = sorted({row["inference_id"] for row in rows})
            with guard("following the store"):
                async with self._engine.begin() as connection:
                    found = await every(connection, statements.questions_of(self._model, ids))
            told = await with_labels(self._engine, found) if found else []
            self._note([row["id"] for row in rows])
            if told:
                return told
        return ()

    async def gone(self, ids: Sequence[str]) -> Sequence[str]:
        """Those of these ids that have no row with an embedding any more."""
        kept = select(inference.c.id).where(inference.c.id.in_(ids), inference.c.embedding.is_not(None))
        with guard("looking for what is gone"):
            async with self._engine.begin() as connection:
                found = set((await connection.execute(kept)).scalars())
        return [each for each in ids if each not in found]

    async def _labels(self) -> list[dict[str, Any]]:
        """What is new, and what fills a hole; two statements, for SQLite reads the whole table for an OR of both."""
        holes = self._open_holes()
        with guard("following the store"):
            async with self._engine.begin() as connection:
                rows = await every(connection, filled(holes)) if holes else []
                rows += await every(connection, following(self._seen))
        if not rows and await self._newest() < self._seen:  # restored from a copy, or emptied: ids begin anew
            self._seen, self._holes = 0, {}
        return rows

    def _open_holes(self) -> list[int]:
        old = self._clock() - HOLE_S
        self._holes = {hole: since for hole, since in self._holes.items() if since > old}
        return list(self._holes)

    def _note(self, ids: list[int]) -> None:
        """Remember what has been told; done last, so that an error on the way tells it again."""
        now, told, newest = self._clock(), set(ids), max(self._seen, ids[-1])
        first = max(self._seen + 1, newest - MOST_HOLES)
        self._holes |= {missing: now for missing in range(first, newest) if missing not in told}
        for each in told & self._holes.keys():
            del self._holes[each]
        self._seen = newest

    async def _newest(self) -> int:
        with guard("following the store"):
            async with self._engine.begin() as connection:
                return int((await connection.execute(select(func.coalesce(func.max(label.c.id), 0)))).scalar_one())


def following(seen: int) -> Select[Any]:
    """The labels after this one."""
    return select(label.c.id, label.c.inference_id).where(label.c.id > seen).order_by(label.c.id).limit(LABELS_PER_CALL)


def filled(holes: Sequence[int]) -> Select[Any]:
    """Those of these labels that are there by now."""
    return select(label.c.id, label.c.inference_id).where(label.c.id.in_(holes)).order_by(label.c.id)
