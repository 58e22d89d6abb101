"""The stores under test: one per test, empty, closed afterwards. A PostgreSQL that cannot start is a failure."""

from __future__ import annotations

import uuid
from datetime import datetime

import pytest
from postgres_server import running_postgres
from redis_server import running_redis

from storage.engine import create_engine
from storage.history.journalled import JournalledHistory
from storage.history.memory import MemoryHistory
from storage.history.store import SqlHistory
from storage.journal.journal import Journal
from storage.migrate import migrate
from storage.money.bank_memory import MemoryBank
from storage.money.bank_redis import RedisBank
from storage.money.bank_sql import SqlBank
from storage.money.budgets import SqlBudgets
from storage.sharing.redis_link import RedisLink


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
    tables = "inference, applied, claim, api_key, budget, reservation, worker, revision, rate"
    postgres.run("psql", "-c", "SET lock_timeout = '5s'", "-c", f"TRUNCATE {tables} CASCADE", "gearbox")


@pytest.fixture
def new_postgresql_url(postgres):
    """A database without tables."""
    name = f"gearbox_{uuid.uuid4().hex}"
    postgres.run("createdb", name)
    yield f"postgresql+asyncpg://postgres@/{name}?host={postgres.socket_dir}"
    postgres.run("dropdb", "--force", name)


@pytest.fixture(scope="session")
def redis_server():
    """One server per xdist worker."""
    with running_redis() as server:
        yield server


@pytest.fixture
def redis_url(redis_server):
    """A server without keys."""
    redis_server.run("FLUSHALL")
    return redis_server.url


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


class Clock:
    """A clock that only tests move."""

    def __init__(self):
        self.at("2026-03-01T12:00:00")

    def at(self, text):
        self.now = datetime.fromisoformat(f"{text}+00:00").timestamp()

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def sql_engine(sql_url):
    engine = create_engine(sql_url)
    await migrate(engine)
    yield engine
    await engine.dispose()


async def opened_bank(request, clock, kind, terms, *, pools):
    """A bank with these budgets, and what closes it."""
    if kind == "memory":
        return MemoryBank(terms, clock=clock), None
    engine = create_engine(request.getfixturevalue(f"{kind}_url"))
    await migrate(engine)
    for each in terms:
        await SqlBudgets(engine, clock).put(each)
    return SqlBank(engine, clock=clock, pools=pools), engine


@pytest.fixture
async def redis_link(redis_url):
    link = RedisLink(redis_url, patience_s=20)
    link.name("test")
    yield link
    await link.aclose()


@pytest.fixture(params=["memory", "sqlite", "postgresql", "redis"])
async def bank(request, clock):
    """Redis stands before PostgreSQL, as it does in production."""
    terms = request.module.KEY, request.module.TEAM, request.module.EVER
    kind = "postgresql" if request.param == "redis" else request.param
    opened, engine = await opened_bank(request, clock, kind, terms, pools=request.param != "redis")
    link = RedisLink(request.getfixturevalue("redis_url"), patience_s=20) if request.param == "redis" else None
    if link is not None:
        link.name("test")
        opened = RedisBank(opened, link, clock=clock)
    yield opened
    await opened.aclose()
    if link is not None:
        await link.aclose()
    if engine is not None:
        await engine.dispose()
