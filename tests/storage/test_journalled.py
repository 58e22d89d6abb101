"""Answers keep flowing while the database is gone, slow or full, and everything is in it once in the end."""

from __future__ import annotations

import asyncio
import errno
import signal
import time

import pytest
from outcomes import build_outcome, late_of
from postgres_server import running_postgres
from programs import start
from sqlalchemy import text

from router.domain import Caller
from router.errors import StoreUnavailable
from storage.history.journalled import JournalledHistory
from storage.history.memory import MemoryHistory
from storage.history.store import SqlHistory
from storage.journal import segment as segment_module
from storage.journal.journal import REFUSED, Journal

BLUE = Caller(team="blue")
TOO_LARGE = 2**70


class Outage(MemoryHistory):
    """A store that is away or silent on demand, and counts what it is given."""

    def __init__(self):
        super().__init__()
        self.mode, self.tries, self.batches = "up", 0, []

    async def ping(self):
        await super().ping()
        if self.mode == "away":
            raise StoreUnavailable("away")
        if self.mode == "silent":
            await asyncio.sleep(60)

    async def record(self, outcome):
        self.tries += 1
        await super().record(outcome)

    async def replay(self, entries):
        self.batches.append(len(entries))
        await super().replay(entries)


@pytest.fixture
async def store():
    return Outage()


@pytest.fixture
async def history(store, tmp_path):
    opened = JournalledHistory(store, await Journal.open(tmp_path / "journal"), patience_s=0.1, probe_s=0.02, held=5)
    yield opened
    store.mode = "up"
    await opened.aclose()


async def replayed(history):
    async with asyncio.timeout(30):
        while history.backlog or history.away:  # noqa: ASYNC110 - what is watched has no event
            await asyncio.sleep(0.01)


async def told(history, n):
    return [place for place in range(n) if await history.decision(f"r-{place}", BLUE) is None]


def positions(decision):
    """The places of a request's calls, late ones included."""
    return sorted(call["position"] for rung in decision["attempts"] for call in rung["calls"])


