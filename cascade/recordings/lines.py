"""Gzipped JSON lines, read strictly: every line is one JSON object, or an error names the file and the line.

The law of this file: it knows gzip, UTF-8 and JSON, nothing of what the objects mean.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from typing import TYPE_CHECKING

import orjson

from cascade.recordings.fields import Fields, Place
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_objects(path: Path, *, may_be_empty: bool = False) -> Iterator[Fields]:
    """Each line's object with its place.

    Raises:
        ConfigError: no such file, no gzip, cut or damaged gzip, an empty file or line, bad UTF-8, bad JSON, no object.
    """
    last = 0
    for last, line in enumerate(_lines(path), 1):
        yield _object(line, Place(path, last))
    if last == 0 and not may_be_empty:
        raise Place(path, 1).fault("the file is empty; it needs at least one JSON object, one a line")


def _lines(path: Path) -> Iterator[bytes]:
    """The file's lines, decompressed as they are read, so that a fault in the gzip stream has a line number."""
    line = 0
    try:
        with gzip.open(path, "rb") as stream:
            for line, text in enumerate(stream, 1):  # noqa: B007 - the except clauses read it
                yield text
    except FileNotFoundError:
        raise ConfigError(f"{path}, line 1: there is no such file") from None
    except EOFError as error:
        raise Place(path, _intact_lines(path) + 1).fault("the gzip stream ends here: the file is truncated") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise Place(path, _intact_lines(path) + 1).fault(f"this is no intact gzip stream ({error})") from error
    except OSError as error:
        raise Place(path, line + 1).fault(f"the file cannot be read ({error.strerror or error})") from error


def _intact_lines(path: Path) -> int:
    """How many whole lines come before the fault; byte by byte, since larger pieces lose what comes with the fault."""
    stream = zlib.decompressobj(wbits=31)
    intact = 0
    with contextlib.suppress(zlib.error):
        for byte in path.read_bytes():
            intact += stream.decompress(bytes((byte,))).count(b"\n")
    return intact


def _object(line: bytes, place: Place) -> Fields:
    if not line.strip():
        raise place.fault("the line is empty; it must be a JSON object")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise place.fault(_why_not_json(line, error)) from None
    if not isinstance(value, dict):
        raise place.fault(f"this is a JSON {_KINDS.get(type(value), 'value')}; it must be an object")
    return Fields(value, place)


_KINDS = {list: "array", str: "string", int: "number", float: "number", bool: "boolean", type(None): "null"}


def _why_not_json(line: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        line.decode()
    except UnicodeDecodeError as bad:
        return f"this is not UTF-8 (byte {bad.start + 1} of the line)"
    return f"this is not JSON ({error.msg}, column {error.colno}; NaN and Infinity are not JSON either)"
