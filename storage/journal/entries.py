"""What a journal keeps, as one line each: an outcome's rows, or a late cost.

The law of this file: pure. A line holds the CRC-32 of the rest and the rest as JSON, so that a torn or rotten line is
known for what it is; both kinds of entry can be applied any number of times and count once (`applied`, the row's id).
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from storage.history.rows import Rows

if TYPE_CHECKING:
    from storage.history.call_rows import Row

VERSION = 1
_CRC_DIGITS = 8


@dataclass(frozen=True, slots=True)
class LateCost:
    """What was spent for a request after its answer; `op` names this addition, so that it is made once."""

    op: str
    id: str
    nanousd: int


Entry: TypeAlias = Rows | LateCost


def encoded(entry: Entry) -> bytes:
    """One line, its end included."""
    body = _late_cost(entry) if isinstance(entry, LateCost) else _rows(entry)
    data = json.dumps({"v": VERSION, **body}, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


def decoded(line: bytes) -> Entry | None:
    """The entry; None where the line is torn, rotten, or of a version this code does not know."""
    crc, space, data = line[:_CRC_DIGITS], line[_CRC_DIGITS : _CRC_DIGITS + 1], line[_CRC_DIGITS + 1 : -1]
    if space != b" " or not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(data):
        return None
    body = json.loads(data)
    if body["v"] != VERSION:
        return None
    return LateCost(**body["late_cost"]) if "late_cost" in body else _read(body)


def _late_cost(entry: LateCost) -> dict[str, Any]:
    return {"late_cost": {"op": entry.op, "id": entry.id, "nanousd": entry.nanousd}}


def _rows(rows: Rows) -> dict[str, Any]:
    embedding = rows.inference["embedding"]
    inference = _dated(rows.inference) | {"embedding": embedding and b64encode(embedding).decode()}
    return {"inference": inference, "attempts": list(rows.attempts), "labels": [_dated(row) for row in rows.labels]}


def _read(body: dict[str, Any]) -> Rows:
    row = body["inference"]
    inference = _undated(row) | {"embedding": row["embedding"] and b64decode(row["embedding"])}
    return Rows(inference, tuple(body["attempts"]), tuple(_undated(each) for each in body["labels"]))


def _dated(row: Row) -> Row:
    return row | {"created_at": row["created_at"].isoformat()}


def _undated(row: Row) -> Row:
    return row | {"created_at": datetime.fromisoformat(row["created_at"])}
