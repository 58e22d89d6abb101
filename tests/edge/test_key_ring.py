"""Who is calling, as one process remembers it: what it looks up, and what it does while the directory is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from app.edge.auth import KeyRing
from router.errors import StoreUnavailable, Unauthorized
from router.keys import KeyRecord, digest, new_key, shown
from storage.money.keys_memory import MemoryDirectory


class Directory(MemoryDirectory):
    """One whose revision can be held back, or be away."""

    def __init__(self):
        super().__init__()
        self.free = asyncio.Event()
        self.free.set()
        self.away = False

    async def revision(self):
        await self.free.wait()
        if self.away:
            raise StoreUnavailable("gone")
        return await super().revision()


@pytest.fixture
async def directory():
    return Directory()


@pytest.fixture
async def ring(directory):
    opened = await KeyRing.open((), None, directory, watch_s=1_000)
    yield opened
    await opened.aclose()


async def made(directory, **more):
    key = new_key()
    await directory.create(KeyRecord("key-1", shown(key), "blue", datetime.now(UTC), **more), digest(key))
    return {"authorization": f"Bearer {key}"}


async def test_a_key_is_found_while_the_directory_is_being_looked_at(directory, ring):
    headers = await made(directory)
    directory.free.clear()
    looking = asyncio.create_task(ring.refresh())
    await asyncio.sleep(0)
    assert (await ring.identify(headers)).team == "blue"
    directory.free.set()
    await looking


async def test_with_the_directory_away_known_keys_go_on_and_others_are_told_so(directory, ring):
    known = await made(directory)
    await ring.identify(known)
    directory.away = True
    with pytest.raises(StoreUnavailable):
        await ring.refresh()
    assert (await ring.identify(known)).team == "blue"
    with pytest.raises(StoreUnavailable, match="keys cannot be looked up"):
        await ring.identify({"authorization": f"Bearer {new_key()}"})


async def test_a_revoked_key_is_refused_once_its_revocation_was_seen(directory, ring):
    headers = await made(directory)
    await ring.identify(headers)
    await directory.revoke("key-1")
    await ring.refresh()
    with pytest.raises(Unauthorized):
        await ring.identify(headers)
