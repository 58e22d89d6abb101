"""How a server comes to its store: with the database, without it for a while, or not at all."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from outcomes import EMBEDDER, NOW, build_outcome
from pydantic import SecretStr
from sqlalchemy import text

from app.config.settings import Config, IndexConfig, StoreConfig
from app.observe.metrics import Metrics
from app.store import follow, journal_folder, open_history, open_index, watch
from router.domain import Caller
from router.errors import ConfigError, StoreUnavailable
from router.starter import Starter
from storage.history.pgvector import PgvectorNeighbours

BLUE = Caller(team="blue")


class Embedder:
    model, dimensions = EMBEDDER, 3


def config(url, tmp_path, kind="faiss", **store):
    wanted = StoreConfig(url=SecretStr(url), journal=str(tmp_path / "journal"), start_wait_s=0, poll_s=0.05, **store)
    return Config(store=wanted, index=IndexConfig(kind=kind))


@pytest.fixture
async def stack():
    async with AsyncExitStack() as opened:
        yield opened


async def until(true):
    async with asyncio.timeout(30):
        while not await true():  # noqa: ASYNC110 - what is watched has no event
            await asyncio.sleep(0.02)


async def opened(wanted, stack):
    history, sql = await open_history(wanted, stack)
    index = await open_index(wanted, sql, Embedder(), stack)
    await follow(wanted, sql, index, Starter(Embedder(), index), stack, away=history.away)
    return history, index


@pytest.mark.parametrize("kind", ["faiss", "pgvector"])
async def test_what_was_learnt_is_there_after_a_restart(new_postgresql_url, tmp_path, kind):
    wanted = config(new_postgresql_url, tmp_path, kind)
    async with AsyncExitStack() as first:
        history, _ = await opened(wanted, first)
        await history.record(build_outcome("r-1"))
    async with AsyncExitStack() as second:
        _, index = await opened(wanted, second)
        assert isinstance(index, PgvectorNeighbours) == (kind == "pgvector")

        async def there():
            return await index.size("blue") == 1

        await until(there)


@pytest.mark.parametrize("kind", ["faiss", "pgvector"])
async def test_a_postgresql_that_is_away_at_start_is_waited_for_behind_the_journal(tmp_path, stack, kind):
    from postgres_server import running_postgres  # noqa: PLC0415 - one of its own, to be stopped

    with running_postgres() as server:
        server.stop()
        history, index = await opened(config(server.url, tmp_path, kind), stack)
        metrics = Metrics()
        watch(history, index, metrics, stack)
        assert history.away
        await history.record(build_outcome("r-1"))
        await asyncio.sleep(0.05)
        assert "1 outcomes wait" in history.notes()["store"]
        await history.ready()
        with pytest.raises(StoreUnavailable):
            await history.decision("r-1", BLUE)
        await asyncio.to_thread(server.start)

        async def there():
            with suppress(StoreUnavailable):
                return not history.backlog and not history.away and await index.size("blue") == 1
            return False

        await until(there)
        assert await history.decision("r-1", BLUE) is not None
        assert history.notes() == {}
        await stack.aclose()


async def test_a_postgresql_that_turns_us_away_is_the_operators_to_mend(postgres, tmp_path, stack):
    url = f"postgresql+asyncpg://postgres@/nowhere?host={postgres.socket_dir}"
    with pytest.raises(ConfigError, match='"nowhere" does not exist'):
        await open_history(config(url, tmp_path), stack)


@pytest.mark.parametrize("content", [b"this is no database, whatever its name may say" * 30])
async def test_a_file_that_is_no_database_is_the_operators_to_mend(tmp_path, stack, content):
    (tmp_path / "gearbox.db").write_bytes(content)
    with pytest.raises(ConfigError, match="not a database"):
        await open_history(config(f"sqlite+aiosqlite:///{tmp_path}/gearbox.db", tmp_path), stack)


async def test_a_journal_that_cannot_be_written_is_the_operators_to_mend(sqlite_url, tmp_path, stack):
    (tmp_path / "journal").write_text("a file")
    with pytest.raises(ConfigError, match=r"store\.journal"):
        await open_history(config(sqlite_url, tmp_path), stack)


def test_the_journal_is_beside_the_database_unless_it_is_elsewhere(tmp_path):
    beside = StoreConfig(url=SecretStr(f"sqlite+aiosqlite:///{tmp_path}/my.db"))
    assert journal_folder(beside) == tmp_path / "my.db.journal"
    assert str(journal_folder(StoreConfig(url=SecretStr("postgresql+asyncpg://h/d")))) == "gearbox-journal"


async def test_old_rows_go_in_the_background(sqlite_url, tmp_path):
    async with AsyncExitStack() as first:
        history, _ = await opened(config(sqlite_url, tmp_path), first)
        await history.record(build_outcome("r-1", at=NOW - 400 * 86_400))
    async with AsyncExitStack() as second:
        history, _ = await opened(config(sqlite_url, tmp_path, retention_days=1.0), second)

        async def gone():
            async with history.store.engine.connect() as connection:
                return (await connection.execute(text("SELECT count(*) FROM inference"))).scalar_one() == 0

        await until(gone)
