"""Rows -> the JSON of `GET /v1/decisions/{id}`: one request's whole story.

The law of this file: pure. Money stands twice, `_usd` as a float for people and `_nanousd` as the integer that is the
truth; calls are grouped under the rung they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.domain import Purpose
from router.pricing import nanousd_to_usd
from storage.history.labels import in_force

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASKED = ("team", "key_id", "session", "tags", "policy", "settings", "asked_model", "stream_mode")
_QUESTION = ("stored", "question", "question_hash", "embedding_model")
_DECIDED = ("evidence", "start_tier", "served_tier", "served_model", "p_valid", "why", "stopped")
_RUNG = (
    "tier",
    "model",
    "why",
    "p_valid",
    "verdict",
    "verdict_by",
    "reason",
    "confidence",
    "confidence_by",
    "final_answer",
    "answer",
)
_TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_CALL = ("position", "purpose", "tier", "deployment", "model", "prices", "cost_source", "latency_s", "ttft_s")
_CALL_END = ("finish_reason", "verdict", "error", "dropped")
_NEARBY = ("setting", "value", "start_tier", "tier", "changes", "exact", "why")
_LABEL = ("tier", "model", "correct", "source", "weight", "note")


def story(
    row: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The whole story as JSON.

    Args:
        row: the inference row.
        attempts: its attempt rows, by position.
        labels: its label rows, in the order they were given.
    """
    return {
        "id": row["id"],
        "object": "gearbox.decision",
        "created_at": row["created_at"].isoformat(),
        **_pick(row, _ASKED + _QUESTION + _DECIDED),
        "evidence": {name: value for name, value in row["evidence"].items() if name != "nearby"},
        "nearby": [_nearby(each) for each in row["evidence"].get("nearby", ())],
        "attempts": _rungs(attempts),
        "other_calls": [_call(each) for each in attempts if each["rung"] is None],
        "labels": _labels(labels),
        "usage": _pick(row, ("prompt_tokens", "completion_tokens")),
        **_costs(row),
        **_pick(row, ("latency_s", "overhead_s", "client", "http_status")),
        "error": _error(row),
    }


def _rungs(attempts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    by_rung: dict[int, list[Mapping[str, Any]]] = {}
    for each in attempts:
        if each["rung"] is not None:
            by_rung.setdefault(each["rung"], []).append(each)
    return [_rung(calls) for _, calls in sorted(by_rung.items())]


def _rung(calls: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    told = [each for each in calls if each["purpose"] == Purpose.GENERATE][-1]
    spent = sum(each["cost_nanousd"] or 0 for each in calls)
    return {
        **_pick(told, _RUNG),
        "error": told["error"],
        **_money("cost", spent),
        "calls": [_call(each) for each in calls if each["deployment"]],
    }


def _nearby(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a neighbouring setting would have done."""
    return {**_pick(told, _NEARBY), **_money("cost", told["cost_nanousd"])}


def _call(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **_pick(row, _CALL),
        "usage": None if row["prompt_tokens"] is None else _pick(row, _TOKENS),
        **_money("cost", row["cost_nanousd"]),
        **_pick(row, _CALL_END),
    }


def _labels(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counting = {row["id"] for row in in_force(rows)}
    return [
        {
            **_pick(row, _LABEL),
            "by": row["given_by"],
            "created_at": row["created_at"].isoformat(),
            "in_force": row["id"] in counting,
        }
        for row in rows
    ]


def _costs(row: Mapping[str, Any]) -> dict[str, Any]:
    cost, baseline = row["cost_nanousd"], row["baseline_nanousd"]
    return {
        **_money("cost", cost),
        **_money("late_cost", row["late_cost_nanousd"]),
        **_money("baseline", baseline),
        **_money("saved", None if cost is None or baseline is None else baseline - cost),
    }


def _money(name: str, nanousd: int | None) -> dict[str, float | int | None]:
    return {f"{name}_usd": None if nanousd is None else nanousd_to_usd(nanousd), f"{name}_nanousd": nanousd}


def _error(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row["error_type"] is None:
        return None
    return {"type": row["error_type"], "code": row["error_code"], "message": row["error"]}


def _pick(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
