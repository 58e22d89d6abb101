"""Our own JSON lines -> entries.

    {"question": "What is 2 + 2?", "correct": {"small": 1, "openai/gpt-5-nano": 0.5},
     "id": "q1", "time": "2025-01-31T12:00:00Z", "team": "search"}

`question`, or `messages` in OpenAI's shape; `correct`: a tier or a model -> how right it was, 0 to 1. The rest may be
left out. The law of this file: strict; every fault names file and line.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.lab.imports.entry import Entry
from router.domain import LabelSource
from router.questions import question_text

if TYPE_CHECKING:
    from cascade.recordings.fields import Fields

_KNOWN = frozenset({"question", "messages", "correct", "id", "time", "team"})


def entry_of(fields: Fields) -> Entry:
    """One line.

    Raises:
        ConfigError: a field is missing, unknown or not what it must be.
    """
    unknown = [key for key in fields.values if key not in _KNOWN]
    if unknown:
        raise fields.place.fault(f"unknown field {unknown[0]!r}; known: {', '.join(sorted(_KNOWN))}")
    return Entry(
        question=_question(fields),
        correct=_correct(fields),
        source=LabelSource.FEEDBACK,
        key=fields.name("id") if fields.has("id") else "",
        at=time_of(fields, "time"),
        team=fields.name("team") if fields.has("team") else None,
    )


def time_of(fields: Fields, key: str) -> datetime | None:
    """An ISO time, UTC unless it says otherwise; None = not there."""
    if not fields.has(key):
        return None
    try:
        found = datetime.fromisoformat(fields.text(key))
    except ValueError:
        raise fields.fault(key, "a time such as 2025-01-31T12:00:00Z") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _question(fields: Fields) -> str:
    if fields.has("question"):
        return fields.name("question")
    text = question_text(fields.values.get("messages"))
    if not text.strip():
        raise fields.place.fault("there is neither a 'question' nor 'messages' with text of a user")
    return text


def _correct(fields: Fields) -> dict[str, float]:
    told = fields.values.get("correct")
    if not isinstance(told, dict) or not told:
        raise fields.fault("correct", "an object: tier or model -> how right it was, 0 to 1")
    found = {}
    for name, value in told.items():
        good = isinstance(value, bool | int | float) and 0 <= value <= 1
        if not name or not good:
            raise fields.place.fault(f"'correct' says {value!r} of {name!r}; it must be a number from 0 to 1")
        found[name] = float(value)
    return found
