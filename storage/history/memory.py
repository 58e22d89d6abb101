"""The History in memory: the same rows, the same stories, nothing on disk.

The law of this file: it shares `rows`, `labels` and `story` with the SQL History, so that the two cannot tell a
request differently. It grows with every request and forgets all at the end: for tests, trials and dry runs.
"""

from __future__ import annotations

import itertools
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from router.domain import Caller, LabelSource, Purpose
from router.errors import StoreUnavailable
from router.ports import Feedback, StoredQuestion, StoredTurn
from storage.history import clean
from storage.history.labels import by_model, resolved
from storage.history.pasts import past
from storage.history.rows import bare_id, feedback_row, late_rows_of, rows_of, shifted, turn_names, turn_of, unpacked
from storage.history.story import story
from storage.journal.entries import LateCost, LateVerdict, Opinion, opinion

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from router.domain import Afterwards, Label, Outcome
    from router.margins_state import Past
    from storage.history.call_rows import Row
    from storage.history.rows import Rows
    from storage.journal.entries import Entry

QUESTIONS_PER_BATCH = 1_000


class MemoryHistory:
    """What happened since this object was made.

    Args:
        batch: questions per batch.
        clock: seconds since the epoch.
    """

    def __init__(self, *, batch: int = QUESTIONS_PER_BATCH, clock: Callable[[], float] = time.time) -> None:
        self._batch = batch
        self._clock = clock
        self._rows: dict[str, Rows] = {}
        self._labels: dict[str, list[Row]] = {}
        self._label_ids = itertools.count(1)
        self._applied: set[str] = set()
        self._closed = False

    @property
    def backlog(self) -> int:
        """Nothing ever waits here."""
        return 0

    async def record(self, outcome: Outcome) -> None:
        """Keep the outcome. A second outcome of the same id changes nothing."""
        await self.ping()
        self._keep(rows_of(outcome))

    async def prepare(self) -> None:
        """Nothing to prepare."""

    async def replay(self, entries: Sequence[Entry]) -> None:
        """Apply what a journal kept; what was applied before changes nothing."""
        await self.ping()
        for entry in entries:
            match entry:
                case LateCost():
                    await self.late_cost_once(entry)
                case LateVerdict():
                    await self.late_once(entry)
                case Opinion():
                    await self.feedback_once(entry)
                case _:
                    self._keep(entry)

    async def late_cost_once(self, entry: LateCost) -> bool:
        """Add a late cost unless this addition was made before; False where the id is unknown."""
        return not self._first(entry.op) or await self.late_cost(entry.id, entry.nanousd)

    async def questions(self, embedding_model: str) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every question of this embedding model and every team, oldest first, in batches."""
        found = [rows.inference for rows in self._rows.values() if _embedded(rows.inference, embedding_model)]
        found.sort(key=lambda row: (row["created_at"], row["id"]))
        for start in range(0, len(found), self._batch):
            yield [self._question(row) for row in found[start : start + self._batch]]

    async def pasts(self, policies: Sequence[str], newest: int) -> AsyncIterator[Sequence[tuple[str, Past]]]:
        """(team, past) of the newest finished requests of these policies, the oldest of them first, in batches."""
        found = self._of_policies(policies)[-newest:]
        for start in range(0, len(found), self._batch):
            yield [self._past(rows) for rows in found[start : start + self._batch]]

    async def pasts_since(
        self, policies: Sequence[str], since: float, known: Callable[[str], bool]
    ) -> Sequence[tuple[str, Past]]:
        """(team, past) of those that began since then and whose ids are not known."""
        found = [rows for rows in self._of_policies(policies) if rows.inference["created_at"].timestamp() >= since]
        return [self._past(rows) for rows in found if not known(rows.id)]

    async def decision(self, id: str, caller: Caller) -> Mapping[str, Any] | None:  # noqa: A002 - the row's id
        """One request's whole story as JSON; None where this caller has no such request."""
        rows = self._visible(id, caller)
        return None if rows is None else story(rows.inference, rows.attempts, self._labels[rows.id])

    async def feedback(self, id: str, caller: Caller, label: float, by: str, note: str) -> Feedback | None:  # noqa: A002 - the row's id
        """A real label (0..1) for the model that answered; the question's labels now, None where there is none."""
        return await self.feedback_once(opinion(id, caller, label, by, note, self._now()))

    async def feedback_once(self, entry: Opinion) -> Feedback | None:
        """The same, unless this addition was made before."""
        rows = self._visible(entry.id, Caller(team=entry.team or "", admin=entry.team is None))
        if rows is None or rows.inference["served_tier"] is None:
            return None
        if self._first(entry.op):
            row = feedback_row(rows.inference, entry.correct, entry.by, entry.note, entry.created_at)
            self._labels[rows.id].append(self._numbered(row))
        return Feedback(rows.inference["team"], resolved(self._labels[rows.id]))

    async def late_cost(self, id: str, nanousd: int) -> bool:  # noqa: A002 - the row's id
        """Add what was spent for a request after its answer; False where the id is unknown."""
        rows = self._rows.get(bare_id(id))
        if rows is None:
            return False
        rows.inference["late_cost_nanousd"] += nanousd
        return True

    @property
    def newest_label(self) -> int:
        """The newest label's id; 0 = there is none."""
        return max((row["id"] for rows in self._labels.values() for row in rows), default=0)

    def labelled_after(self, label_id: int, embedding_model: str) -> list[StoredQuestion]:
        """The questions of an embedding model that have a label newer than this one."""
        newer = [id_ for id_, rows in self._labels.items() if any(row["id"] > label_id for row in rows)]
        found = [self._rows[id_].inference for id_ in newer]
        return [self._question(row) for row in found if _embedded(row, embedding_model)]

    def holds(self, id: str) -> bool:  # noqa: A002 - the row's id
        """Whether an embedded question of this id is here."""
        return id in self._rows and self._rows[id].inference["embedding"] is not None

    async def late(self, late: Afterwards) -> Sequence[Label] | None:
        """Keep a verdict that came after the answer; the question's labels now, None where the id is unknown."""
        return await self.late_once(LateVerdict(uuid.uuid4().hex, late_rows_of(late, self._now())))

    async def late_once(self, entry: LateVerdict) -> Sequence[Label] | None:
        """The same, unless this addition was made before."""
        rows, more = self._rows.get(entry.id), entry.rows
        if rows is None:
            return None
        if self._first(entry.op):
            rows.inference["late_cost_nanousd"] += more.cost_nanousd
            rows.inference["evidence"] = {**rows.inference["evidence"], "late": more.verdict}
            attempts = (*rows.attempts, *shifted(more.attempts, len(rows.attempts)))
            self._rows[rows.id] = replace(rows, attempts=attempts)
            self._labels[rows.id] += [self._numbered(row) for row in more.labels]
        return resolved(self._labels[rows.id])

    async def turns(self, since: float) -> Sequence[StoredTurn]:
        """The last answered turn of each conversation that was active since then."""
        found = [rows for rows in self._rows.values() if _is_turn(rows.inference, since)]
        found.sort(key=lambda rows: (rows.inference["created_at"], rows.id))
        last = {(rows.inference["key_id"], rows.inference["session"]): rows for rows in found}
        return tuple(self._turn(rows) for rows in last.values())

    async def turn(self, key_id: str, session: str | None, calls: Sequence[str], since: float) -> StoredTurn | None:
        """The last answered turn since then of this key's session, or that made any of these tool calls."""
        names = set(turn_names(session, calls))
        found = [
            rows
            for rows in self._rows.values()
            for each in rows.turns
            if (each["key_id"], each["name"] in names) == (clean.text(key_id), True)
            and each["created_at"].timestamp() >= since
        ]
        last = max(found, key=lambda rows: rows.inference["created_at"], default=None)
        return None if last is None else self._turn(last)

    async def ping(self) -> None:
        """Raise StoreUnavailable once closed."""
        if self._closed:
            raise StoreUnavailable("the store is closed: nothing can be recorded any more")

    async def aclose(self) -> None:
        """Take no more outcomes."""
        self._closed = True

    def _first(self, op: str) -> bool:
        """Whether this addition was not made before; from now on it was."""
        first = op not in self._applied
        self._applied.add(op)
        return first

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _keep(self, rows: Rows) -> None:
        if rows.id not in self._rows:
            self._rows[rows.id] = rows
            self._labels[rows.id] = [self._numbered(row) for row in rows.labels]

    def _visible(self, id: str, caller: Caller) -> Rows | None:  # noqa: A002 - the row's id
        rows = self._rows.get(bare_id(id))
        if rows is None or not (caller.admin or rows.inference["team"] == clean.text(caller.team)):
            return None
        return rows

    def _of_policies(self, policies: Sequence[str]) -> list[Rows]:
        """These policies' requests, the oldest first."""
        found = [rows for rows in self._rows.values() if rows.inference["policy"] in policies]
        return sorted(found, key=lambda rows: (rows.inference["created_at"], rows.id))

    def _question(self, row: Row) -> StoredQuestion:
        return StoredQuestion(row["id"], row["team"], unpacked(row["embedding"]), by_model(self._labels[row["id"]]))

    def _past(self, rows: Rows) -> tuple[str, Past]:
        labels = by_model(self._labels[rows.id])
        return rows.inference["team"], past(rows.inference, rows.attempts, labels)

    def _turn(self, rows: Rows) -> StoredTurn:
        said = [row["correct"] for row in self._labels[rows.id] if row["source"] == LabelSource.FEEDBACK.value]
        return turn_of({**rows.inference, "verdict": _served_verdict(rows), "feedback": said[-1] if said else None})

    def _numbered(self, row: Row) -> Row:
        return {"id": next(self._label_ids), **row}


