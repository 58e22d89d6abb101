"""The SQL of the store, as SQLAlchemy statements.

The law of this file: it builds statements and inserts groups on a connection it is given; it opens, commits and
decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, insert, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from router.domain import LabelSource, Purpose
from storage.history import clean
from storage.history.rows import bare_id
from storage.schema import attempt, inference, label, tag, turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import Select, Table, Update
    from sqlalchemy.ext.asyncio import AsyncConnection

    from router.domain import Caller
    from storage.history.rows import Rows


async def insert_new(connection: AsyncConnection, group: Sequence[Rows]) -> None:
    """Insert a group; an id that is known already, here or elsewhere in the group, changes nothing.

    Sorted by id, so that two processes that replay the same ids lock them in the same order and cannot deadlock.
    """
    by_id = {rows.id: rows for rows in reversed(group)}
    heads = [by_id[id_].inference for id_ in sorted(by_id)]
    if not heads:
        return
    statement = insert_or_not(connection, inference).returning(inference.c.id)
    new = [by_id[id_] for id_ in (await connection.execute(statement, heads)).scalars()]
    for table, children in (
        (attempt, [row for rows in new for row in rows.attempts]),
        (label, [row for rows in new for row in rows.labels]),
        (tag, [row for rows in new for row in rows.tags]),
        (turn, [row for rows in new for row in rows.turns]),
    ):
        if children:
            await connection.execute(insert(table), children)


def inference_of(id: str, caller: Caller) -> Select[Any]:  # noqa: A002 - the row's id
    """One request, if this caller may see it: its own team's, or any for an admin. Without the embedding."""
    columns = [column for column in inference.c if column.name != "embedding"]
    statement = select(*columns).where(inference.c.id == bare_id(id))
    return statement if caller.admin else statement.where(inference.c.team == clean.text(caller.team))


def questions_of(embedding_model: str, ids: Sequence[str]) -> Select[Any]:
    """Those of these requests that an index of this embedding model may hold.

    `coalesce` keeps SQLite from its index by embedding model, which holds nearly every row.
    """
    return select(inference.c.id, inference.c.team, inference.c.created_at, inference.c.embedding).where(
        inference.c.id.in_(ids),
        func.coalesce(inference.c.embedding_model, "") == embedding_model,
        inference.c.embedding.is_not(None),
    )


def attempts_of(id: str) -> Select[Any]:  # noqa: A002 - the row's id
    """One request's calls in the order they were made."""
    return select(attempt).where(attempt.c.inference_id == id).order_by(attempt.c.position)


def labels_of(ids: Sequence[str]) -> Select[Any]:
    """These requests' labels in the order they were given."""
    return select(label).where(label.c.inference_id.in_(ids)).order_by(label.c.id)


def questions_after(embedding_model: str, after: tuple[datetime, str] | None, limit: int) -> Select[Any]:
    """The next questions of an embedding model, oldest first.

    Keyset pages rather than one long cursor: an open read transaction would keep SQLite's log from being checkpointed.
    """
    place = tuple_(inference.c.created_at, inference.c.id)
    statement = select(inference.c.id, inference.c.team, inference.c.created_at, inference.c.embedding).where(
        inference.c.embedding_model == embedding_model, inference.c.embedding.is_not(None)
    )
    if after is not None:
        statement = statement.where(place > after)
    return statement.order_by(inference.c.created_at, inference.c.id).limit(limit)


#: What is read of a request before its calls.
_HEAD = (inference.c.id, inference.c.team, inference.c.created_at, inference.c.stored, inference.c.policy)


def of_policies_after(policies: Sequence[str], after: tuple[datetime, str] | None, limit: int) -> Select[Any]:
    """The next finished requests of some policies, oldest first: who asked, of which, and whether it may be learnt."""
    place = tuple_(inference.c.created_at, inference.c.id)
    statement = select(*_HEAD).where(inference.c.policy.in_(policies))
    if after is not None:
        statement = statement.where(place > after)
    return statement.order_by(inference.c.created_at, inference.c.id).limit(limit)


def place_before(policies: Sequence[str], newest: int) -> Select[Any]:
    """The request before the newest so many of these policies."""
    order = (inference.c.created_at.desc(), inference.c.id.desc())
    place = select(inference.c.created_at, inference.c.id).where(inference.c.policy.in_(policies))
    return place.order_by(*order).offset(newest).limit(1)


