"""The tables in the code, the tables in the migrations, and several processes starting at once."""

from __future__ import annotations

import asyncio

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from programs import start
from sqlalchemy import inspect, text

from router.errors import ConfigError
from storage.engine import create_engine, shown
from storage.migrate import alembic_config, migrate
from storage.money.schema import metadata


@pytest.fixture
async def engine(new_url):
    made = create_engine(new_url)
    yield made
    await made.dispose()


async def on(engine, function):
    async with engine.connect() as connection:
        return await connection.run_sync(function)


def differences(connection):
    return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)


async def test_migrations_make_exactly_the_tables_of_the_schema(engine):
    await migrate(engine)
    assert await on(engine, differences) == []


async def test_migrating_again_changes_nothing(engine):
    await migrate(engine)
    await migrate(engine)
    assert await on(engine, differences) == []


async def test_every_revision_can_be_taken_back(engine, new_url):
    await migrate(engine)
    await asyncio.to_thread(command.downgrade, alembic_config(new_url), "base")
    assert await on(engine, lambda connection: inspect(connection).get_table_names()) == ["alembic_version"]


OLD_ROW = """INSERT INTO inference (id, created_at, key_id, team, tags, policy, settings, asked_model, stored, evidence,
    why, late_cost_nanousd, latency_s, overhead_s, client) VALUES ('old', '2026-01-01 00:00:00', 'k', 't',
    '{"app": "search", "n": "1"}', 'auto', '{}', 'm', true, '{}', '', 0, 1, 0, 'answered')"""


async def test_an_older_database_gets_its_tags_and_nobody_waits(engine, new_url):
    await asyncio.to_thread(command.upgrade, alembic_config(new_url), "0001")
    async with engine.begin() as connection:
        await connection.execute(text(OLD_ROW))
    await migrate(engine)
    async with engine.connect() as connection:
        found = (await connection.execute(text("SELECT inference_id, name, value FROM tag ORDER BY name"))).all()
    assert [tuple(row) for row in found] == [("old", "app", "search"), ("old", "n", "1")]
    assert await on(engine, differences) == []


async def test_a_database_that_is_newer_than_the_code_is_left_as_it_is(engine):
    await migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await migrate(engine)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one() == "9999"


async def test_writers_do_not_wait_for_a_migration_that_waits_for_a_slow_reader(new_postgresql_url):
    engine = create_engine(new_postgresql_url)
    await asyncio.to_thread(command.upgrade, alembic_config(new_postgresql_url), "0001")
    async with engine.connect() as slow:
        await slow.execute(text("SELECT count(*) FROM inference"))  # CREATE INDEX CONCURRENTLY waits for it
        migrating = asyncio.create_task(migrate(engine))
        await asyncio.sleep(0.5)
        assert not migrating.done()
        async with engine.begin() as writer:
            await asyncio.wait_for(writer.execute(text(OLD_ROW)), 2)
        await slow.rollback()
    await migrating
    assert await on(engine, differences) == []
    await engine.dispose()


async def test_four_processes_that_start_at_once_migrate_once(engine, new_url):
    programs = [start("migrate_once.py", new_url) for _ in range(4)]
    for program in programs:
        assert program.stdout.readline() == "ready\n"
    for program in programs:
        program.stdin.close()
    ended = [await asyncio.to_thread(program.wait, 60) for program in programs]
    for program in programs:
        program.stdout.close()
    assert ended == [0] * 4
    assert await on(engine, differences) == []


async def test_money_is_stored_in_64_bit_integers():
    money = [column for table in metadata.tables.values() for column in table.c if column.name.endswith("_nanousd")]
    assert {str(column.type) for column in money} == {"BIGINT"}
    assert len(money) == 9


SUMS = "SELECT sum(cost_nanousd), sum(late_cost_nanousd), sum(baseline_nanousd) FROM inference WHERE"
PAGE = "SELECT id, embedding FROM inference WHERE embedding_model = 'm' AND (created_at, id) > ('2026', 'r')"


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        (f"{SUMS} key_id = 'k' AND created_at >= '2026-01-01'", "COVERING INDEX ix_inference_key_spend"),
        (f"{SUMS} team = 't' AND created_at >= '2026-01-01'", "COVERING INDEX ix_inference_team_spend"),
        (f"{PAGE} ORDER BY created_at, id", "INDEX ix_inference_embedding"),
        ("SELECT * FROM label WHERE inference_id = 'r'", "INDEX ix_label_inference_id"),
    ],
    ids=["spend by key", "spend by team", "load the index", "labels of a request"],
)
async def test_frequent_questions_are_answered_by_an_index(sqlite_url, statement, index):
    engine = create_engine(sqlite_url)
    await migrate(engine)
    async with engine.connect() as connection:
        plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all()
    await engine.dispose()
    assert len(plan) == 1
    assert index in plan[0][3]


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("", "sqlite\\+aiosqlite"),
        ("mysql://host/db", "'mysql' is not supported"),
        ("sqlite+aiosqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_we_cannot_use_is_refused_with_the_cure(url, hint):
    with pytest.raises(ConfigError, match=hint):
        create_engine(url)


@pytest.mark.parametrize(
    ("url", "driver"),
    [("sqlite:///x.db", "sqlite+aiosqlite"), ("postgres://h/db", "postgresql+asyncpg")],
)
def test_a_url_without_its_async_driver_gets_it(url, driver):
    assert create_engine(url).url.drivername == driver


def test_a_password_is_never_shown():
    assert "hunter2" not in shown(create_engine("postgresql://me:hunter2@localhost/db"))
