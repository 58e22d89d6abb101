"""Alembic's entry: runs revisions on the connection it is handed (`storage.migrate`), or on one it opens itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alembic import context

from storage.engine import create_engine, writing
from storage.money.schema import metadata  # with the tables of both schemas

if TYPE_CHECKING:
    from sqlalchemy import Connection


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        transaction_per_migration=True,  # a revision may end its transaction, to build an index CONCURRENTLY
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
    try:
        sqlite = engine.dialect.name == "sqlite"
        async with writing(engine).begin() if sqlite else engine.connect() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    asyncio.run(run_alone())
