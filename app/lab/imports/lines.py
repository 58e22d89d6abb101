"""A file of objects -> those objects with their lines: JSON lines, one JSON array, or CSV; gzipped or not.

The law of this file: it knows formats and places, nothing of what the objects mean. The line of an array's entry is the
one it begins on.
"""

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING

import orjson

from app.lab.imports import csv_rows
from cascade.recordings.fields import Fields, Place
from router.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path


def read_file(path: Path, csv_columns: frozenset[str]) -> list[Fields]:
    """Every object.

    Args:
        path: the file.
        csv_columns: a first line that names all of these is a CSV header.

    Raises:
        ConfigError: no such file, no UTF-8, bad JSON or CSV, or no object, with the line; or nothing in it.
    """
    text = _text(path)
    if text.lstrip().startswith("["):
        found = _array(path, text)
    elif csv_columns <= set(csv_rows.header_of(text)):
        found = csv_rows.read_rows(path, text)
    else:
        found = _lines(path, text)
    if not found:
        raise Place(path, 1).fault("the file is empty; it needs at least one JSON object, or one row below its header")
    return found


def _text(path: Path) -> str:
    """The file's text, without a byte order mark."""
    data = _bytes(path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Place(path, data[: error.start].count(b"\n") + 1).fault("this is not UTF-8") from None


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


def _array(path: Path, text: str) -> list[Fields]:
    """Entry by entry, so that each has its line; orjson is the one that says what is wrong with the whole."""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Place(path, error.lineno).fault(f"this is not JSON ({error.msg})") from None
    decoder = json.JSONDecoder()
    found, at, line, counted = [], _blank_to(text, text.index("[") + 1), 1, 0
    while text[at] != "]":
        line, counted = line + text.count("\n", counted, at), at
        value, at = decoder.raw_decode(text, at)
        found.append(_object(value, Place(path, line), "entry"))
        at = _blank_to(text, at)
        if text[at] == ",":
            at = _blank_to(text, at + 1)
    return found


def _blank_to(text: str, at: int) -> int:
    while text[at] in " \t\r\n":
        at += 1
    return at


def _lines(path: Path, text: str) -> list[Fields]:
    found = []
    for number, line in enumerate(text.split("\n"), 1):
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
