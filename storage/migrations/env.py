"""Alembic's entry: runs revisions on the connection it is handed (`storage.migrate`), or on one it opens itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from alembic import context

from storage.engine import create_engine, writing
from storage.money_schema import metadata  # with the tables of both schemas

if TYPE_CHECKING:
    from sqlalchemy import Connection


def run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",  # SQLite alters a table by copying it
    )
    with context.begin_transaction():
        context.run_migrations()


async def run_alone() -> None:
    engine = create_engine(context.config.get_main_option("sqlalchemy.url") or "")
    try:
        async with writing(engine).begin() as connection:
            await connection.run_sync(run)
    finally:
        await engine.dispose()


handed = context.config.attributes.get("connection")
if handed is not None:
    run(handed)
else:
    asyncio.run(run_alone())
