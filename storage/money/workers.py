"""Which workers share this store, and whether they agree on what a dollar buys.

The law of this file: one row a worker, renewed while it lives. Workers whose prices, keys or budgets differ would count
different things into one ledger; that is never silent.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import current_process
from pathlib import Path
from socket import gethostname
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from storage.engine import writing
from storage.faults import guard
from storage.money.bank_memory import LEASE_TTL_S
from storage.money.schema import worker as workers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from storage.money.bank_sql import SqlBank

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Peer:
    """Another worker that lives: where, and the digest of its configuration."""

    id: str
    host: str
    config: str


class SqlWorkers:
    """The table `worker`.

    Args:
        bank: whose database and clock are used.
        ttl_s: after how many seconds of silence a worker counts as dead.
    """

    def __init__(self, bank: SqlBank, ttl_s: float = LEASE_TTL_S) -> None:
        self._bank = bank
        self._ttl = timedelta(seconds=ttl_s)

    async def enter(self, worker: str, config: str) -> Sequence[Peer]:
        """Add a worker, and only then look: of two that start at once, one sees the other. The others that live."""
        with guard("entering the list of workers"):
            async with writing(self._engine).begin() as connection:
                now = await self._bank.time(connection)
                await connection.execute(
                    delete(workers).where((workers.c.expires_at <= now) | (workers.c.id == worker))
                )
                row = {"id": worker, "host": _here(), "config": config, "started_at": now}
                await connection.execute(insert(workers).values({**row, "expires_at": now + self._ttl}))
            async with self._engine.begin() as connection:
                others = select(workers).where(workers.c.id != worker).order_by(workers.c.id)
                found = (await connection.execute(others)).mappings().all()
        return [Peer(row["id"], row["host"], row["config"]) for row in found if not _died_here(row["host"])]

    async def renew(self, worker: str) -> bool:
        """Say that it lives; False where it was silent for so long that it is listed no more."""
        with guard("renewing in the list of workers"):
            async with writing(self._engine).begin() as connection:
                until = await self._bank.time(connection) + self._ttl
                renewed = update(workers).where(workers.c.id == worker).values(expires_at=until)
                return bool((await connection.execute(renewed)).rowcount)

    async def leave(self, worker: str) -> None:
        """It is gone."""
        with guard("leaving the list of workers"):
            async with writing(self._engine).begin() as connection:
                await connection.execute(delete(workers).where(workers.c.id == worker))

    @property
    def _engine(self) -> AsyncEngine:
        return self._bank.engine


def _here() -> str:
    return f"{gethostname()}:{current_process().pid}"


def _died_here(host: str) -> bool:
    """Whether that was a process of this machine which is no more: killed, it could not leave."""
    name, _, pid = host.rpartition(":")
    return name == gethostname() and _PROC.is_dir() and not (_PROC / pid).exists()
