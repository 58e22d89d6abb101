"""Bring a database's tables to what this version of the code expects.

The law of this file: it runs the revisions of `migrations/`, at start, in one transaction under a lock, so that
several processes starting at once do it once. Alembic's context belongs to the whole process: within one process
start one migration after the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import text

from storage.engine import writing

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATIONS = Path(__file__).parent / "migrations"
#: Any number will do, so long as every version of Gearbox uses the same; these bytes spell "gearbox".
ADVISORY_LOCK = int.from_bytes(b"gearbox", "big")


async def migrate(engine: AsyncEngine) -> None:
    """Run the revisions that are missing.

    SQLite holds its write lock from the first statement (BEGIN IMMEDIATE); PostgreSQL an advisory lock until the
    transaction ends. Whoever comes second waits and finds nothing left to do.
    """
    async with writing(engine).begin() as connection:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        await connection.run_sync(_upgrade)


def alembic_config(url: str | None = None) -> Config:
    """Alembic's settings, without an ini file; with a URL also for writing a new revision by `command.revision`."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    if url is not None:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
