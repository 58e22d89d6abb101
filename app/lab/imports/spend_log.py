"""LiteLLM's spend log (table LiteLLM_SpendLogs, or GET /spend/logs) -> entries.

The column names are those of litellm's schema.prisma. A row may come as JSON, where JSON columns are JSON or its text,
or as CSV, where everything is text.

A spend log knows what was asked and who answered, and seldom whether the answer was right. So, as with traffic that
no judge saw: the ladder's top counts as right (papers.md: it is assumed), any other model's answer teaches nothing,
unless `assume_correct` says that what was served was good. A score in `metadata` (`score`, or `feedback`) counts before
either. Failed calls, calls that were no chat, and rows whose prompt was not kept are passed over and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from app.lab.imports.entry import Entry, places
from app.lab.imports.jsonl import time_of
from router.domain import LabelSource
from router.questions import question_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.recordings.fields import Fields
    from router.domain import Tier

#: What every export of the table has.
COLUMNS = frozenset({"request_id", "model"})
_CHAT = frozenset({"", "completion", "acompletion", "chat_completion"})
_SCORES = ("score", "feedback")
FAILED, NO_CHAT, NO_TEXT = "failed", "were no chat", "keep no prompt"


def is_spend_log(values: Mapping[str, Any]) -> bool:
    """Whether an object looks like a row of it."""
    return values.keys() >= COLUMNS and bool({"spend", "startTime", "call_type"} & set(values))


def entry_of(fields: Fields, tiers: Sequence[Tier], *, assume_correct: bool) -> Entry | str:
    """One row, or why it has nothing to teach.

    Raises:
        ConfigError: a column that is needed is missing or not what it must be.
    """
    request_id, at = fields.name("request_id"), time_of(fields, "startTime")
    if _told(fields, "status") == "failure":
        return FAILED
    if _told(fields, "call_type") not in _CHAT:
        return NO_CHAT
    question = _question(fields)
    model = _model(fields)
    if not question.strip() or not model:
        return NO_TEXT
    score = _score(fields)
    known = score is not None
    correct = {model: 1.0 if score is None else score} if known or assume_correct or _is_top(model, tiers) else {}
    source = LabelSource.FEEDBACK if known else LabelSource.ASSUMED
    return Entry(question=question, correct=correct, source=source, key=request_id, at=at)


def _told(fields: Fields, key: str) -> str:
    return fields.text(key) if fields.has(key) else ""


def _question(fields: Fields) -> str:
    """The prompt where LiteLLM keeps it: `messages`, or the request as the proxy got it."""
    for held in (_json(fields, "messages"), _json(fields, "proxy_server_request")):
        text = question_text(held.get("messages") if isinstance(held, dict) else held)
        if text.strip():
            return text
    return ""


def _model(fields: Fields) -> str:
    model, vendor = _told(fields, "model"), _told(fields, "custom_llm_provider")
    return f"{vendor}/{model}" if model and vendor and not model.startswith(f"{vendor}/") else model


def _score(fields: Fields) -> float | None:
    metadata = _json(fields, "metadata")
    for key in _SCORES:
        value = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(value, bool | int | float) and 0 <= value <= 1:
            return float(value)
    return None


def _is_top(model: str, tiers: Sequence[Tier]) -> bool:
    return any(tier == tiers[-1].name for tier, _ in places(model, tiers))


def _json(fields: Fields, key: str) -> Any:
    """Columns of JSON come as JSON or as its text; other text (the input of an embedding) says nothing here."""
    value = fields.values.get(key)
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[", '"')):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise fields.place.fault(f"the column {key!r} holds broken JSON ({error.msg})") from None
