"""URL -> engine, tuned for what the store promises.

The law of this file: it is the only place that knows how the two databases are opened; no table is named here.

Why `synchronous=FULL` on SQLite: `record` returns "once it is durable", and SQL is the truth about money spent. In WAL
mode a commit survives `kill -9` under NORMAL too, because the pages are in the kernel's hands; but NORMAL syncs the
log only at checkpoints, so a power loss may take back the last commits (https://sqlite.org/pragma.html, synchronous).
FULL syncs on each commit, and group commit shares that sync among all requests waiting for it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from router.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
BUSY_TIMEOUT_MS = 15_000
CONNECT_TIMEOUT_S = 5
#: Longer than the server's own limit, which ends a slow statement in order; this one is for a server that is silent.
COMMAND_TIMEOUT_S = 20
POOL_TIMEOUT_S = 5
#: Of one engine, kept open and at most; a worker has two engines, for its history and for money. A crowd waits in line:
#: PostgreSQL refuses whoever comes when it has no connection left, and its workers would take it for away.
POOL_KEPT, POOL_MOST = 5, 10
#: Days are UTC's. No statement, no wait for a lock and no forgotten transaction of ours lasts longer than this; the
#: feed relies on the last one: a row that is not visible after `storage.history.feed.HOLE_S` never will be.
SERVER_LIMITS = {
    "application_name": "gearbox",
    "timezone": "UTC",
    "statement_timeout": "15s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}
#: A migration may take its time over a large table, but nobody queues for long behind a lock that it waits for.
MIGRATION_LIMITS = SERVER_LIMITS | {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}
#: The execution option that says how a SQLite transaction begins.
BEGIN_OPTION = "gearbox_sqlite_begin"
# The timeout comes first: switching to WAL needs the lock that another process may hold at that moment.
_PRAGMAS = (
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
)


def create_engine(url: str) -> AsyncEngine:
    """An engine for this URL; nothing is connected yet.

    Raises:
        ConfigError: no URL, another database, SQLite in memory or in a directory that does not exist.
    """
    parsed = _parsed(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_async_engine(parsed, hide_parameters=True)
        _tune_sqlite(engine)
        return engine
    # pre-ping: after a restart of the database a stale connection must not cost a group of outcomes
    arguments = {
        "timeout": CONNECT_TIMEOUT_S,
        "command_timeout": COMMAND_TIMEOUT_S,
        "server_settings": SERVER_LIMITS,
    }
    return create_async_engine(
        parsed,
        hide_parameters=True,
        pool_pre_ping=True,
        pool_size=POOL_KEPT,
        max_overflow=POOL_MOST - POOL_KEPT,
        pool_timeout=POOL_TIMEOUT_S,
        connect_args=arguments,
    )


def migration_engine(engine: AsyncEngine) -> AsyncEngine:
    """An engine on the same PostgreSQL for migrations: other limits, no connection kept."""
    arguments = {"timeout": CONNECT_TIMEOUT_S, "server_settings": MIGRATION_LIMITS}
    return create_async_engine(engine.url, hide_parameters=True, poolclass=NullPool, connect_args=arguments)


def shown_url(url: str) -> str:
    """The URL without its password, for people.

    Raises:
        ConfigError: it is none.
    """
    return _parsed(url).render_as_string(hide_password=True)


def writing(engine: AsyncEngine) -> AsyncEngine:
    """The same engine for transactions that write.

    SQLite takes the write lock at once: a transaction that reads first and upgrades later fails with SQLITE_BUSY
    whatever the timeout, if another writer came between.
    """
    return engine.execution_options(**{BEGIN_OPTION: "BEGIN IMMEDIATE"})


def shown(engine: AsyncEngine) -> str:
    """The URL for messages, its password masked."""
    return engine.url.render_as_string(hide_password=True)


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None for PostgreSQL."""
    parsed = _parsed(url)
    return Path(parsed.database or "") if parsed.get_backend_name() == "sqlite" else None


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigError("store.url is no database URL: write sqlite+aiosqlite:///gearbox.db") from None
    backend = parsed.drivername.partition("+")[0]
    if backend not in DRIVERS:
        raise ConfigError(f"store.url: {backend!r} is not supported; use {' or '.join(sorted(set(DRIVERS.values())))}")
    parsed = parsed.set(drivername=DRIVERS[backend])
    if backend == "sqlite":
        _check_file(parsed.database or ":memory:")
    return parsed


def _check_file(name: str) -> None:
    """Refuse early what SQLite could not open: aiosqlite's thread may outlive the loop when opening fails."""
    if name == ":memory:":
        raise ConfigError("store.url names SQLite in memory, which keeps nothing: name a file, or use MemoryHistory")
    folder = Path(name).resolve().parent
    if not name.startswith("file:") and not folder.is_dir():
        raise ConfigError(f"store.url: the directory {folder} does not exist: create it, or name another file")


def _tune_sqlite(engine: AsyncEngine) -> None:
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)


def _prepare(connection: Any, _record: Any) -> None:
    """Set up a new connection; BEGIN is ours to send, for Python's driver would choose when and which."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get(BEGIN_OPTION, "BEGIN"))
