"""What a journal keeps, as one line each: an outcome's rows, or what is added to a request afterwards.

The law of this file: pure. A line holds the CRC-32 of the rest and the rest as JSON, so that a torn or rotten line is
known for what it is; every kind of entry can be applied any number of times and counts once (`applied`, the row's id).
"""

from __future__ import annotations

import json
import uuid
import zlib
from base64 import b64decode, b64encode
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from storage.history.rows import LateRows, Rows

if TYPE_CHECKING:
    from router.domain import Caller
    from storage.history.call_rows import Row

#: Of outcomes and late costs, and of what older versions do not know: they put it aside.
VERSION, NEWER = 1, 2
_CRC_DIGITS = 8


@dataclass(frozen=True, slots=True)
class LateCost:
    """What was spent for a request after its answer; `op` names this addition, so that it is made once."""

    op: str
    id: str
    nanousd: int


@dataclass(frozen=True, slots=True)
class LateVerdict:
    """What a judge said after the answer: its calls and their cost, its labels."""

    op: str
    rows: LateRows

    @property
    def id(self) -> str:
        """The request's."""
        return self.rows.id


@dataclass(frozen=True, slots=True)
class Opinion:
    """Feedback on a request of this team, None = of any; `correct` is 0..1."""

    op: str
    id: str
    team: str | None
    correct: float
    by: str
    note: str
    created_at: datetime


Addition: TypeAlias = LateCost | LateVerdict | Opinion
Entry: TypeAlias = Rows | Addition


def encoded(entry: Entry) -> bytes:
    """One line, its end included."""
    data = json.dumps(_body(entry), separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(data), data)


def decoded(line: bytes) -> Entry | None:
    """The entry; None where the line is torn, rotten, or of a version this code does not know."""
    crc, space, data = line[:_CRC_DIGITS], line[_CRC_DIGITS : _CRC_DIGITS + 1], line[_CRC_DIGITS + 1 : -1]
    if space != b" " or not line.endswith(b"\n") or crc != b"%08x" % zlib.crc32(data):
        return None
    body = json.loads(data)
    if body["v"] == VERSION:
        return LateCost(**body["late_cost"]) if "late_cost" in body else _read(body)
    if body["v"] == NEWER and "opinion" in body:
        return Opinion(**_undated(body["opinion"]))
    return LateVerdict(body["op"], _late_rows(body["late"])) if body["v"] == NEWER and "late" in body else None


def _body(entry: Entry) -> dict[str, Any]:
    match entry:
        case LateCost():
            return {"v": VERSION, "late_cost": asdict(entry)}
        case LateVerdict():
            labels = [_dated(row) for row in entry.rows.labels]
            return {"v": NEWER, "op": entry.op, "late": asdict(entry.rows) | {"labels": labels}}
        case Opinion():
            return {"v": NEWER, "opinion": _dated(asdict(entry))}
        case Rows():
            return {"v": VERSION, **_rows(entry)}


def _late_rows(told: dict[str, Any]) -> LateRows:
    labels = tuple(_undated(row) for row in told["labels"])
    return LateRows(**{**told, "attempts": tuple(told["attempts"]), "labels": labels})


def _rows(rows: Rows) -> dict[str, Any]:
    embedding = rows.inference["embedding"]
    inference = _dated(rows.inference) | {"embedding": embedding and b64encode(embedding).decode()}
    labels = [_dated(row) for row in rows.labels]
    return {"inference": inference, "attempts": list(rows.attempts), "labels": labels, "calls": list(rows.calls)}


def _read(body: dict[str, Any]) -> Rows:
    row = body["inference"]
    inference = _undated(row) | {"embedding": row["embedding"] and b64decode(row["embedding"])}
    labels = tuple(_undated(each) for each in body["labels"])
    return Rows(inference, tuple(body["attempts"]), labels, tuple(body.get("calls", ())))


def _dated(row: Row) -> Row:
    return row | {"created_at": row["created_at"].isoformat()}


def _undated(row: Row) -> Row:
    return row | {"created_at": datetime.fromisoformat(row["created_at"])}


def opinion(request_id: str, caller: Caller, correct: float, by: str, note: str, now: datetime) -> Opinion:
    """Feedback as an addition of its own name."""
    team = None if caller.admin else caller.team
    return Opinion(uuid.uuid4().hex, request_id, team, correct, by, note, now)
