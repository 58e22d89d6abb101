"""The configured store, opened for a command of the lab."""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from app.config import plan as plans
from app.config.environment import Environment
from router.errors import ConfigError
from storage.history.store import SqlHistory
from storage.history.traffic import traffic

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from app.config.plan import Plan
    from storage.history.traffic import Stored

_SPAN = re.compile(r"(\d{1,6})\s*(m|h|d|w)")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


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


def moment(text: str | None, now: datetime) -> datetime | None:
    """`7d`, `24h`, `30m`, `2w` before now, or a date or time in ISO form (UTC unless it says otherwise).

    Raises:
        ConfigError: none of these.
    """
    if text is None:
        return None
    span = _SPAN.fullmatch(text.strip())
    if span:
        return now - timedelta(**{_UNITS[span[2]]: int(span[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigError(f"--since {text}: write 7d, 24h, 30m, 2w, or a date such as 2025-01-31") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
