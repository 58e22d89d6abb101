"""What the journal promises: what it took is there after any crash, in order, and is handed out until it is done."""

from __future__ import annotations

import asyncio
import errno
import shutil
from datetime import UTC, datetime

import numpy as np
import pytest
from outcomes import build_outcome, late_of

from router.domain import Caller
from router.errors import ConfigError
from storage.history.rows import late_rows_of, rows_of, unpacked
from storage.journal import segment as segment_module
from storage.journal.entries import LateCost, LateVerdict, decoded, encoded, opinion
from storage.journal.journal import REFUSED, Journal, JournalUnwritable


@pytest.fixture
async def journal(tmp_path):
    opened = await Journal.open(tmp_path / "journal")
    yield opened
    await opened.aclose()


def late(n):
    return LateCost(f"op-{n}", f"r-{n}", n)


async def drained(journal, most=100):
    await journal.seal()
    found = []
    while (batch := await journal.batch(most)) is not None:
        found += batch.entries
        await journal.done(batch)
    return found


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"store": False},
        {"vector": None},
        {"question": "two\nlines, \u2028 and \ud800"},
        {"baseline_nanousd": 2**70},
    ],
    ids=["whole", "store off", "no vector", "odd text", "absurd number"],
)
def test_an_outcome_is_the_same_after_the_journal(changes):
    rows = rows_of(build_outcome(**changes))
    line = encoded(rows)
    assert line.count(b"\n") == 1
    assert decoded(line) == rows


@pytest.mark.parametrize("store", [True, False], ids=["with its text", "without"])
def test_what_is_added_afterwards_is_the_same_after_the_journal(store):
    now = datetime.now(UTC)
    verdict = LateVerdict("op-1", late_rows_of(late_of(build_outcome(store=store)), now))
    assert decoded(encoded(verdict)) == verdict
    for caller in (Caller(team="blue"), Caller(admin=True)):
        said = opinion("r-1", caller, 0.25, "me", "a note\n", now)
        assert decoded(encoded(said)) == said


def test_an_embedding_keeps_every_bit():
    vector = np.random.default_rng(0).normal(size=384).astype(np.float32)
    again = decoded(encoded(rows_of(build_outcome(vector=vector))))
    np.testing.assert_array_equal(unpacked(again.inference["embedding"]), vector)


@pytest.mark.parametrize("cut", [0, 1, 8, 9, 30, -1])
def test_a_torn_line_is_no_entry(cut):
    assert decoded(encoded(late(1))[:cut]) is None


def test_a_flipped_bit_is_noticed():
    line = bytearray(encoded(late(1)))
    line[20] ^= 1
    assert decoded(bytes(line)) is None


async def test_entries_come_back_in_order_and_once(journal):
    await asyncio.gather(*(journal.append(late(n)) for n in range(250)))
    assert journal.pending == 250
    assert await drained(journal) == [late(n) for n in range(250)]
    assert journal.pending == 0
    assert list(journal.folder.iterdir()) == []


async def test_many_at_once_share_few_syncs(journal, monkeypatch):
    syncs = []
    monkeypatch.setattr(segment_module.os, "fdatasync", syncs.append)
    await asyncio.gather(*(journal.append(late(n)) for n in range(200)))
    assert 1 <= len(syncs) <= 3


async def test_a_batch_comes_again_until_it_is_done(journal):
    for n in range(3):
        await journal.append(late(n))
    await journal.seal()
    first = await journal.batch(2)
    assert await journal.batch(2) == first
    await journal.done(first)
    assert (await journal.batch(2)).entries == [late(2)]
    assert journal.pending == 1


async def test_what_comes_while_replaying_comes_last(journal):
    await journal.append(late(0))
    await journal.seal()
    await journal.append(late(1))
    batch = await journal.batch(9)
    await journal.done(batch)
    assert batch.entries == [late(0)]
    assert await drained(journal) == [late(1)]


async def test_full_segments_are_given_back_one_by_one(tmp_path):
    journal = await Journal.open(tmp_path / "journal", segment_bytes=100)
    for n in range(6):
        await journal.append(late(n))
    files = len(list(journal.folder.iterdir()))
    assert files == 3
    await journal.done(await journal.batch(2))
    assert len(list(journal.folder.iterdir())) == 2
    assert await drained(journal) == [late(2), late(3), late(4), late(5)]
    await journal.aclose()


async def test_the_next_process_takes_up_what_the_last_one_left(tmp_path):
    first = await Journal.open(tmp_path / "journal")
    await first.append(late(1))
    await first.aclose()
    second = await Journal.open(tmp_path / "journal")
    assert second.pending == 1
    assert await drained(second) == [late(1)]
    await second.aclose()


async def test_a_living_process_keeps_its_own(tmp_path, journal):
    await journal.append(late(1))
    other = await Journal.open(tmp_path / "journal")
    assert other.pending == 0
    await other.append(late(2))
    assert await journal.adopt() == 0
    assert (await drained(other), await drained(journal)) == ([late(2)], [late(1)])
    await other.aclose()


async def test_a_torn_tail_costs_nothing_that_was_kept(tmp_path):
    first = await Journal.open(tmp_path / "journal")
    for n in range(3):
        await first.append(late(n))
    await first.aclose()
    (file,) = first.folder.iterdir()
    file.write_bytes(file.read_bytes() + encoded(late(3))[:-7])
    second = await Journal.open(tmp_path / "journal")
    assert await drained(second) == [late(0), late(1), late(2)]
    assert list(second.folder.iterdir()) == []
    await second.aclose()


async def test_a_rotten_line_is_put_aside_and_the_rest_is_kept(tmp_path):
    first = await Journal.open(tmp_path / "journal")
    for n in range(3):
        await first.append(late(n))
    await first.aclose()
    (file,) = first.folder.iterdir()
    lines = file.read_bytes().splitlines(keepends=True)
    rotten = lines[1].replace(b"r-1", b"r-7")
    file.write_bytes(b"".join([lines[0], rotten, lines[2]]))
    second = await Journal.open(tmp_path / "journal")
    assert await drained(second) == [late(0), late(2)]
    assert (second.folder / REFUSED).read_bytes() == rotten
    await second.aclose()


def full_disk(descriptor, data):
    raise OSError(errno.ENOSPC, "No space left on device")


async def test_a_full_disk_is_told_and_leaves_no_half_line(journal, monkeypatch):
    await journal.append(late(0))
    with monkeypatch.context() as patched:
        patched.setattr(segment_module.os, "write", full_disk)
        with pytest.raises(JournalUnwritable, match="No space left"):
            await journal.append(late(1))
    await journal.append(late(2))
    assert await drained(journal) == [late(0), late(2)]


async def test_a_folder_that_is_gone_is_told(journal):
    shutil.rmtree(journal.folder)
    with pytest.raises(JournalUnwritable):
        await journal.append(late(1))


async def test_a_folder_that_cannot_be_made_is_the_operators_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"store\.journal"):
        await Journal.open(tmp_path / "file" / "journal")


async def test_nobody_else_may_read_it(journal):
    await journal.append(late(1))
    (file,) = journal.folder.iterdir()
    assert (file.stat().st_mode & 0o777, journal.folder.stat().st_mode & 0o777) == (0o600, 0o700)
