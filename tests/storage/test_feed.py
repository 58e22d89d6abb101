"""A replica sees what others learnt, whatever order they commit in; and forgets what is gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np
import pytest
from outcomes import EMBEDDER, MODELS, build_outcome
from sqlalchemy import delete, insert

from router.domain import Caller
from router.following import Follower
from router.memory_index import BruteForceNeighbours
from storage.history import feed as feed_module
from storage.history.feed import SqlFeed
from storage.history.memory import MemoryFeed, MemoryHistory
from storage.history.store import SqlHistory
from storage.schema import inference, label

BLUE = Caller(team="blue")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def shared(request):
    """(the store of one replica, that of another, the first one's feed) on the same data."""
    if request.param == "memory":
        one = other = MemoryHistory()
        made = MemoryFeed(one, EMBEDDER)
    else:
        url = request.getfixturevalue(f"{request.param}_url")
        one, other = await SqlHistory.open(url), await SqlHistory.open(url)
        made = SqlFeed(one, EMBEDDER)
    await made.begin()
    yield one, other, made
    await one.aclose()
    await other.aclose()


async def ids(feed):
    return [question.id for question in await feed.changed()]


async def test_what_another_replica_recorded_is_told_once(shared):
    _, other, feed = shared
    await other.record(build_outcome("r-1"))
    assert await ids(feed) == ["r-1"]
    assert await ids(feed) == []


async def test_a_question_is_told_with_its_team_vector_and_labels(shared):
    _, other, feed = shared
    await other.record(build_outcome("r-1", team="red"))
    (question,) = await feed.changed()
    assert (question.team, question.labels) == ("red", {MODELS["large"]: 1.0, MODELS["small"]: 0.0})
    np.testing.assert_array_equal(question.vector, np.array([0.6, 0.8, 0.0], dtype=np.float32))


async def test_feedback_is_told(shared):
    one, other, feed = shared
    await one.record(build_outcome("r-1"))
    await ids(feed)
    await other.feedback("r-1", BLUE, 0.25, "ann", "")
    (question,) = await feed.changed()
    assert question.labels[MODELS["large"]] == 0.25


async def test_what_is_of_no_use_to_the_index_is_passed_over(shared):
    _, other, feed = shared
    await other.record(build_outcome("off", store=False))
    await other.record(build_outcome("unlabelled", labels=()))
    await other.record(build_outcome("another model", embedding_model="other"))
    await other.record(build_outcome("r-1"))
    assert await ids(feed) == ["r-1"]


async def test_nobody_is_gone_who_is_there(shared):
    _, other, feed = shared
    await other.record(build_outcome("r-1"))
    assert await feed.gone(["r-1", "r-2"]) == ["r-2"]


async def test_more_than_one_call_holds_comes_in_several(sql_url, monkeypatch):
    monkeypatch.setattr(feed_module, "LABELS_PER_CALL", 4)
    history = await SqlHistory.open(sql_url)
    feed = SqlFeed(history, EMBEDDER)
    await feed.begin()
    for n in range(7):
        await history.record(build_outcome(f"r-{n}"))
    told = []
    while found := await ids(feed):
        told += found
    assert sorted(set(told)) == [f"r-{n}" for n in range(7)]
    await history.aclose()


def a_label(request_id):
    return {
        "inference_id": request_id, "tier": "large", "model": "m", "correct": 1.0, "source": "feedback",
        "weight": 1.0, "given_by": "", "note": "", "created_at": datetime.now(UTC),
    }  # fmt: skip


async def test_a_label_committed_after_a_later_one_is_still_told(postgresql_url, clock):
    history = await SqlHistory.open(postgresql_url)
    for n in (1, 2):
        await history.record(build_outcome(f"r-{n}"))
    feed = SqlFeed(history, EMBEDDER, clock=clock)
    await feed.begin()
    await ids(feed)
    async with history.engine.connect() as slow:
        await slow.execute(insert(label), [a_label("r-1")])
        await history.feedback("r-2", BLUE, 1.0, "", "")
        assert await ids(feed) == ["r-2"]
        assert await ids(feed) == []
        clock.now += feed_module.HOLE_S / 2
        await slow.commit()
    assert await ids(feed) == ["r-1"]
    await history.aclose()


async def test_an_id_that_was_rolled_back_is_asked_for_no_longer_than_a_transaction_lives(postgresql_url, clock):
    history = await SqlHistory.open(postgresql_url)
    for n in (1, 2):
        await history.record(build_outcome(f"r-{n}"))
    feed = SqlFeed(history, EMBEDDER, clock=clock)
    await feed.begin()
    await ids(feed)
    async with history.engine.connect() as slow:
        await slow.execute(insert(label), [a_label("r-1")])
        await slow.rollback()
    await history.feedback("r-2", BLUE, 1.0, "", "")
    await ids(feed)
    assert len(feed._open_holes()) >= 1
    clock.now += feed_module.HOLE_S + 1
    assert feed._open_holes() == []
    await history.aclose()


async def test_ids_that_begin_anew_are_noticed(sql_url):
    history = await SqlHistory.open(sql_url)
    feed = SqlFeed(history, EMBEDDER)
    await history.record(build_outcome("r-1"))
    feed._seen = 10**9
    assert await ids(feed) == []
    assert await ids(feed) == ["r-1"]
    await history.aclose()


async def test_an_index_follows_within_a_second_and_forgets_what_is_gone(sql_url):
    one, other = await SqlHistory.open(sql_url), await SqlHistory.open(sql_url)
    await other.record(build_outcome("before"))
    index = BruteForceNeighbours(3)
    follower = Follower(SqlFeed(one, EMBEDDER), index, lambda team: team, poll_s=0.02)
    running = asyncio.create_task(follower.run())
    await other.record(build_outcome("after"))
    async with asyncio.timeout(5):
        while await index.size("blue") < 2:  # noqa: ASYNC110 - what is watched has no event
            await asyncio.sleep(0.01)
    async with other.engine.begin() as connection:
        for table, column in ((label, label.c.inference_id), (inference, inference.c.id)):
            await connection.execute(delete(table).where(column == "before"))
    assert await follower.sweep() == 1
    assert await index.ids("blue") == ["after"]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await one.aclose()
    await other.aclose()
