"""The nearest past questions in PostgreSQL itself, by pgvector's HNSW index: one `Neighbours` for all replicas.

The law of this file: its table is a copy of what `inference` and `label` hold, made where it is used and never
migrated: a PostgreSQL without the extension is none the poorer, and dropping the table costs one load. One table for
each embedding model, since a vector's length is part of its type.

Approximate by nature: HNSW finds nearly all of the k nearest (`hnsw.ef_search`); with the scope as a filter it goes on
until it has k (`hnsw.iterative_scan`). Similarities are computed again from the vectors, so that they are the same
numbers as the other indexes'. A database that is away or slow costs a request SEARCH_S once, and then nothing for
REST_S: it starts without evidence.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson
from sqlalchemy import text

from router.domain import Neighbour
from router.errors import ConfigError, StoreUnavailable
from router.vectors import checked, similarities
from storage.faults import cause, guard, is_away

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import TextClause
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from router.ports import StoredQuestion

SEARCH_S = 0.5
REST_S = 5.0
#: Seconds for which a scope's size is remembered.
SIZE_S = 10.0
EF_SEARCH = 100
_LOCK = int.from_bytes(b"gearbxv", "big")


class PgvectorNeighbours:
    """The port `Neighbours`. `prepare` comes first, or `load`, which begins with it; until then the index is away.

    Args:
        engine: the store's, on PostgreSQL; not closed here.
        model: the embedding model; each has a table of its own.
        dimensions: length of the vectors.
        clock: seconds, monotonic.

    Raises:
        ConfigError: no PostgreSQL.
    """

    def __init__(
        self, engine: AsyncEngine, model: str, dimensions: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if engine.dialect.name != "postgresql":
            raise ConfigError("index.kind: pgvector needs a PostgreSQL in store.url; write `index: {kind: faiss}`")
        self._engine = engine
        self._table = table_of(model, dimensions)
        self._prepared = False
        self._dimensions = dimensions
        self._clock = clock
        self._rest_until = 0.0
        self._sizes: dict[str, tuple[int, float]] = {}

    async def prepare(self) -> None:
        """Make the extension, the table and the index, where they are missing.

        Raises:
            ConfigError: this PostgreSQL has no pgvector.
            StoreUnavailable: it is away.
        """
        if self._prepared:
            return
        with guard("opening the index"):
            async with self._engine.begin() as connection:
                for limit in ("lock_timeout", "statement_timeout"):  # another replica may be doing the same
                    await connection.execute(text(f"SET LOCAL {limit} = 0"))
                await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
                await _extension(connection)
                for statement in _tables(self._table, self._dimensions):
                    await connection.execute(text(statement))
        self._prepared = True

    async def search(self, vector: NDArray[np.float32], k: int, scope: str) -> tuple[Neighbour, ...]:
        """The nearest first, the older one first where they are equal; at most k.

        Raises:
            StoreUnavailable: the database is away, slow, or was so a moment ago.
        """
        vector = checked(vector, self._dimensions)
        if k <= 0:
            return ()
        rows = await self._quick(nearest(self._table), {"scope": scope, "near": written(vector), "k": k})
        if not rows:
            return ()
        kept = np.array([orjson.loads(row["vector"]) for row in rows], dtype=np.float32)
        found = similarities(kept, vector)
        order = sorted(range(len(rows)), key=lambda place: (-found[place], rows[place]["row"]))
        return tuple(
            Neighbour(rows[place]["id"], float(found[place]), orjson.loads(rows[place]["labels"])) for place in order
        )

    async def add(self, id: str, vector: NDArray[np.float32], labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Add a question; one whose id is known keeps its vector and its age and gets the new labels."""
        await self._upsert([(id, checked(vector, self._dimensions), labels, scope)])

    async def relabel(self, id: str, labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the port's name
        """Replace a question's labels; an unknown id is ignored."""
        statement = f"UPDATE {self._table} SET labels = CAST(:labels AS jsonb) WHERE scope = :scope AND id = :id"  # noqa: S608 - our own name
        await self._do(statement, {"id": id, "scope": scope, "labels": _json(labels)})

    async def size(self, scope: str) -> int:
        """How many questions the scope holds; what others add is counted after SIZE_S."""
        known = self._sizes.get(scope)
        if known is not None and self._clock() < known[1]:
            return known[0]
        rows = await self._quick(
            text(f"SELECT count(*) AS n FROM {self._table} WHERE scope = :scope"),  # noqa: S608 - our own name
            {"scope": scope},
        )
        self._sizes[scope] = (rows[0]["n"], self._clock() + SIZE_S)
        return int(rows[0]["n"])

    async def load(self, batches: AsyncIterator[Sequence[StoredQuestion]], scope_of: Callable[[str], str]) -> int:
        """Take over what the store holds, unless that was done before for this way of scoping; how many were taken."""
        await self.prepare()
        way = "each" if scope_of("a") != scope_of("b") else "all"
        if await self._do(f"SELECT 1 FROM {self._table}_loaded WHERE way = :way", {"way": way}):  # noqa: S608 - our own name
            return 0
        taken = 0
        async for batch in batches:
            labelled = [each for each in batch if each.labels]
            rows = [
                (each.id, checked(each.vector, self._dimensions), each.labels, scope_of(each.team)) for each in labelled
            ]
            await self._upsert(rows)
            taken += len(rows)
        await self._do(f"INSERT INTO {self._table}_loaded VALUES (:way) ON CONFLICT DO NOTHING", {"way": way})  # noqa: S608 - our own name
        return taken

    async def total(self) -> int:
        """About how many questions all scopes hold together: PostgreSQL's own estimate, 0 before its first."""
        rows = await self._do("SELECT reltuples FROM pg_class WHERE relname = :table", {"table": self._table})
        return max(int(rows[0]["reltuples"]), 0)

    async def scopes(self) -> Sequence[str]:
        """The scopes that hold questions."""
        rows = await self._do(f"SELECT DISTINCT scope FROM {self._table}", {})  # noqa: S608 - our own name
        return [row["scope"] for row in rows]

    async def ids(self, scope: str) -> Sequence[str]:
        """The ids of a scope's questions, oldest first."""
        rows = await self._do(f"SELECT id FROM {self._table} WHERE scope = :scope ORDER BY row", {"scope": scope})  # noqa: S608 - our own name
        return [row["id"] for row in rows]

    async def forget(self, ids: Sequence[str], scope: str) -> None:
        """Remove questions; unknown ids are ignored."""
        statement = f"DELETE FROM {self._table} WHERE scope = :scope AND id = ANY(:ids)"  # noqa: S608 - our own name
        await self._do(statement, {"scope": scope, "ids": list(ids)})
        self._sizes.pop(scope, None)

    async def aclose(self) -> None:
        """Nothing to give back: the engine is the store's."""

    async def _upsert(self, rows: Sequence[tuple[str, NDArray[np.float32], Mapping[str, float], str]]) -> None:
        if not rows:
            return
        statement = (
            f"INSERT INTO {self._table} AS kept (id, scope, vector, labels) "  # noqa: S608 - our own name
            "VALUES (:id, :scope, CAST(:vector AS vector), CAST(:labels AS jsonb)) "
            "ON CONFLICT (scope, id) DO UPDATE SET labels = excluded.labels WHERE kept.labels <> excluded.labels"
        )
        values = [
            {"id": id_, "scope": scope, "vector": written(vector), "labels": _json(labels)}
            for id_, vector, labels, scope in sorted(rows, key=lambda row: (row[3], row[0]))  # no deadlock with others
        ]
        await self._do(statement, values)
        for scope in {row[3] for row in rows}:
            self._sizes.pop(scope, None)

    async def _quick(self, statement: Any, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A question on a request's path: it may not wait."""
        self._check_prepared()
        if self._clock() < self._rest_until:
            raise StoreUnavailable("the database was away a moment ago")
        try:
            async with asyncio.timeout(SEARCH_S):
                with guard("searching past questions"):
                    async with self._engine.begin() as connection:
                        await connection.execute(text(f"SET LOCAL hnsw.ef_search = {EF_SEARCH}"))
                        await connection.execute(text("SET LOCAL hnsw.iterative_scan = strict_order"))
                        return [dict(row) for row in (await connection.execute(statement, values)).mappings()]
        except (TimeoutError, StoreUnavailable) as error:
            self._rest_until = self._clock() + REST_S
            raise StoreUnavailable(f"past questions could not be searched: {cause(error)}") from error

    def _check_prepared(self) -> None:
        if not self._prepared:
            raise StoreUnavailable("the index in PostgreSQL has not been opened yet: the database was away at start")

    async def _do(self, statement: str, values: Any) -> list[dict[str, Any]]:
        self._check_prepared()
        with guard("keeping the index"):
            async with self._engine.begin() as connection:
                result = await connection.execute(text(statement), values)
                return [dict(row) for row in result.mappings()] if result.returns_rows else []


def table_of(model: str, dimensions: int) -> str:
    """The name of an embedding model's table."""
    return f"neighbour_{hashlib.sha256(model.encode()).hexdigest()[:12]}_{dimensions}"


def nearest(table: str) -> TextClause:
    """The k nearest of a scope; `near` as `written`."""
    return text(
        f"SELECT id, CAST(vector AS text) AS vector, CAST(labels AS text) AS labels, row FROM {table} "  # noqa: S608 - our own name
        f"WHERE scope = :scope ORDER BY vector <=> CAST(:near AS vector), row LIMIT :k"
    )


async def _extension(connection: AsyncConnection) -> None:
    try:
        await connection.execute(text("CREATE EXTENSION IF NOT EXISTS vector"))
    except Exception as error:
        if is_away(error):
            raise
        raise ConfigError(
            f"index.kind: this PostgreSQL has no pgvector ({cause(error)}): install it, have its owner say CREATE "
            "EXTENSION vector, or write `index: {kind: faiss}`"
        ) from error


def _tables(table: str, dimensions: int) -> tuple[str, ...]:
    columns = (
        "row bigint GENERATED ALWAYS AS IDENTITY, scope text NOT NULL, id text NOT NULL, "
        f"vector vector({dimensions}) NOT NULL, labels jsonb NOT NULL, PRIMARY KEY (scope, id)"
    )
    return (
        f"CREATE TABLE IF NOT EXISTS {table} ({columns})",
        f"CREATE INDEX IF NOT EXISTS {table}_hnsw ON {table} USING hnsw (vector vector_cosine_ops)",
        f"CREATE TABLE IF NOT EXISTS {table}_loaded (way text PRIMARY KEY)",
    )


def written(vector: NDArray[np.float32]) -> str:
    """A vector as pgvector reads it."""
    return "[" + ",".join(map(repr, vector.tolist())) + "]"


def _json(labels: Mapping[str, float]) -> str:
    return orjson.dumps(dict(labels)).decode()
