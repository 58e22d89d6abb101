"""The time of the database, so that no worker's clock decides anything between workers.

The law of this file: one expression for each database, and the test's clock in its place.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, func, type_coerce

from storage.schema import UtcTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncEngine


def database_time(engine: AsyncEngine, clock: Callable[[], float] | None) -> ColumnElement[datetime]:
    """The time now, as an expression; `clock` (seconds since the epoch) instead of the database's own, for tests."""
    if clock is not None:
        return bindparam(None, datetime.fromtimestamp(clock(), UTC), UtcTime)
    if engine.dialect.name == "postgresql":
        return type_coerce(func.clock_timestamp(), UtcTime)
    # Six digits after the point, exactly as SQLAlchemy writes times, for SQLite compares them as text.
    return type_coerce(func.strftime("%Y-%m-%d %H:%M:%f000", "now"), UtcTime)
