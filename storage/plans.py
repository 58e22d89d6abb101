"""Every statement that runs often or over many rows, and the indexes that answer it.

The law of this file: a list, what makes a table of any size for it, and how a database is asked for its plan; a test
holds the indexes true on a small table, `scripts/query-plans` shows plans and times on a large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import text

from router.domain import Caller
from storage.history import pgvector, retention, statements
from storage.history.feed import filled, following
from storage.reports import spend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Executable
    from sqlalchemy.ext.asyncio import AsyncConnection

#: The generated table's own: its embedding model, the end of its year, how many keys, teams and values of the tag.
MODEL = "all-MiniLM-L6-v2"
END = datetime(2026, 1, 1, tzinfo=UTC)
KEYS, TEAMS, TAGS, SESSIONS = 200, 20, 50, 1000


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, and which index must answer it; on PostgreSQL and SQLite primary keys have other names."""

    name: str
    statement: Executable
    indexes: tuple[str, ...]


def questions() -> Iterator[Question]:
    """All of them, against the generated table."""
    day, month = (END - timedelta(days=1), END), (END - timedelta(days=30), END)
    one, few = "r-000000100", [f"r-{n:09}" for n in range(100, 110)]
    primary = ("pk_inference", "sqlite_autoindex_inference_1")
    yield Question("decision: the request", statements.inference_of(one, Caller(team="team-0")), primary)
    yield Question("decision: its calls", statements.attempts_of(one), ("pk_attempt", "sqlite_autoindex_attempt_1"))
    yield Question("decision: its labels", statements.labels_of([one]), ("ix_label_inference_id",))
    yield Question(
        "conversation: its last turn", statements.turn_named("key-7", ["session:s-7"], day[0]), ("ix_turn_name",)
    )
    yield Question("late cost", statements.add_late_cost(one, 1), primary)
    yield Question("feed: new labels", following(10**12), ("pk_label", "PRIMARY KEY"))
    yield Question("feed: late labels", filled([7, 9]), ("pk_label", "PRIMARY KEY"))
    yield Question("feed: their questions", statements.questions_of(MODEL, few), primary)
    yield Question(
        "index: a page", statements.questions_after(MODEL, (month[0], one), 1000), ("ix_inference_embedding",)
    )
    page = statements.of_policies_after(["two-tier"], (month[0], one), 1000)
    yield Question("margins: a page", page, ("ix_inference_policy",))
    older = statements.place_before(["two-tier"], 50_000)
    yield Question("margins: where to begin", older, ("ix_inference_policy",))
    recent = statements.ids_of_policies(["two-tier"], END - timedelta(minutes=3))
    yield Question("margins: what is new", recent, ("ix_inference_policy",))
    yield Question("margins: whose they are", statements.heads_of(few), primary)
    yield Question("sum: a key's day", spend.of_key("key-7", *day), ("ix_inference_key_spend",))
    yield Question("sum: a key's month", spend.of_key("key-7", *month), ("ix_inference_key_spend",))
    yield Question("sum: a team's day", spend.of_team("team-3", *day), ("ix_inference_team_spend",))
    yield Question("sum: a tag's day", spend.of_tag("app", "app-5", *day), ("ix_tag_name",))
    # PostgreSQL 18 skips over the few policies, models or nulls that stand before the time in these.
    by_time = ("ix_inference_text", "ix_inference_embedding", "ix_inference_policy")
    yield Question("sum: everyone's day", spend.by_day(*day), ("ix_inference_spend", *by_time))
    yield Question("retention: old rows", retention.oldest(END - timedelta(days=400), 200), ("ix_inference_spend",))
    yield Question("retention: old text", retention.oldest_text(month[0], 200), ("ix_inference_text",))


def nearest(model: str, dimensions: int) -> Iterator[Question]:
    """The search on the request's path in the index that replicas share, for a team's and for everybody's questions."""
    table = pgvector.table_of(model, dimensions)
    near = "[" + ",".join(f"{(7 * place) % 13 - 6}" for place in range(dimensions)) + "]"
    for scope in ("team-3", "everyone"):
        statement = pgvector.nearest(table).bindparams(scope=scope, near=near, k=5)
        yield Question(f"index: the nearest of {scope}", statement, (f"{table}_hnsw",))


def fault_of(plan: Sequence[str], question: Question) -> str | None:
    """What is wrong with a plan: another index than its own, or a whole table that is read."""
    if not any(index in line for line in plan for index in question.indexes):
        return f"NOT ANSWERED BY {question.indexes[0]}"
    whole = [line for line in plan if "Seq Scan" in line or (line.startswith("SCAN") and "INDEX" not in line)]
    return f"READS A WHOLE TABLE: {whole[0].strip()}" if whole else None


def vectors_of(table: str, dimensions: int) -> str:
    """Random vectors for the index that replicas share: half of them everybody's, half in twenty teams."""
    one = f"CAST(ARRAY(SELECT random() - 0.5 + 0 * n FROM generate_series(1, {dimensions})) AS vector)"  # noqa: S608
    return (
        f"INSERT INTO {table} (scope, id, vector, labels) SELECT "  # noqa: S608 - our own name
        f"CASE WHEN n % 2 = 0 THEN 'everyone' ELSE 'team-' || n % {TEAMS} END, 'r-' || n, {one}, "
        """'{"model": 1.0}' FROM generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS s(n)"""
    )


