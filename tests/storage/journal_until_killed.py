"""Journals outcomes until it is killed, several at a time; prints each id once `record` has returned. Run by a test."""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

from outcomes import build_outcome

from storage.history.journalled import JournalledHistory
from storage.history.store import SqlHistory
from storage.journal.journal import Journal


async def record_for_ever(history, lane):
    for n in itertools.count():
        await history.record(build_outcome(f"r-{lane}-{n}"))
        sys.stdout.write(f"r-{lane}-{n}\n")
        sys.stdout.flush()


async def main():
    store, journal = await SqlHistory.open(sys.argv[1]), await Journal.open(Path(sys.argv[2]))
    history = JournalledHistory(store, journal, away=True, patience_s=0, probe_s=600)
    await asyncio.gather(*(record_for_ever(history, lane) for lane in range(4)))


asyncio.run(main())
