"""The latest requests with what became of each, for a page that is watched.

The law of this file: it builds two statements and joins their rows; no question and no answer is in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from router.domain import Purpose
from storage.schema import attempt, inference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import Select

    from storage.reports.buckets import Span

_REQUEST = (
    *("id", "created_at", "team", "key_id", "policy", "asked_model", "start_tier", "served_tier", "why", "stopped"),
    *("cost_nanousd", "late_cost_nanousd", "baseline_nanousd", "latency_s", "client", "error_type"),
)


def latest(span: Span, limit: int) -> Select[Any]:
    """The newest requests of a span, the newest first."""
    columns = (inference.c[name] for name in _REQUEST)
    newest = (inference.c.created_at.desc(), inference.c.id.desc())
    return select(*columns).where(*span.where()).order_by(*newest).limit(limit)


def rungs(ids: Sequence[str]) -> Select[Any]:
    """What became of each rung of these requests; it stands on a rung's last generate row."""
    return (
        select(attempt.c.inference_id, attempt.c.rung, attempt.c.tier, attempt.c.verdict)
        .where(
            attempt.c.inference_id.in_(ids), attempt.c.purpose == Purpose.GENERATE.value, attempt.c.rung.is_not(None)
        )
        .order_by(attempt.c.inference_id, attempt.c.position)
    )


def joined(rows: Iterable[Mapping[str, Any]], found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The requests with their rungs as `attempts`: [{tier, verdict}, ...]."""
    last: dict[str, dict[int, dict[str, Any]]] = {}
    for each in found:
        told = {"tier": each["tier"], "verdict": each["verdict"]}
        last.setdefault(each["inference_id"], {})[each["rung"]] = told
    return [{**row, "attempts": [rung for _, rung in sorted(last.get(row["id"], {}).items())]} for row in rows]
