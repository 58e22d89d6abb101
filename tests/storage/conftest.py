"""The stores under test: one per test, empty, closed afterwards. A PostgreSQL that cannot start is a failure."""

from __future__ import annotations

import uuid

import pytest
from postgres_server import running_postgres

from storage.journal import Journal
from storage.journalled import JournalledHistory
from storage.memory import MemoryHistory
from storage.store import SqlHistory


@pytest.fixture(scope="session")
def postgres():
    """One server per xdist worker: it starts in half a second, and nothing has to be shared."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgresql_url(postgres):
    postgres.run("createdb", "gearbox")
    return f"postgresql+asyncpg://postgres@/gearbox?host={postgres.socket_dir}"


@pytest.fixture
def postgresql_url(postgres, shared_postgresql_url):
    """One database for all tests of a worker, emptied after each; a test that leaves a lock behind fails here."""
    yield shared_postgresql_url
    postgres.run("psql", "-c", "SET lock_timeout = '5s'", "-c", "TRUNCATE inference, applied CASCADE", "gearbox")


@pytest.fixture
def new_postgresql_url(postgres):
    """A database without tables."""
    name = f"gearbox_{uuid.uuid4().hex}"
    postgres.run("createdb", name)
    yield f"postgresql+asyncpg://postgres@/{name}?host={postgres.socket_dir}"
    postgres.run("dropdb", "--force", name)


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/gearbox.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request):
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture(params=["sqlite_url", "new_postgresql_url"], ids=["sqlite", "postgresql"])
def new_url(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
async def sql_history(sql_url):
    history = await SqlHistory.open(sql_url, batch=2)
    yield history
    await history.aclose()


@pytest.fixture(params=["memory", "sqlite", "postgresql", "journalled memory", "journalled sqlite"])
async def history(request, tmp_path):
    *journalled, kind = request.param.split()
    if kind == "memory":
        opened = MemoryHistory(batch=2)
    else:
        opened = await SqlHistory.open(request.getfixturevalue(f"{kind}_url"), batch=2)
    if journalled:
        opened = JournalledHistory(opened, await Journal.open(tmp_path / "journal"), patience_s=30)
    yield opened
    await opened.aclose()
