"""The stores under test: one per test, empty, closed afterwards. A PostgreSQL that cannot start is a failure."""

from __future__ import annotations

import uuid

import asyncpg
import pytest
from postgres_server import running_postgres

from storage.memory import MemoryHistory
from storage.store import SqlHistory


@pytest.fixture(scope="session")
def postgres_socket():
    """One server per xdist worker: it starts in half a second, and nothing has to be shared."""
    with running_postgres() as socket_dir:
        yield socket_dir


@pytest.fixture
async def postgres_url(postgres_socket):
    name = f"gearbox_{uuid.uuid4().hex}"
    admin = await asyncpg.connect(host=str(postgres_socket), user="postgres", database="postgres")
    await admin.execute(f"CREATE DATABASE {name}")
    yield f"postgresql+asyncpg://postgres@/{name}?host={postgres_socket}"
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite+aiosqlite:///{tmp_path}/gearbox.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def sql_url(request, sqlite_url):
    return sqlite_url if request.param == "sqlite" else request.getfixturevalue("postgres_url")


@pytest.fixture
async def sql_history(sql_url):
    history = await SqlHistory.open(sql_url, batch=2)
    yield history
    await history.aclose()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def history(request):
    if request.param == "memory":
        opened = MemoryHistory(batch=2)
    else:
        opened = await SqlHistory.open(request.getfixturevalue(f"{request.param}_url"), batch=2)
    yield opened
    await opened.aclose()