async def counted(store, table):
    async with store.engine.connect() as connection:
        return (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one()


@pytest.mark.parametrize("mode", ["away", "silent"])
async def test_what_is_recorded_during_an_outage_is_in_the_store_after_it(history, store, mode):
    store.mode = mode
    await asyncio.gather(*(history.record(build_outcome(f"r-{n}")) for n in range(250)))
    assert history.backlog == 250
    store.mode = "up"
    await replayed(history)
    assert await told(history, 250) == []
    assert max(store.batches) <= 100


async def test_only_the_first_requests_wait_for_a_silent_database(history, store):
    store.mode = "silent"
    await history.record(build_outcome("r-0"))
    began = time.perf_counter()
    for n in range(1, 20):
        await history.record(build_outcome(f"r-{n}"))
    assert time.perf_counter() - began < 1
    assert store.tries == 1


async def test_a_late_cost_waits_behind_its_outcome_and_is_added_once(history, store):
    store.mode = "away"
    await history.record(build_outcome("r-0"))
    assert await history.late_cost("r-0", 7) is True
    store.mode = "up"
    await replayed(history)
    assert (await history.decision("r-0", BLUE))["late_cost_nanousd"] == 7


async def test_a_late_verdict_is_kept_though_other_outcomes_are_queued(history, store, monkeypatch):
    await history.record(build_outcome("r-0"))
    monkeypatch.setattr(type(store), "backlog", 3)
    assert await history.late(late_of(build_outcome("r-0")))
    assert history.notes() == {}


async def test_a_late_verdict_that_was_stored_too_slowly_is_paid_once(history, store):
    await history.record(build_outcome("r-0"))
    late = late_of(build_outcome("r-0"))
    quick = store.late_once

    async def stored_but_slow(*given):
        await quick(*given)
        await asyncio.sleep(1)

    store.late_once = stored_but_slow
    assert await history.late(late) is None
    await replayed(history)
    assert (await history.decision("r-0", BLUE))["late_cost_nanousd"] == late.cost_nanousd > 0


async def test_a_late_verdict_during_an_outage_is_paid_and_learnt_once(history, store):
    await history.record(build_outcome("r-0"))
    store.mode = "away"
    await history.record(build_outcome("r-1"))
    late = late_of(build_outcome("r-0"))
    for request in ("r-0", "r-1"):
        assert await history.late(late_of(build_outcome(request))) is None
    store.mode = "up"
    await replayed(history)
    for request in ("r-0", "r-1"):
        found = await history.decision(request, BLUE)
        assert found["late_cost_nanousd"] == late.cost_nanousd > 0
        assert found["evidence"]["late"]["verdict"] == "valid"
        assert [label["correct"] for label in found["labels"] if label["tier"] == "large"][-1] == 0.25
        assert positions(found) == [0, 1, 2, 3, 4]


async def test_feedback_during_an_outage_is_kept_and_learnt_once(history, store):
    await history.record(build_outcome("r-0"))
    store.mode = "away"
    await history.record(build_outcome("r-1"))
    for request in ("r-0", "r-1"):
        given = await history.feedback(request, BLUE, 0.0, "me", "wrong")
        assert (given.queued, given.labels) == (True, ())
    store.mode = "up"
    await replayed(history)
    for request in ("r-0", "r-1"):
        labels = (await history.decision(request, BLUE))["labels"]
        assert [(each["correct"], each["by"]) for each in labels if each["source"] == "feedback"] == [(0.0, "me")]


async def test_feedback_during_an_outage_touches_no_other_teams_labels(history, store):
    await history.record(build_outcome("r-0"))
    store.mode = "away"
    await history.feedback("r-0", Caller(team="red"), 0.0, "red", "")
    await history.feedback("r-0", Caller(team="red", admin=True), 1.0, "admin", "")
    store.mode = "up"
    await replayed(history)
    labels = (await history.decision("r-0", BLUE))["labels"]
    assert [each["by"] for each in labels if each["source"] == "feedback"] == ["admin"]


async def test_a_batch_that_was_applied_just_before_the_crash_is_applied_once(sql_url, tmp_path):
    store = await SqlHistory.open(sql_url)
    journal = await Journal.open(tmp_path / "journal")
    away = JournalledHistory(store, journal, away=True, probe_s=60, patience_s=0)
    await away.record(build_outcome("r-0"))
    await away.late_cost("r-0", 7)
    await away.late(late_of(build_outcome("r-0")))
    await away.feedback("r-0", BLUE, 0.0, "me", "")
    await journal.seal()
    await store.replay((await journal.batch(9)).entries)  # and `done` is never said
    await away.aclose()

    again = JournalledHistory(await SqlHistory.open(sql_url), await Journal.open(tmp_path / "journal"))
    await replayed(again)
    found = await again.decision("r-0", BLUE)
    late = late_of(build_outcome("r-0"))
    assert found["late_cost_nanousd"] == 7 + late.cost_nanousd
    assert len(found["labels"]) == 2 + len(late.labels) + 1
    assert positions(found) == [0, 1, 2, 3, 4]
    await again.aclose()


def full_disk(descriptor, data):
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_is_an_alarm_and_answers_flow_until_memory_has_its_fill(history, store, monkeypatch):
    await history.ready()
    store.mode = "away"
    with monkeypatch.context() as patched:
        patched.setattr(segment_module.os, "write", full_disk)
        for n in range(5):
            await history.record(build_outcome(f"r-{n}"))
        with pytest.raises(StoreUnavailable, match="No space left"):
            await history.record(build_outcome("r-5"))
        with pytest.raises(StoreUnavailable, match="held in memory"):
            await history.ready()
        assert history.backlog == 5
    await asyncio.sleep(0.1)
    await history.ready()  # the journal has taken them
    store.mode = "up"
    await replayed(history)
    assert await told(history, 5) == []


async def test_a_row_that_the_database_refuses_holds_nobody_up(sql_url, tmp_path):
    store, journal = await SqlHistory.open(sql_url), await Journal.open(tmp_path / "journal")
    history = JournalledHistory(store, journal, away=True, probe_s=0.05, patience_s=0)
    for n in range(3):
        await history.record(build_outcome(f"r-{n}", baseline_nanousd=TOO_LARGE if n == 1 else 0))
    history._patience_s = 5
    await replayed(history)
    assert await told(history, 3) == [1]
    assert b"r-1" in (tmp_path / "journal" / REFUSED).read_bytes()
    await history.aclose()


async def test_recording_goes_on_while_a_long_journal_is_replayed(sqlite_url, tmp_path):
    store, journal = await SqlHistory.open(sqlite_url), await Journal.open(tmp_path / "journal")
    history = JournalledHistory(store, journal, away=True, probe_s=0.05, patience_s=0)
    await asyncio.gather(*(history.record(build_outcome(f"r-{n}")) for n in range(2_000)))
    history._patience_s = 5
    while history.away:  # noqa: ASYNC110 - what is watched has no event
        await asyncio.sleep(0.005)
    slowest, n = 0.0, 2_000
    while journal.pending:
        began = time.perf_counter()
        await history.record(build_outcome(f"r-{n}"))
        slowest, n = max(slowest, time.perf_counter() - began), n + 1
    assert n > 2_000
    assert slowest < 2
    assert await counted(store, "inference") == n
    await history.aclose()


def test_kill_9_with_a_journal_is_replayed_at_the_next_start(sqlite_url, tmp_path):
    program = start("journal_until_killed.py", sqlite_url, str(tmp_path / "journal"))
    printed = [program.stdout.readline() for _ in range(60)]
    program.kill()
    rest, _ = program.communicate()
    kept = {line.strip() for line in [*printed, *rest.splitlines(keepends=True)] if line.endswith("\n")}
    assert len(kept) >= 60

    async def missing():
        store = await SqlHistory.open(sqlite_url)
        history = JournalledHistory(store, await Journal.open(tmp_path / "journal"))
        await replayed(history)
        found = [each for each in kept if await history.decision(each, BLUE) is None]
        async with store.engine.connect() as connection:
            twice = "SELECT inference_id FROM label GROUP BY inference_id HAVING count(*) <> 2"
            found += (await connection.execute(text(twice))).scalars()
        await history.aclose()
        return found

    assert asyncio.run(missing()) == []
    assert list((tmp_path / "journal").iterdir()) == []


class Load:
    """Requests that go on recording until they are told to stop; the longest wait of any of them."""

    def __init__(self, history):
        self.history, self.going, self.count, self.slowest = history, True, 0, 0.0

    async def lane(self):
        while self.going:
            n, self.count = self.count, self.count + 1
            began = time.perf_counter()
            await self.history.record(build_outcome(f"r-{n}"))
            self.slowest = max(self.slowest, time.perf_counter() - began)
            await asyncio.sleep(0.005)


async def test_a_postgresql_that_stops_hangs_and_crashes_under_load_loses_nothing(tmp_path):
    with running_postgres() as server:
        store = await SqlHistory.open(server.url)
        history = JournalledHistory(store, await Journal.open(tmp_path / "journal"), patience_s=0.5, probe_s=0.1)
        load = Load(history)
        lanes = [asyncio.create_task(load.lane()) for _ in range(8)]
        for fault, mend in (
            (server.stop, server.start),
            (server.pause, server.resume),
            (lambda: server.stop(signal.SIGQUIT), server.start),
        ):
            await asyncio.sleep(0.3)
            await asyncio.to_thread(fault)
            before = load.count
            await asyncio.sleep(1.2)
            assert history.away
            assert load.count > before + 20
            await asyncio.to_thread(mend)
            async with asyncio.timeout(30):
                while history.away:  # noqa: ASYNC110 - what is watched has no event
                    await asyncio.sleep(0.02)
        load.going = False
        await asyncio.gather(*lanes)
        await replayed(history)
        found = await counted(store, "inference"), await counted(store, "label")
        assert found == (load.count, 2 * load.count)
        assert load.slowest < 5
        await history.aclose()
