"""What `record` promises once it has returned, and what happens when the process or the database dies."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest
from outcomes import build_outcome, paid_call, rejected_small
from postgres_server import running_postgres
from programs import start
from sqlalchemy import event, text

from router.domain import Caller
from router.errors import ConfigError, StoreUnavailable
from storage.engine import POOL_MOST, create_engine
from storage.faults import RowRefused
from storage.history.store import SqlHistory

BLUE = Caller(team="blue")
TOO_LARGE = 2**70  # no database here has integers of that size


def poison(request_id):
    return build_outcome(request_id, baseline_nanousd=TOO_LARGE)


def test_every_outcome_that_was_recorded_survives_kill_9(sqlite_url, tmp_path):
    program = start("record_until_killed.py", sqlite_url)
    printed = [program.stdout.readline() for _ in range(60)]
    program.kill()
    rest, _ = program.communicate()
    recorded = {line.strip() for line in [*printed, *rest.splitlines(keepends=True)] if line.endswith("\n")}

    database = sqlite3.connect(tmp_path / "gearbox.db")
    kept = {row[0] for row in database.execute("SELECT id FROM inference")}
    halves = database.execute("SELECT inference_id FROM attempt GROUP BY inference_id HAVING count(*) <> 4").fetchall()
    (sound,) = database.execute("PRAGMA integrity_check").fetchone()
    database.close()

    assert len(recorded) >= 60
    assert recorded <= kept
    assert halves == []
    assert sound == "ok"


async def test_many_at_once_share_few_transactions(sql_history):
    commits = []
    event.listen(sql_history.engine.sync_engine, "commit", commits.append)

    await asyncio.gather(*(sql_history.record(build_outcome(f"r-{n}")) for n in range(100)))

    assert 1 <= len(commits) <= 3
    assert sql_history.backlog == 0


async def test_groups_are_bounded(sql_url):
    history = await SqlHistory.open(sql_url, group_limit=10)
    commits = []
    event.listen(history.engine.sync_engine, "commit", commits.append)

    await asyncio.gather(*(history.record(build_outcome(f"r-{n}")) for n in range(100)))

    assert len(commits) == 10
    await history.aclose()


async def test_a_poison_row_fails_its_own_caller_only(sql_history):
    outcomes = [poison("r-3") if n == 3 else build_outcome(f"r-{n}") for n in range(8)]

    ended = await asyncio.gather(*map(sql_history.record, outcomes), return_exceptions=True)

    assert [type(each) for each in ended if each is not None] == [RowRefused]
    assert "r-3" in str(ended[3])
    stored = [await sql_history.decision(f"r-{n}", BLUE) for n in range(8)]
    assert [n for n, told in enumerate(stored) if told is None] == [3]


async def test_a_refused_row_leaves_no_half_behind(sql_history):
    bad_call = paid_call("small", cost_nanousd=TOO_LARGE)
    outcome = build_outcome(attempts=(rejected_small(), rejected_small()), extra_calls=(bad_call,), baseline_nanousd=0)
    with pytest.raises(RowRefused):
        await sql_history.record(outcome)
    assert await sql_history.decision("r-1", BLUE) is None


async def test_no_error_quotes_the_prompt(sql_history):
    with pytest.raises(RowRefused) as caught:
        await sql_history.record(build_outcome(question="my secret", baseline_nanousd=TOO_LARGE))
    assert "my secret" not in f"{caught.value} {caught.value.__cause__}"


async def test_closing_writes_what_is_queued(sql_url):
    history = await SqlHistory.open(sql_url)
    waiting = [asyncio.create_task(history.record(build_outcome(f"r-{n}"))) for n in range(20)]
    await asyncio.sleep(0)

    await history.aclose()

    await asyncio.gather(*waiting)
    again = await SqlHistory.open(sql_url)
    assert all([await again.decision(f"r-{n}", BLUE) for n in range(20)])
    await again.aclose()


async def test_a_caller_who_leaves_does_not_take_the_outcome_along(sql_history):
    leaving = asyncio.create_task(sql_history.record(build_outcome("r-left")))
    await asyncio.sleep(0)
    leaving.cancel()

    await sql_history.record(build_outcome("r-stayed"))

    assert await sql_history.decision("r-left", BLUE) is not None


async def test_two_stores_on_one_database_write_at_the_same_time(sql_url):
    one, other = await SqlHistory.open(sql_url), await SqlHistory.open(sql_url)
    # every id comes from both sides: each is stored once, and neither side sees an error
    both = [store.record(build_outcome(f"r-{n}")) for n in range(40) for store in (one, other)]
    await asyncio.gather(*both, *(one.late_cost("r-0", 1) for _ in range(10)))

    told = await other.decision("r-39", BLUE)

    assert len(told["labels"]) == 2
    await one.aclose()
    await other.aclose()


async def test_a_server_that_stops_is_said_to_be_away_to_everyone_who_waits():
    with running_postgres() as server:
        history = await SqlHistory.open(f"postgresql://postgres@/postgres?host={server.socket_dir}")
        await history.record(build_outcome("r-before"))

    with pytest.raises(StoreUnavailable, match="away"):
        await history.ping()
    ended = await asyncio.gather(*(history.record(build_outcome(f"r-{n}")) for n in range(3)), return_exceptions=True)
    assert [type(each) for each in ended] == [StoreUnavailable] * 3
    await history.aclose()


async def test_a_database_that_does_not_exist_is_said_to_be_away(postgres):
    with pytest.raises(StoreUnavailable, match='"nowhere" does not exist'):
        await SqlHistory.open(f"postgresql://postgres@/nowhere?host={postgres.socket_dir}")


async def test_a_lost_connection_is_replaced_without_an_error(postgres, postgresql_url):
    history = await SqlHistory.open(postgresql_url)
    await history.record(build_outcome("r-1"))
    kill = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{_name(postgresql_url)}'"
    postgres.run("psql", "-c", kill)

    await history.record(build_outcome("r-2"))

    assert await history.decision("r-2", BLUE) is not None
    await history.aclose()


async def test_a_crowd_shares_few_connections(postgresql_url):
    engine = create_engine(postgresql_url)
    ours = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'gearbox' AND pid <> pg_backend_pid()")

    async def ask(_):
        async with engine.connect() as connection:
            return (await connection.execute(ours)).scalar_one()

    assert max(await asyncio.gather(*map(ask, range(20 * POOL_MOST)))) < POOL_MOST
    await engine.dispose()


async def test_a_file_in_a_directory_that_does_not_exist_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"/missing does not exist: create it"):
        await SqlHistory.open(f"sqlite+aiosqlite:///{tmp_path}/missing/gearbox.db")


async def test_sqlite_syncs_every_commit_and_keeps_a_write_ahead_log(sqlite_url):
    engine = create_engine(sqlite_url)
    async with engine.connect() as connection:
        found = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    await engine.dispose()
    assert found == ["wal", 2, 1]  # 2 = FULL


def _name(url):
    return url.partition("@/")[2].partition("?")[0]