async def explained(connection: AsyncConnection, statement: Executable, *, analyze: bool = False) -> list[str]:
    """The plan's lines; `analyze` runs it on PostgreSQL and tells times, so undo what it did."""
    compiled = statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True})  # type: ignore[attr-defined]
    sqlite = connection.dialect.name == "sqlite"
    words = "EXPLAIN QUERY PLAN" if sqlite else f"EXPLAIN {'(ANALYZE, BUFFERS)' if analyze else ''}"
    rows = (await connection.exec_driver_sql(f"{words} {compiled}")).all()
    return [str(row[-1]) for row in rows]


async def fill(connection: AsyncConnection, rows: int, first: int = 0, *, embedding_bytes: int = 1536) -> None:
    """Add so many requests from number `first` on, over a year, with two calls, a label, a tag and a turn each."""
    sqlite = connection.dialect.name == "sqlite"
    values = {"first": first, "last": first + rows - 1}
    for statement in _sqlite(embedding_bytes) if sqlite else _postgresql(embedding_bytes):
        await connection.execute(text(statement), values)


_COLUMNS = (
    "id, created_at, key_id, team, tags, policy, settings, asked_model, stored, question_hash, question, embedding, "
    "embedding_model, evidence, start_tier, served_tier, served_model, why, cost_nanousd, late_cost_nanousd, "
    "baseline_nanousd, latency_s, overhead_s, client"
)
_CALLS = "inference_id, position, rung, purpose, tier, deployment, model, cost_nanousd, cost_source, latency_s, dropped"
_LABELS = "inference_id, tier, model, correct, source, weight, given_by, note, created_at"
_TURNS = "inference_id, name, key_id, created_at"
_CONSTANT = (
    "'{{}}', 'small', 'small', 'model', 'a judge said so', 1000000 + n % 977, 0, 4000000, 1.5, 0.004, 'answered'"
)


def _sqlite(embedding_bytes: int) -> Iterator[str]:
    yield from _statements(
        "WITH RECURSIVE s(n) AS (SELECT :first UNION ALL SELECT n + 1 FROM s WHERE n < :last)",
        "s",
        "printf('r-%09d', n)",
        "strftime('%Y-%m-%d %H:%M:%f', '2025-01-01', '+' || (n * 7919 % 31536000) || ' seconds') || '000'",
        f"randomblob({embedding_bytes})" if embedding_bytes else "NULL",
        "'{\"app\": \"app-' || n % 50 || '\"}'",
        "lower(hex(randomblob(32)))",
    )


def _postgresql(embedding_bytes: int) -> Iterator[str]:
    yield from _statements(
        "",
        "generate_series(CAST(:first AS bigint), CAST(:last AS bigint)) AS s(n)",
        "'r-' || lpad(CAST(n AS text), 9, '0')",
        "TIMESTAMPTZ '2025-01-01 00:00:00+00' + (n * 7919 % 31536000) * INTERVAL '1 second'",
        f"decode(repeat(md5(CAST(n AS text)), {embedding_bytes // 16}), 'hex')" if embedding_bytes else "NULL",
        "jsonb_build_object('app', 'app-' || n % 50)",
        "md5(CAST(n AS text)) || md5(CAST(n AS text))",
    )


def _statements(before: str, source: str, id_: str, at: str, vector: str, tags: str, digest: str) -> Iterator[str]:
    """The same on both; everything in them is ours."""
    model = f"'{MODEL}'" if vector != "NULL" else "NULL"
    constant = _CONSTANT.format()
    request = (
        f"{id_}, {at}, 'key-' || n % {KEYS}, 'team-' || n % {TEAMS}, {tags}, 'auto', '{{}}', 'gpt-4o', true, "
        f"{digest}, 'What is ' || n || ' times seven, and why?', {vector}, {model}, {constant}"
    )
    for table, columns, chosen in (
        ("inference", _COLUMNS, request),
        ("attempt", _CALLS, f"{id_}, 0, 0, 'generate', 'small', 'small-0', 'model', 900000, 'usage', 1.2, '[]'"),
        ("attempt", _CALLS, f"{id_}, 1, 0, 'judge', 'large', 'large-0', 'judge', 100000, 'usage', 0.3, '[]'"),
        ("label", _LABELS, f"{id_}, 'small', 'model', 1.0, 'judge', 1.0, '', '', {at}"),
        ("tag", "inference_id, name, value, created_at", f"{id_}, 'app', 'app-' || n % {TAGS}, {at}"),
        ("turn", _TURNS, f"{id_}, 'session:s-' || n % {SESSIONS}, 'key-' || n % {KEYS}, {at}"),
    ):
        yield f"INSERT INTO {table} ({columns}) {before} SELECT {chosen} FROM {source}"  # noqa: S608 - constants
