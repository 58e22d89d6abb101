"""The configured store, opened for a command of the lab."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from app.config import plan as plans
from app.config.environment import Environment
from storage.history.store import SqlHistory
from storage.history.traffic import traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime
    from pathlib import Path

    from app.config.plan import Plan
    from storage.history.traffic import Stored


def read_plan(config: Path | None) -> Plan:
    """What is configured.

    Raises:
        ConfigError: file, line, key and cure.
    """
    environment, variables = Environment.read()
    return plans.read(config, environment, variables)


@asynccontextmanager
async def opened(plan: Plan) -> AsyncIterator[SqlHistory]:
    """The store, closed afterwards."""
    history = await SqlHistory.open(plan.config.store.url.get_secret_value())
    try:
        yield history
    finally:
        await history.aclose()


async def stored(plan: Plan, since: datetime | None, team: str | None, *, vectors: bool = False) -> list[Stored]:
    """Everything from `since`, oldest first; with `vectors` the embeddings too."""
    async with opened(plan) as history:
        return [each async for page in traffic(history.engine, since, team, vectors=vectors) for each in page]
