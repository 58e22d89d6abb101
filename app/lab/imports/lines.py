"""A file of JSON objects -> those objects with their lines: one a line, or one array; gzipped or not.

The law of this file: it knows JSON and places, nothing of what the objects mean.
"""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

import orjson

from cascade.recordings.fields import Fields, Place
from router.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read_file(path: Path) -> list[Fields]:
    """Every object.

    Raises:
        ConfigError: no such file, bad JSON or no object, with the line; or nothing in it.
    """
    data = _bytes(path)
    found = _array(path, data) if data.lstrip().startswith(b"[") else _lines(path, data)
    if not found:
        raise Place(path, 1).fault("the file is empty; it needs at least one JSON object")
    return found


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Place(path, 1).fault(f"this is no intact gzip file ({error})") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read ({error.strerror or error})") from error


def _array(path: Path, data: bytes) -> list[Fields]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Place(path, error.lineno).fault(f"this is not JSON ({error.msg})") from None
    return [_object(entry, Place(path, number), "entry") for number, entry in enumerate(found, 1)]


def _lines(path: Path, data: bytes) -> list[Fields]:
    found = []
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        place = Place(path, number)
        try:
            found.append(_object(orjson.loads(line), place, "line"))
        except orjson.JSONDecodeError as error:
            raise place.fault(f"this is not JSON ({error.msg})") from None
    return found


def _object(value: object, place: Place, what: str) -> Fields:
    if not isinstance(value, dict):
        raise place.fault(f"this {what} is no JSON object")
    return Fields(value, place)
