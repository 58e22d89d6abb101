"""What `scripts/query-plans` runs."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "storage")]

from storage.engine import create_engine, migration_engine  # noqa: E402 - found by the line above
from storage.history.pgvector import PgvectorNeighbours, table_of  # noqa: E402
from storage.migrate import migrate  # noqa: E402
from storage.plans import MODEL, explained, fault_of, fill, nearest, questions, vectors_of  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

STEP = 50_000
DIMENSIONS = 384
EMBEDDING_BYTES = 4 * DIMENSIONS
RUNS = 5
#: A vector in a plan is long.
WIDTH = 160


@contextmanager
def database(options: argparse.Namespace) -> Iterator[str]:
    """The URL of the database to use."""
    if options.url:
        yield options.url
    elif options.postgres:
        from postgres_server import running_postgres  # noqa: PLC0415 - of the development install

        with running_postgres() as server:
            yield server.url
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite+aiosqlite:///{folder}/gearbox.db"


async def filled(engine: AsyncEngine, options: argparse.Namespace) -> None:
    """Make the tables and their rows."""
    await migrate(engine)
    async with engine.connect() as connection:
        if (await connection.execute(text("SELECT count(*) FROM inference"))).scalar_one():
            sys.exit("query-plans: this database is not empty, and is left alone")
    began = time.perf_counter()
    async with built_afterwards(engine, began):
        for first in range(0, options.rows, STEP):
            async with engine.begin() as connection:
                if engine.dialect.name == "postgresql":  # every row is ours: no foreign key has to be looked up
                    await connection.execute(text("SET LOCAL session_replication_role = replica"))
                rows = min(STEP, options.rows - first)
                await fill(connection, rows, first, embedding_bytes=0 if options.bare else EMBEDDING_BYTES)
            tell(f"{min(first + STEP, options.rows):,} rows", began)
    if vectors(engine, options):
        await fill_vectors(engine, options.rows, began)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))
    tell("analysed", began)


@asynccontextmanager
async def built_afterwards(engine: AsyncEngine, began: float) -> AsyncIterator[None]:
    """On PostgreSQL indexes that are no constraint's are dropped first and built at the end, which is far faster."""
    if engine.dialect.name != "postgresql":
        yield
        return
    own = text(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' "
        "AND indexname NOT IN (SELECT conname FROM pg_constraint)"
    )
    async with engine.begin() as connection:
        found = (await connection.execute(own)).all()
        for name, _ in found:
            await connection.execute(text(f"DROP INDEX {name}"))
    yield
    for name, definition in found:
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL maintenance_work_mem = '1GB'"))
            await connection.execute(text(definition))
        tell(f"built {name}", began)


async def fill_vectors(engine: AsyncEngine, rows: int, began: float) -> None:
    """As many random vectors in the index that all replicas share; its HNSW graph is built at the end, in memory."""
    index = PgvectorNeighbours(engine, MODEL, DIMENSIONS)
    await index.prepare()
    table = table_of(MODEL, DIMENSIONS)
    async with engine.begin() as connection:
        asked = text("SELECT indexdef FROM pg_indexes WHERE indexname = :name")
        definition = (await connection.execute(asked, {"name": f"{table}_hnsw"})).scalar_one()
        await connection.execute(text(f"DROP INDEX {table}_hnsw"))
    for first in range(0, rows, STEP):
        async with engine.begin() as connection:
            last = min(first + STEP, rows) - 1
            await connection.execute(text(vectors_of(table, DIMENSIONS)), {"first": first, "last": last})
        tell(f"{last + 1:,} vectors", began)
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL maintenance_work_mem = '5GB'"))
        await connection.execute(text("SET LOCAL max_parallel_maintenance_workers = 1"))
        await connection.execute(text(definition))
    tell(f"built {table}_hnsw", began)


def vectors(engine: AsyncEngine, options: argparse.Namespace) -> bool:
    """Whether the shared index in PostgreSQL belongs to the table."""
    return engine.dialect.name == "postgresql" and not options.bare


def tell(what: str, began: float) -> None:
    """How far it is."""
    print(f"{time.perf_counter() - began:6.0f} s  {what}", file=sys.stderr, flush=True)


async def timed(connection: AsyncConnection, statement: object) -> float:
    """The median of some runs, in milliseconds; nothing is changed."""
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        result = await connection.execute(statement)  # type: ignore[call-overload]
        if result.returns_rows:
            result.all()
        took.append(time.perf_counter() - began)
        await connection.rollback()
    return statistics.median(took) * 1000


async def show(url: str, options: argparse.Namespace) -> bool:
    """Print every plan; whether each is answered by its index."""
    made = create_engine(url)
    engine = made if made.dialect.name == "sqlite" else migration_engine(made)  # without its limits
    if not options.filled:
        await filled(engine, options)
    right = True
    asked = [*questions(), *(nearest(MODEL, DIMENSIONS) if vectors(engine, options) else ())]
    for question in asked:
        async with engine.connect() as connection:
            plan = await explained(connection, question.statement)
            took = await timed(connection, question.statement)
        fault = fault_of(plan, question)
        right &= fault is None
        print(f"\n{question.name}: {took:.2f} ms{'' if fault is None else f'   {fault}'}")
        print("\n".join(f"    {line[:WIDTH]}" for line in plan))
    await engine.dispose()
    return right


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(prog="query-plans", description="How every frequent statement is answered.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--bare", action="store_true", help="without embeddings")
    parser.add_argument("--postgres", action="store_true", help="in a PostgreSQL of its own")
    parser.add_argument("--url", help="in this empty database")
    parser.add_argument("--filled", action="store_true", help="the database of --url was filled by this script before")
    options = parser.parse_args()
    with database(options) as url:
        sys.exit(0 if asyncio.run(show(url, options)) else 1)


if __name__ == "__main__":
    main()
