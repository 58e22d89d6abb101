"""One file of the journal: lines that are appended and synced, and read again from the start.

The law of this file: blocking calls on one file, for a thread; it knows lines and no entry. Whoever has a segment open
holds its lock (flock), which ends with the process however that ends: a segment that can be locked belongs to nobody.
A line counts once `append` has returned; what a crash leaves behind the last such line is a torn tail.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

SUFFIX = ".journal"
_READ_BYTES = 1 << 20


class Segment:
    """An open, locked file.

    Args:
        path: where it is.
        descriptor: open for reading and appending, locked.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size

    @classmethod
    def create(cls, path: Path) -> Segment:
        """A new file, its name durable; nobody but this user may read it, for it holds prompts.

        Raises:
            OSError: it cannot be made.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @classmethod
    def adopt(cls, path: Path) -> Segment | None:
        """A file that no living process holds; None where one does, or where the file is gone."""
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.stat().st_ino == os.fstat(descriptor).st_ino:
                return cls(path, descriptor)
        except (BlockingIOError, FileNotFoundError):
            pass
        os.close(descriptor)
        return None

    def append(self, lines: Sequence[bytes]) -> None:
        """Write lines and sync them; after an error nothing of them is there, as far as the disk lets us say so.

        Raises:
            OSError: the disk is full, gone or broken. The segment takes no more lines.
        """
        data = b"".join(lines)
        try:
            written = 0
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self.size)
            raise
        self.size += len(data)

    def lines(self, offset: int = 0) -> Iterator[bytes]:
        """The lines from an offset on, their ends included; a torn last one without."""
        rest = b""
        while data := os.pread(self._descriptor, _READ_BYTES, offset):
            offset += len(data)
            *whole, rest = (rest + data).split(b"\n")
            yield from (line + b"\n" for line in whole)
        if rest:
            yield rest

    def remove(self) -> None:
        """Delete the file and let go of it: everything in it is in the database."""
        self.path.unlink(missing_ok=True)
        sync_folder(self.path.parent)
        self.close()

    def close(self) -> None:
        """Let go of it; another process may take it up. An empty one is deleted, for it tells nothing."""
        if self._descriptor < 0:
            return
        if not self.size:
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = -1


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
