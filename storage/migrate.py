"""Bring a database's tables to what this version of the code expects.

The law of this file: it runs the revisions of `migrations/`, at start, under a lock, so that several processes starting
at once do it once. Alembic's context belongs to the whole process: within one process start one migration after the
other.

PostgreSQL's lock belongs to a session that is in no transaction, and whoever waits for it asks again and again rather
than waiting in a statement: CREATE INDEX CONCURRENTLY waits for every transaction that is older than itself, and would
wait for ever for one that waits for us. Revisions only ever add, so that replicas with the older code go on meanwhile;
for the same reason a database that is newer than the code is left as it is.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from router.errors import StoreUnavailable
from storage.engine import migration_engine, writing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number will do, so long as every version of Gearbox uses the same; these bytes spell "gearbox".
ADVISORY_LOCK = int.from_bytes(b"gearbox", "big")
#: Seconds to wait for another process's migration, and between two looks.
LOCK_WAIT_S = 600
LOCK_LOOK_S = 0.05

_log = structlog.get_logger("gearbox.store")


async def migrate(engine: AsyncEngine) -> None:
    """Run the revisions that are missing. Whoever comes second waits and finds nothing left to do.

    SQLite holds its write lock from the first statement (BEGIN IMMEDIATE), for everything in one transaction.

    Raises:
        StoreUnavailable: another process has been migrating for LOCK_WAIT_S.
    """
    if engine.dialect.name == "sqlite":
        async with writing(engine).begin() as connection:
            await connection.run_sync(_upgrade)
        return
    own = migration_engine(engine)
    try:
        async with _locked(own), own.connect() as connection:
            await connection.run_sync(_upgrade)
    finally:
        await own.dispose()


def alembic_config(url: str | None = None) -> Config:
    """Alembic's settings, without an ini file; with a URL also for writing a new revision by `command.revision`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if url is not None:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


@asynccontextmanager
async def _locked(engine: AsyncEngine) -> AsyncIterator[None]:
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        await _take(connection)
        try:
            yield
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:lock)"), {"lock": ADVISORY_LOCK})


async def _take(connection: AsyncConnection) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    taking = text("SELECT pg_try_advisory_lock(:lock)")
    while not (await connection.execute(taking, {"lock": ADVISORY_LOCK})).scalar_one():
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"another process has been migrating the database for {LOCK_WAIT_S} s: look at it")
        await asyncio.sleep(LOCK_LOOK_S)


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    newer = set(MigrationContext.configure(connection).get_current_heads()) - _known(config)
    if connection.dialect.name == "postgresql":
        connection.rollback()  # that look began a transaction; each revision has its own
    if newer:
        _log.warning("the database is newer than this Gearbox and is left as it is", revisions=sorted(newer))
        return
    command.upgrade(config, "head")


def _known(config: Config) -> set[str]:
    return {revision.revision for revision in ScriptDirectory.from_config(config).walk_revisions()}
