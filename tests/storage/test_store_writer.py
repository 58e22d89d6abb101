"""The group writer alone, over a commit that the test controls."""

from __future__ import annotations

import asyncio

import pytest

from router.errors import StoreUnavailable
from storage.history.writer import GroupWriter


class Disk:
    """Takes groups; refuses those that hold "poison"; waits while `gate` is shut; is away when told so."""

    def __init__(self):
        self.groups = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False

    async def commit(self, group):
        await self.gate.wait()
        self.groups.append(list(group))
        if self.away:
            raise StoreUnavailable("away")
        if "poison" in group:
            raise ValueError("refused")


@pytest.fixture
async def disk():
    return Disk()


@pytest.fixture
async def writer(disk):
    made = GroupWriter(disk.commit, limit=3)
    yield made
    disk.gate.set()
    await made.aclose()


async def test_a_lone_item_does_not_wait_for_company(writer, disk):
    await writer.put("a")
    assert disk.groups == [["a"]]


async def test_what_came_during_a_commit_becomes_the_next_groups(writer, disk):
    disk.gate.clear()
    waiting = [asyncio.create_task(writer.put(item)) for item in "abcdefgh"]
    await asyncio.sleep(0.01)
    assert writer.backlog == 5
    disk.gate.set()
    await asyncio.gather(*waiting)
    assert ["".join(group) for group in disk.groups] == ["abc", "def", "gh"]


async def test_a_poisoned_group_is_written_again_one_by_one(writer, disk):
    ended = await asyncio.gather(*map(writer.put, ["a", "poison", "b"]), return_exceptions=True)
    assert disk.groups == [["a", "poison", "b"], ["a"], ["poison"], ["b"]]
    assert [type(each) for each in ended] == [type(None), ValueError, type(None)]


async def test_a_store_that_is_away_is_not_asked_row_by_row(writer, disk):
    disk.away = True
    ended = await asyncio.gather(*map(writer.put, "abc"), return_exceptions=True)
    assert [type(each) for each in ended] == [StoreUnavailable] * 3
    assert len(disk.groups) == 1


async def test_closing_drains_the_queue_and_refuses_what_comes_after(writer, disk):
    waiting = [asyncio.create_task(writer.put(item)) for item in "abcd"]
    await asyncio.sleep(0)
    await writer.aclose()
    await asyncio.gather(*waiting)
    with pytest.raises(StoreUnavailable, match="closed"):
        await writer.put("e")


async def test_nobody_waits_for_ever_when_the_writer_is_cancelled(writer, disk):
    disk.gate.clear()
    waiting = [asyncio.create_task(writer.put(item)) for item in "abcde"]
    await asyncio.sleep(0.01)
    writer._task.cancel()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in ended] == [StoreUnavailable] * 5
