"""What `scripts/query-plans` runs."""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import text

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "storage")]

from storage.engine import create_engine, migration_engine  # noqa: E402 - found by the line above
from storage.migrate import migrate  # noqa: E402
from storage.plans import explained, fill, questions  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

STEP = 50_000
EMBEDDING_BYTES = 4 * 384
RUNS = 5


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
    for first in range(0, options.rows, STEP):
        async with engine.begin() as connection:
            rows = min(STEP, options.rows - first)
            await fill(connection, rows, first, embedding_bytes=0 if options.bare else EMBEDDING_BYTES)
        print(
            f"\r{min(first + STEP, options.rows):,} rows, {time.perf_counter() - began:.0f} s", end="", file=sys.stderr
        )
    print(file=sys.stderr)
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await connection.execute(text("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))


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
    await filled(engine, options)
    right = True
    for question in questions():
        async with engine.connect() as connection:
            plan = await explained(connection, question.statement)
            took = await timed(connection, question.statement)
        good = any(index in line for line in plan for index in question.indexes)
        right &= good
        print(f"\n{question.name}: {took:.2f} ms{'' if good else '   NOT ANSWERED BY ' + question.indexes[0]}")
        print("\n".join(f"    {line}" for line in plan))
    await engine.dispose()
    return right


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(prog="query-plans", description="How every frequent statement is answered.")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--bare", action="store_true", help="without embeddings")
    parser.add_argument("--postgres", action="store_true", help="in a PostgreSQL of its own")
    parser.add_argument("--url", help="in this empty database")
    options = parser.parse_args()
    with database(options) as url:
        sys.exit(0 if asyncio.run(show(url, options)) else 1)


if __name__ == "__main__":
    main()
