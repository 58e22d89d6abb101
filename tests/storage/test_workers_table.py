"""Who shares a store: two workers that start at once see each other, and one that was silent signs in anew."""

from __future__ import annotations

import asyncio

import pytest

from storage.money.bank_sql import SqlBank
from storage.money.workers import SqlWorkers


@pytest.fixture
def workers(sql_engine, clock):
    return SqlWorkers(SqlBank(sql_engine, clock=clock))


async def test_of_two_that_start_at_once_one_sees_the_other(workers):
    for number in range(20):
        names = [f"a-{number}", f"b-{number}"]
        found = await asyncio.gather(*(workers.enter(name, f"config of {name}") for name in names))
        assert any(peer.id in names for peers in found for peer in peers)


async def test_a_worker_that_was_silent_for_a_lease_is_listed_again(workers, clock):
    await workers.enter("old", "config")
    clock.now += 100
    assert await workers.enter("new", "other config") == []
    assert not await workers.renew("old")
    (peer,) = await workers.enter("old", "config")
    assert (peer.id, peer.config) == ("new", "other config")
    assert await workers.renew("old")


async def test_signing_in_twice_is_harmless(workers):
    await workers.enter("w", "config")
    assert await workers.enter("w", "config") == []
    await workers.leave("w")
    assert not await workers.renew("w")
