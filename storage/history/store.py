"""The History in SQL: SQLite on one machine, PostgreSQL for several.

The law of this file: it opens transactions and joins the parts: `rows` says what is kept, `statements` how it is
asked for, `writer` when it is committed, `story` how it is told. Errors of the drivers leave as ours (`faults`).
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from router.domain import Caller
from router.errors import ConfigError, GearboxError
from router.ports import Feedback
from storage.engine import create_engine, shown, writing
from storage.faults import RowRefused, cause, guard
from storage.history import clean, statements
from storage.history.additions import add_once
from storage.history.labels import by_model, resolved
from storage.history.pasts import past
from storage.history.questions import every, with_labels
from storage.history.rows import Rows, late_rows_of, rows_of, turn_names, turn_of
from storage.history.story import story
from storage.history.writer import GROUP_LIMIT, GroupWriter
from storage.journal.entries import LateVerdict, opinion
from storage.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from router.domain import Afterwards, Label, Outcome
    from router.margins_state import Past
    from router.ports import StoredQuestion, StoredTurn
    from storage.history.call_rows import Row
    from storage.journal.entries import Entry, LateCost, Opinion

QUESTIONS_PER_BATCH = 1_000


class SqlHistory:
    """What happened, durably. Made by `open`; belongs to the event loop it was opened on.

    Args:
        engine: from `storage.engine.create_engine`; closed by `aclose`. `prepare` comes before anything else.
        group_limit: the most outcomes in one transaction.
        batch: questions per batch when the index is loaded.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        group_limit: int = GROUP_LIMIT,
        batch: int = QUESTIONS_PER_BATCH,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.engine = engine
        self._batch = batch
        self._clock = clock
        self._prepared = False
        self._writer: GroupWriter[Entry] = GroupWriter(self._commit, group_limit)

    @classmethod
    async def open(cls, url: str, **options: Any) -> SqlHistory:
        """Connect, bring the tables up to date, start the writer.

        Args:
            url: `sqlite+aiosqlite:///file` or `postgresql+asyncpg://…`.
            options: as for the class.

        Raises:
            ConfigError: the URL is none of these, or its directory does not exist.
            StoreUnavailable: the database cannot be reached.
        """
        history = cls(create_engine(url), **options)
        try:
            await history.prepare()
        except BaseException:
            await history.aclose()
            raise
        return history

    async def prepare(self) -> None:
        """Bring the tables up to date; nothing is left to do after the first time.

        Raises:
            StoreUnavailable: the database cannot be reached.
            ConfigError: it can, and is none (a SQLite file that holds something else).
        """
        if self._prepared:
            return
        try:
            with guard(f"opening {shown(self.engine)}"):
                await migrate(self.engine)
        except DatabaseError as error:
            raise ConfigError(f"{shown(self.engine)} cannot be used: {cause(error)}") from error
        self._prepared = True

    @property
    def backlog(self) -> int:
        """How many outcomes wait to be written."""
        return self._writer.backlog

    async def record(self, outcome: Outcome) -> None:
        """Store the outcome; returns once it is durable. A second outcome of the same id changes nothing.

        Raises:
            StoreUnavailable: the database is away; the outcome is not stored.
            RowRefused: the database takes no such row; others of its group are stored.
        """
        rows = rows_of(outcome)
        try:
            await self._writer.put(rows)
        except GearboxError:
            raise
        except Exception as error:
            raise RowRefused(f"the outcome of {rows.id} cannot be stored: {cause(error)}") from error

    async def questions(self, embedding_model: str) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question of this embedding model and every team, oldest first, in batches."""
        after: tuple[datetime, str] | None = None
        while rows := await self._question_rows(embedding_model, after):
            yield await with_labels(self.engine, rows)
            after = (rows[-1]["created_at"], rows[-1]["id"])

    async def pasts(self, policies: Sequence[str], newest: int) -> AsyncIterator[Sequence[tuple[str, Past]]]:
        """(team, past) of the newest finished requests of these policies, the oldest of them first, in batches."""
        after = await self._older_than(policies, newest)
        while rows := await self._policy_rows(policies, after):
            yield await self._as_pasts(rows)
            after = (rows[-1]["created_at"], rows[-1]["id"])

    async def pasts_since(
        self, policies: Sequence[str], since: float, known: Callable[[str], bool]
    ) -> Sequence[tuple[str, Past]]:
        """(team, past) of those that began since then and whose ids are not known."""
        with guard("following margins"):
            async with self.engine.begin() as connection:
                ids = await connection.execute(statements.ids_of_policies(policies, datetime.fromtimestamp(since, UTC)))
                new = [id_ for id_ in ids.scalars() if not known(id_)][: self._batch]
                heads = await every(connection, statements.heads_of(new)) if new else []
        return await self._as_pasts(heads) if heads else []

    async def answered(self, limit: int) -> Sequence[Row]:
        """The latest kept answers with their questions: id, question, model, answer and tokens."""
        with guard("reading answers"):
            async with self.engine.begin() as connection:
                return await every(connection, statements.answered(limit))

    async def decision(self, id: str, caller: Caller) -> Mapping[str, Any] | None:  # noqa: A002 - the row's id
        """One request's whole story as JSON; None where this caller has no such request."""
        with guard("reading a decision"):
            async with self.engine.begin() as connection:
                found = await every(connection, statements.inference_of(id, caller))
                if not found:
                    return None
                attempts = await every(connection, statements.attempts_of(found[0]["id"]))
                labels = await every(connection, statements.labels_of([found[0]["id"]]))
        return story(found[0], attempts, labels)

    async def feedback(self, id: str, caller: Caller, label: float, by: str, note: str) -> Feedback | None:  # noqa: A002 - the row's id
        """A real label (0..1) for the model that answered; the question's labels now.

        None where this caller has no such request, or where no answer was served.
        """
        return await self.feedback_once(opinion(id, caller, label, by, note, self._now()))

    async def feedback_once(self, entry: Opinion) -> Feedback | None:
        """The same, noted as this addition: whoever replays it afterwards changes nothing."""
        with guard("storing feedback"):
            async with writing(self.engine).begin() as connection:
                if not await add_once(connection, entry, self._now()):
                    return None
                (found,) = await every(connection, statements.inference_of(entry.id, Caller(admin=True)))
                return Feedback(found["team"], resolved(await every(connection, statements.labels_of([found["id"]]))))

    async def late_cost(self, id: str, nanousd: int) -> bool:  # noqa: A002 - the row's id
        """Add what was spent for a request after its answer; False where the id is unknown."""
        with guard("adding a late cost"):
            async with writing(self.engine).begin() as connection:
                result = await connection.execute(statements.add_late_cost(id, nanousd))
        return result.rowcount > 0

    async def late_cost_once(self, entry: LateCost) -> bool:
        """Add a late cost unless this addition was made before; False where the id is unknown."""
        with guard("adding a late cost"):
            async with writing(self.engine).begin() as connection:
                return await add_once(connection, entry, self._now())

    async def replay(self, entries: Sequence[Entry]) -> None:
        """Apply what a journal kept, in its order; what was applied before changes nothing.

        It goes through the same queue as new outcomes, so that the two never wait for each other's locks.

        Raises:
            StoreUnavailable: the database is away; some may be applied.
            RowRefused: one of these the database never takes; the others are applied.
        """
        ended = await asyncio.gather(*map(self._writer.put, entries), return_exceptions=True)
        errors = [each for each in ended if each is not None]
        for error in errors:
            if isinstance(error, GearboxError):
                raise error
        for error in errors:
            raise RowRefused(f"a journalled entry cannot be stored: {cause(error)}") from error

    async def late(self, late: Afterwards) -> Sequence[Label] | None:
        """Store a verdict that came after the answer; the question's labels now, None where the id is unknown."""
        return await self.late_once(LateVerdict(uuid.uuid4().hex, late_rows_of(late, self._now())))

    async def late_once(self, entry: LateVerdict) -> Sequence[Label] | None:
        """The same, noted as this addition: whoever replays it afterwards changes nothing."""
        with guard("storing a late verdict"):
            async with writing(self.engine).begin() as connection:
                if not await add_once(connection, entry, self._now()):
                    return None
                return resolved(await every(connection, statements.labels_of([entry.id])))

    async def turns(self, since: float) -> Sequence[StoredTurn]:
        """The last answered turn of each conversation that was active since then."""
        with guard("loading conversations"):
            async with self.engine.begin() as connection:
                rows = await every(connection, statements.turns_since(datetime.fromtimestamp(since, UTC)))
        return tuple({(row["key_id"], row["session"]): turn_of(row) for row in rows}.values())

    async def turn(self, key_id: str, session: str | None, calls: Sequence[str], since: float) -> StoredTurn | None:
        """The last answered turn since then of this key's session, or that made any of these tool calls."""
        names, after = turn_names(session, calls), datetime.fromtimestamp(since, UTC)
        asked = statements.turn_named(clean.text(key_id), names, after)
        with guard("looking for a conversation"):
            async with self.engine.begin() as connection:
                found = await every(connection, asked)
        return turn_of(found[0]) if found else None

    async def ping(self) -> None:
        """Raise StoreUnavailable where the store is away."""
        with guard(f"pinging {shown(self.engine)}"):
            async with self.engine.connect() as connection:
                await connection.execute(text("SELECT 1"))

    async def aclose(self) -> None:
        """Write what is queued and close."""
        await self._writer.aclose()
        await self.engine.dispose()

    async def _commit(self, group: Sequence[Entry]) -> None:
        with guard("storing outcomes"):
            async with writing(self.engine).begin() as connection:
                await statements.insert_new(connection, [each for each in group if isinstance(each, Rows)])
                for each in group:
                    if not isinstance(each, Rows):
                        await add_once(connection, each, self._now())

    async def _question_rows(self, embedding_model: str, after: tuple[datetime, str] | None) -> list[Row]:
        with guard("loading questions"):
            async with self.engine.begin() as connection:
                return await every(connection, statements.questions_after(embedding_model, after, self._batch))

    async def _policy_rows(self, policies: Sequence[str], after: tuple[datetime, str] | None) -> list[Row]:
        with guard("loading margins"):
            async with self.engine.begin() as connection:
                return await every(connection, statements.of_policies_after(policies, after, self._batch))

    async def _older_than(self, policies: Sequence[str], newest: int) -> tuple[datetime, str] | None:
        """The place before the newest so many requests; None where there are no more."""
        with guard("loading margins"):
            async with self.engine.begin() as connection:
                found = (await connection.execute(statements.place_before(policies, newest))).first()
        return None if found is None else (found.created_at, found.id)

    async def _as_pasts(self, heads: list[Row]) -> list[tuple[str, Past]]:
        ids = [head["id"] for head in heads]
        with guard("loading margins"):
            async with self.engine.begin() as connection:
                calls = _grouped(ids, await every(connection, statements.calls_of(ids)))
                labels = _grouped(ids, await every(connection, statements.labels_of(ids)))
        return [(head["team"], past(head, calls[head["id"]], by_model(labels[head["id"]]))) for head in heads]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _grouped(ids: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {id_: [] for id_ in ids}
    for row in rows:
        found[row["inference_id"]].append(row)
    return found
