"""Server-sent events, read and written at the level of bytes.

The reader is incremental: chunks may be cut anywhere, inside a line ending or a UTF-8 character. It understands CRLF,
CR and LF, comments, and data over several lines (WHATWG HTML, 9.2.6); field names other than `data` are passed over.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

DONE = b"data: [DONE]\n\n"
#: One pass over the bytes, however many lines a chunk has; a CR at the very end waits for the LF that may follow.
_LINE_END = re.compile(rb"\r\n|\n|\r(?=[^\n])")


class EventReader:
    """Bytes in, the data of complete events out."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._scanned = 0
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Take the next bytes; yield the data of every event that they complete."""
        self._pending += chunk
        for line in self._lines():
            if line:
                self._field(line)
            elif self._data:
                yield b"\n".join(self._data)
                self._data = []

    @property
    def unfinished(self) -> bool:
        """Whether an event was begun and not ended."""
        return bool(self._pending.strip() or self._data)

    def close(self) -> Iterator[bytes]:
        """The stream has ended: yield the last event where only its closing blank line is missing."""
        yield from self.feed(b"\n\n")

    def _lines(self) -> Iterator[bytes]:
        start = 0
        pending = self._pending
        while (end := _line_end(pending, max(start, self._scanned))) is not None:
            stop, after = end
            yield bytes(pending[start:stop])
            start, self._scanned = after, 0
        del pending[:start]
        # A line of many megabytes is not searched again from its beginning; the last byte may be a CR that waits.
        self._scanned = max(len(pending) - 1, 0)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))


def _line_end(buffer: bytearray, start: int) -> tuple[int, int] | None:
    """(where the line ends, where the next begins); None while a line, or a CR that may become CRLF, is incomplete."""
    found = _LINE_END.search(buffer, start)
    return None if found is None else found.span()


def event(data: Mapping[str, Any]) -> bytes:
    """One event, as OpenAI writes it."""
    return b"data: " + orjson.dumps(data) + b"\n\n"


def comment(text: str) -> bytes:
    """A comment line, which keeps a connection alive and which every client passes over."""
    return b": " + text.replace("\r", " ").replace("\n", " ").encode() + b"\n\n"
