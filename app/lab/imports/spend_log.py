"""LiteLLM's spend log (table LiteLLM_SpendLogs, or GET /spend/logs) -> entries.

A spend log knows what was asked and who answered, and seldom whether the answer was right. So, as with traffic that
no judge saw: the ladder's top counts as right (papers.md: it is assumed), any other model's answer teaches nothing,
unless `assume_correct` says that what was served was good. A score in `metadata` (`score`, or `feedback`) counts before
either. Failed calls and rows whose prompt was not kept are passed over.
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

_CHAT = frozenset({"", "completion", "acompletion", "chat_completion"})
_SCORES = ("score", "feedback")


def is_spend_log(values: Mapping[str, Any]) -> bool:
    """Whether an object looks like a row of it."""
    return "request_id" in values and "model" in values and bool({"spend", "startTime", "call_type"} & set(values))


def entry_of(fields: Fields, tiers: Sequence[Tier], *, assume_correct: bool) -> Entry | None:
    """One row; None = it has nothing to teach (no text, no chat, or it failed)."""
    values = fields.values
    if values.get("status") == "failure" or str(values.get("call_type") or "") not in _CHAT:
        return None
    question = _question(values)
    model = _model(values)
    if not question.strip() or not model:
        return None
    score = _score(values)
    known = score is not None
    correct = {model: 1.0 if score is None else score} if known or assume_correct or _is_top(model, tiers) else {}
    return Entry(
        question=question,
        correct=correct,
        source=LabelSource.FEEDBACK if known else LabelSource.ASSUMED,
        key=str(values["request_id"]),
        at=time_of(fields, "startTime"),
    )


def _question(values: Mapping[str, Any]) -> str:
    """The prompt where LiteLLM keeps it: `messages`, or the request as the proxy got it."""
    for held in (_json(values.get("messages")), _json(values.get("proxy_server_request"))):
        text = question_text(held.get("messages") if isinstance(held, dict) else held)
        if text.strip():
            return text
    return ""


def _model(values: Mapping[str, Any]) -> str:
    model, vendor = str(values.get("model") or ""), str(values.get("custom_llm_provider") or "")
    return f"{vendor}/{model}" if model and vendor and not model.startswith(f"{vendor}/") else model


def _score(values: Mapping[str, Any]) -> float | None:
    metadata = _json(values.get("metadata"))
    for key in _SCORES:
        value = metadata.get(key) if isinstance(metadata, dict) else None
        if isinstance(value, bool | int | float) and 0 <= value <= 1:
            return float(value)
    return None


def _is_top(model: str, tiers: Sequence[Tier]) -> bool:
    return any(tier == tiers[-1].name for tier, _ in places(model, tiers))


def _json(value: Any) -> Any:
    """Columns of JSON come as JSON or as its text."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None