def _embedded(row: Row, embedding_model: str) -> bool:
    return row["embedding"] is not None and row["embedding_model"] == embedding_model


class MemoryFeed:
    """The port `Feed` over a MemoryHistory.

    Args:
        history: the store.
        embedding_model: whose questions.
    """

    def __init__(self, history: MemoryHistory, embedding_model: str) -> None:
        self._history = history
        self._model = embedding_model
        self._seen = 0

    async def begin(self) -> None:
        """From now on `changed` tells what is labelled."""
        self._seen = self._history.newest_label

    def questions(self) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question, oldest first, in batches."""
        return self._history.questions(self._model)

    async def changed(self) -> Sequence[StoredQuestion]:
        """Questions labelled since the last call, with their labels of now; empty = no more yet."""
        seen, self._seen = self._seen, self._history.newest_label
        return self._history.labelled_after(seen, self._model)

    async def gone(self, ids: Sequence[str]) -> Sequence[str]:
        """Nothing ever goes from here but what never was."""
        return [each for each in ids if not self._history.holds(each)]


def _is_turn(row: Row, since: float) -> bool:
    answered = row["session"] is not None and row["served_tier"] is not None
    return answered and row["created_at"].timestamp() >= since


def _served_verdict(rows: Rows) -> str | None:
    served = [
        row["verdict"]
        for row in rows.attempts
        if row["tier"] == rows.inference["served_tier"] and row["purpose"] == Purpose.GENERATE.value
    ]
    return served[-1] if served else None