def ids_of_policies(policies: Sequence[str], since: datetime) -> Select[Any]:
    """The requests of these policies that began since then, from the index alone."""
    found = select(inference.c.id).where(inference.c.policy.in_(policies), inference.c.created_at >= since)
    return found.order_by(inference.c.created_at, inference.c.id)


def heads_of(ids: Sequence[str]) -> Select[Any]:
    """These requests, oldest first, as `of_policies_after` has them."""
    return select(*_HEAD).where(inference.c.id.in_(ids)).order_by(inference.c.created_at, inference.c.id)


def answered(limit: int) -> Select[Any]:
    """The latest answers whose question and text were kept, one row each."""
    columns = (inference.c.id, inference.c.question, attempt.c.model, attempt.c.answer)
    tokens = (attempt.c.prompt_tokens, attempt.c.completion_tokens)
    return (
        select(*columns, *tokens)
        .join(attempt, attempt.c.inference_id == inference.c.id)
        .where(attempt.c.purpose == Purpose.GENERATE.value, attempt.c.answer != "", inference.c.question != "")
        .order_by(inference.c.created_at.desc(), inference.c.id, attempt.c.position)
        .limit(limit)
    )


def calls_of(ids: Sequence[str]) -> Select[Any]:
    """These requests' calls in the order they were made, without the answers."""
    left_out = {"answer", "prices", "dropped", "error", "why", "reason"}
    columns = [column for column in attempt.c if column.name not in left_out]
    return select(*columns).where(attempt.c.inference_id.in_(ids)).order_by(attempt.c.inference_id, attempt.c.position)


def insert_or_not(connection: AsyncConnection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that changes nothing where the row is there."""
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def add_late_cost(id: str, nanousd: int) -> Update:  # noqa: A002 - the row's id
    """Add to what was spent after the answer; the database adds, so that two additions at once both count."""
    more = inference.c.late_cost_nanousd + nanousd
    return update(inference).where(inference.c.id == bare_id(id)).values(late_cost_nanousd=more)


def stored(id: str) -> Select[Any]:  # noqa: A002 - the row's id
    """One request's evidence, and how many calls it made."""
    calls = select(func.count()).select_from(attempt).where(attempt.c.inference_id == bare_id(id)).scalar_subquery()
    return select(inference.c.evidence, calls.label("calls")).where(inference.c.id == bare_id(id))


def turns_since(since: datetime) -> Select[Any]:
    """The answered turns of conversations, oldest first, each with the verdict of the answer that was served."""
    asked = _turns().where(inference.c.created_at >= since, inference.c.session.is_not(None))
    return asked.where(inference.c.served_tier.is_not(None)).order_by(inference.c.created_at, inference.c.id)


def turn_named(key_id: str, names: Sequence[str], since: datetime) -> Select[Any]:
    """The newest turn since then that this key's conversation knows by any of these names."""
    asked = _turns().join(turn, turn.c.inference_id == inference.c.id)
    named = asked.where(turn.c.key_id == key_id, turn.c.name.in_(names), turn.c.created_at >= since)
    return named.order_by(turn.c.created_at.desc()).limit(1)


def _turns() -> Select[Any]:
    """Turns, each with the verdict of the answer that was served, and what was last said of it."""
    verdict = (
        select(attempt.c.verdict)
        .where(
            attempt.c.inference_id == inference.c.id,
            attempt.c.tier == inference.c.served_tier,
            attempt.c.purpose == Purpose.GENERATE.value,
        )
        .order_by(attempt.c.position.desc())
        .limit(1)
        .scalar_subquery()
    )
    feedback = (
        select(label.c.correct)
        .where(label.c.inference_id == inference.c.id, label.c.source == LabelSource.FEEDBACK.value)
        .order_by(label.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    columns = (
        "id",
        "key_id",
        "session",
        "served_tier",
        "served_model",
        "prompt_tokens",
        "completion_tokens",
        "evidence",
    )
    told = (inference.c[name] for name in (*columns, "created_at", "latency_s"))
    return select(*told, verdict.label("verdict"), feedback.label("feedback"))
