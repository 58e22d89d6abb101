"""The journal: a folder of segments, where outcomes wait durably for a database that is away.

The law of this file: it keeps entries and hands them out again, in the order they were given; it knows no database and
decides nothing. One thread does all that touches the disk, so that nothing here needs a lock. Several processes share
a folder: each writes its own segments and takes up those of processes that have ended, `kill -9` included.

    append -> the open segment -> sealed (full, or about to be replayed) -> batch by batch to the database -> deleted

The folder must be on a local disk (flock), belong to one database, and outlive the process.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

import structlog

from router.errors import ConfigError, StoreUnavailable
from storage.history.writer import GroupWriter
from storage.journal.entries import decoded, encoded
from storage.journal.segment import SUFFIX, Segment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from storage.journal.entries import Entry

#: A segment larger than this is sealed, so that the disk is given back while a long journal is being replayed.
SEGMENT_BYTES = 32 * 1024 * 1024
#: Where lines go that the database refuses or that cannot be read; for a person to look at, never read again.
REFUSED = "refused.jsonl"
T = TypeVar("T")
_log = structlog.get_logger("gearbox.journal")


class JournalUnwritable(StoreUnavailable):
    """The disk is full, gone or broken: the entry is not kept."""

    code = "journal_unwritable"


@dataclass(frozen=True, slots=True)
class Batch:
    """The oldest entries, and where they stand; `taken` counts their lines, unreadable ones too."""

    entries: Sequence[Entry]
    taken: int
    offset: int


@dataclass(slots=True)
class _Sealed:
    """A segment that is only read: where reading goes on, and how many lines are left."""

    segment: Segment
    left: int
    offset: int = 0


class Journal:
    """Entries on disk. Made by `open`; belongs to the event loop it was opened on.

    Args:
        folder: its home.
        segment_bytes: the size at which a segment is sealed.
    """

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder = folder
        self._segment_bytes = segment_bytes
        self._open: Segment | None = None
        self._open_lines = 0
        self._sealed: deque[_Sealed] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gearbox-journal")
        self._writer: GroupWriter[bytes] = GroupWriter(self._write)

    @classmethod
    async def open(cls, folder: Path, **options: int) -> Journal:
        """Make the folder, see that it can be written, take up what ended processes left.

        Raises:
            ConfigError: the folder cannot be made or written.
        """
        journal = cls(folder, **options)
        try:
            await journal._run(journal._prepare)
        except OSError as error:
            await journal.aclose()
            raise ConfigError(
                f"the journal {folder} cannot be written ({error.strerror}): name another folder in store.journal"
            ) from error
        await journal.adopt()
        return journal

    @property
    def pending(self) -> int:
        """How many entries of this process's segments are not in the database yet."""
        return self._open_lines + sum(sealed.left for sealed in tuple(self._sealed))

    async def append(self, entry: Entry) -> None:
        """Keep an entry; returns once it is on the disk.

        Raises:
            JournalUnwritable: it is not.
        """
        await self._writer.put(encoded(entry))

    async def adopt(self) -> int:
        """Take up the segments of processes that have ended; how many."""
        return await self._run(self._adopt)

    async def seal(self) -> None:
        """Close the open segment, so that it can be replayed; the next entry opens another."""
        await self._run(self._seal)

    async def batch(self, most: int) -> Batch | None:
        """The oldest entries of what is sealed; None = there are none. The same again until `done` is said."""
        while self._sealed:
            found = await self._run(self._read, self._sealed[0], most)
            if found.taken:
                return found
            await self._run(self._drop_first)
        return None

    async def done(self, batch: Batch) -> None:
        """A batch is in the database: forget it, and its segment once nothing is left in it."""
        first = self._sealed[0]
        first.offset, first.left = batch.offset, max(first.left - batch.taken, 0)
        if first.offset >= first.segment.size:
            await self._run(self._drop_first)

    async def refuse(self, entry: Entry) -> None:
        """Put an entry aside that the database will never take."""
        await self._run(self._put_aside, [encoded(entry)])

    async def aclose(self) -> None:
        """Write what is queued, and let go of the segments: another process may take them up."""
        await self._writer.aclose()
        await self._run(self._let_go)
        await asyncio.to_thread(self._thread.shutdown)

    async def _run(self, function: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)

    async def _write(self, lines: Sequence[bytes]) -> None:
        try:
            await self._run(self._append, lines)
        except OSError as error:
            raise JournalUnwritable(f"the journal {self.folder} cannot be written: {error.strerror}") from error

    # on the thread

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._new().close()

    def _new(self) -> Segment:
        return Segment.create(self.folder / f"{time.time_ns():020d}-{uuid.uuid4().hex}{SUFFIX}")

    def _append(self, lines: Sequence[bytes]) -> None:
        if self._open is None:
            self._open = self._new()
        try:
            self._open.append(lines)
        except OSError:
            self._seal()
            raise
        self._open_lines += len(lines)
        if self._open.size >= self._segment_bytes:
            self._seal()

    def _seal(self) -> None:
        if self._open is None:
            return
        sealed, self._open = _Sealed(self._open, self._open_lines), None
        self._open_lines = 0
        if sealed.left:
            self._sealed.append(sealed)
        else:
            sealed.segment.close()

    def _adopt(self) -> int:
        ours = {sealed.segment.path for sealed in self._sealed} | ({self._open.path} if self._open else set())
        found = sorted(path for path in self.folder.glob(f"*{SUFFIX}") if path not in ours)
        adopted = [segment for path in found if (segment := Segment.adopt(path)) is not None]
        for segment in adopted:
            self._sealed.append(_Sealed(segment, sum(1 for _ in segment.lines())))
        if adopted:
            _log.info("taking up the journal of a process that has ended", segments=len(adopted))
        return len(adopted)

    def _read(self, sealed: _Sealed, most: int) -> Batch:
        lines = list(islice(sealed.segment.lines(sealed.offset), most))
        offset = sealed.offset + sum(map(len, lines))
        entries, unreadable = [], []
        for line in lines:
            entry = decoded(line)
            if entry is not None:
                entries.append(entry)
            elif line.endswith(b"\n"):  # without its end it is a torn tail, for which nobody was told that it is kept
                unreadable.append(line)
        if unreadable:
            where = str(sealed.segment.path)
            _log.error("lines of the journal cannot be read; put aside", lines=len(unreadable), segment=where)
            self._put_aside(unreadable)
        return Batch(entries, len(lines), offset)

    def _put_aside(self, lines: Sequence[bytes]) -> None:
        with (self.folder / REFUSED).open("ab") as file:
            file.writelines(lines)

    def _drop_first(self) -> None:
        self._sealed.popleft().segment.remove()

    def _let_go(self) -> None:
        for sealed in self._sealed:
            sealed.segment.close()
        if self._open is not None:
            self._open.close()
        self._sealed.clear()
        self._open = None
