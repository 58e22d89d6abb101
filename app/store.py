"""The store as a server has it: the database with a journal before it, the index that follows it, what grows too old.

The law of this file: wiring only, like `wiring.py`, for everything that lasts longer than a process.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from router.errors import ConfigError, StoreUnavailable
from router.following import Follower
from router.index import FaissNeighbours
from storage.engine import create_engine, sqlite_file
from storage.faults import is_misconfigured
from storage.history.feed import SqlFeed
from storage.history.journalled import JournalledHistory
from storage.history.pgvector import PgvectorNeighbours
from storage.history.retention import Retention
from storage.history.store import SqlHistory
from storage.journal.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from contextlib import AsyncExitStack

    from app.config.settings import Config, StoreConfig
    from app.observe.metrics import Metrics
    from router.ports import Embedder, Neighbours
    from router.starter import Starter

#: Seconds between two tries to reach a database at start.
RETRY_S = 1.0
#: A PostgreSQL that takes longer is slow. A SQLite that does shares its disk with the journal, which is no faster then;
#: longer than its own wait for another process's lock, though, is broken.
PATIENCE_S = 2.0
SQLITE_PATIENCE_S = 20.0
#: Seconds between two updates of the gauges.
GAUGES_S = 1.0
_log = structlog.get_logger("gearbox.start")


async def open_history(config: Config, stack: AsyncExitStack) -> tuple[JournalledHistory, SqlHistory]:
    """The history as the engine sees it, and the database under it.

    A PostgreSQL that does not come in time is waited for behind the journal.

    Raises:
        ConfigError: the SQLite file, the journal's folder or PostgreSQL's name or password are wrong.
    """
    wanted = config.store
    sql = SqlHistory(create_engine(wanted.url.get_secret_value()))
    try:
        away = not await _reached(sql, wanted)
        journal = await Journal.open(journal_folder(wanted))
    except BaseException:
        await sql.aclose()
        raise
    history = JournalledHistory(sql, journal, patience_s=patience_s(wanted), away=away)
    stack.push_async_callback(history.aclose)
    keep_on(Retention(sql.engine, wanted.retention_days, wanted.text_retention_days).run(), stack)
    return history, sql


def patience_s(wanted: StoreConfig) -> float:
    """How long a request waits for the database, in seconds."""
    if wanted.patience_s is not None:
        return wanted.patience_s
    return PATIENCE_S if sqlite_file(wanted.url.get_secret_value()) is None else SQLITE_PATIENCE_S


def journal_folder(wanted: StoreConfig) -> Path:
    """Where the journal is: as configured, beside the SQLite file, or in the working directory."""
    if wanted.journal is not None:
        return Path(wanted.journal)
    file = sqlite_file(wanted.url.get_secret_value())
    return Path("gearbox-journal") if file is None else file.with_name(file.name + ".journal")


async def open_index(config: Config, sql: SqlHistory, embedder: Embedder, stack: AsyncExitStack) -> Neighbours:
    """The index, empty or as PostgreSQL has it; `follow` brings it up to date."""
    if config.index.kind == "pgvector":
        return PgvectorNeighbours(sql.engine, embedder.model, embedder.dimensions)
    neighbours = FaissNeighbours(embedder.dimensions)
    stack.push_async_callback(neighbours.aclose)
    return neighbours


async def follow(
    config: Config, sql: SqlHistory, neighbours: Neighbours, starter: Starter, stack: AsyncExitStack, *, away: bool
) -> None:
    """Load the index, unless the database is away, and keep it in step with the store from then on."""
    follower = Follower(SqlFeed(sql, starter.model), neighbours, starter.scope_of, poll_s=config.store.poll_s)
    if not away:
        _log.info("history loaded", questions=await follower.load(), embedding=starter.model)
    keep_on(follower.run(), stack)


def watch(
    history: JournalledHistory, neighbours: Neighbours, metrics: Metrics, stack: AsyncExitStack
) -> Callable[[], Awaitable[None]]:
    """Keep the gauges of store and index up to date; what is returned does so at once, for a scrape.

    The scrape of one worker cannot look into the others, so each of them also looks by itself now and then.
    """

    async def look() -> None:
        metrics.store_backlog.set(history.backlog)
        try:
            metrics.index_size.set(await neighbours.total())
        except (StoreUnavailable, OSError):
            _log.debug("the index's size is not known now")

    async def run() -> None:
        while True:
            await look()
            await asyncio.sleep(GAUGES_S)

    keep_on(run(), stack)
    return look


async def _reached(sql: SqlHistory, wanted: StoreConfig) -> bool:
    deadline = time.monotonic() + wanted.start_wait_s
    while True:
        try:
            await sql.prepare()
        except StoreUnavailable as error:
            if sqlite_file(wanted.url.get_secret_value()) is not None or is_misconfigured(error):
                raise ConfigError(f"{error.message}. Mend store.url, or the database") from error
            if time.monotonic() >= deadline:
                _log.error("serving without the database: no history, outcomes go to the journal", error=error.message)
                return False
            _log.warning("waiting for the database", error=error.message)
            await asyncio.sleep(RETRY_S)
        else:
            return True


def keep_on(job: Coroutine[object, object, None], stack: AsyncExitStack) -> None:
    """Run in the background until the stack closes."""
    task = asyncio.create_task(job)

    async def end() -> None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    stack.push_async_callback(end)
