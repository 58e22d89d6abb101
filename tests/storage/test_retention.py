"""Old rows go, text goes earlier, money stays as long as its row; and nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from outcomes import EMBEDDER, NOW, build_outcome, late_of
from sqlalchemy import text

from router.domain import Caller
from storage.history.retention import Retention
from storage.history.store import SqlHistory

BLUE = Caller(team="blue")
DAY = 86_400


def at_day(n, **changes):
    return build_outcome(f"r-{n}", at=NOW - n * DAY, **changes)


async def kept(history, places):
    return [n for n in places if await history.decision(f"r-{n}", BLUE) is not None]


async def test_rows_go_with_all_that_hangs_on_them(sql_history):
    for n in range(6):
        await sql_history.record(at_day(n))
    assert await Retention(sql_history.engine, 2.5, batch=2, pause_s=0, clock=lambda: NOW).round() == (3, 0)
    assert await kept(sql_history, range(6)) == [0, 1, 2]
    async with sql_history.engine.connect() as connection:
        for table, rows in (("attempt", 12), ("label", 6), ("tag", 3)):
            assert (await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == rows


async def test_text_goes_and_the_story_stays(sql_history):
    await sql_history.record(at_day(5))
    await sql_history.late(late_of(at_day(5)))
    await sql_history.feedback("r-5", BLUE, 1.0, "ann", "she wrote 42 herself")
    before = await sql_history.decision("r-5", BLUE)
    assert await Retention(sql_history.engine, 30, 2, clock=lambda: NOW).round() == (0, 1)
    after = await sql_history.decision("r-5", BLUE)
    for word in ("What is 6", "The answer is", "6 x 7 = 42", "UpstreamUnavailable", "herself"):
        assert (word in json.dumps(before), word in json.dumps(after)) == (True, False)
    assert (after["question_hash"], after["cost_nanousd"]) == (None, before["cost_nanousd"])
    assert [rung["verdict"] for rung in after["attempts"]] == ["invalid", "unjudged"]
    assert (after["evidence"]["late"]["verdict"], after["evidence"]["late"]["reason"]) == ("valid", None)
    assert [[each.id for each in batch] async for batch in sql_history.questions(EMBEDDER)] == [["r-5"]]
    assert await Retention(sql_history.engine, 30, 2, clock=lambda: NOW).round() == (0, 0)


async def test_without_an_age_nothing_goes(sql_history):
    await sql_history.record(at_day(5_000))
    assert await Retention(sql_history.engine, None, clock=lambda: NOW).round() == (0, 0)
    assert await kept(sql_history, [5_000]) == [5_000]


async def test_two_processes_remove_each_row_once(sql_url):
    one, other = await SqlHistory.open(sql_url), await SqlHistory.open(sql_url)
    await asyncio.gather(*(one.record(at_day(n)) for n in range(60)))
    both = [Retention(each.engine, 9.5, batch=5, pause_s=0, clock=lambda: NOW).round() for each in (one, other)]
    gone = sum(rows for rows, _ in await asyncio.gather(*both))
    assert await kept(one, range(60)) == list(range(10))
    assert gone == 50
    await one.aclose()
    await other.aclose()


@pytest.mark.parametrize("rows", [1_500])
async def test_recording_goes_on_while_rows_are_removed(sql_history, rows):
    await asyncio.gather(*(sql_history.record(_old(n)) for n in range(rows)))
    removing = asyncio.create_task(Retention(sql_history.engine, 1, clock=lambda: NOW, pause_s=0.01).round())
    slowest, n = 0.0, 0
    while not removing.done():
        began = time.perf_counter()
        await sql_history.record(build_outcome(f"new-{n}"))
        slowest, n = max(slowest, time.perf_counter() - began), n + 1
    assert await removing == (rows, 0)
    assert n > 5
    assert slowest < 2


def _old(n):
    return build_outcome(f"old-{n}", at=NOW - 5 * DAY)
