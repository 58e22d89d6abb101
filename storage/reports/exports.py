"""Requests and their calls, page by page, for files.

The law of this file: it reads and holds one page at a time, however much there is. No question, no answer and no other
text of a request leaves it: an export is about money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, tuple_

from storage.faults import guard
from storage.schema import attempt, inference

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncEngine

    from storage.reports.buckets import Span

PAGE = 1_000
#: What a request's row says without quoting anybody.
REQUEST_COLUMNS = (
    *("id", "created_at", "team", "key_id", "session", "tags", "policy", "asked_model", "stream_mode"),
    *("start_tier", "served_tier", "served_model", "p_valid", "stopped", "prompt_tokens", "completion_tokens"),
    *("cost_nanousd", "late_cost_nanousd", "baseline_nanousd", "latency_s", "overhead_s", "client", "http_status"),
    *("error_type", "error_code"),
)
CALL_COLUMNS = (
    *("inference_id", "position", "rung", "purpose", "tier", "deployment", "model", "prompt_tokens"),
    *("completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens", "cost_nanousd", "cost_source"),
    *("latency_s", "verdict"),
)


async def pages(
    engine: AsyncEngine, span: Span, page: int = PAGE
) -> AsyncIterator[tuple[Sequence[Mapping[str, Any]], Mapping[str, Sequence[Mapping[str, Any]]]]]:
    """(request rows, oldest first; request id -> its calls in order), a page at a time.

    Raises:
        StoreUnavailable: the store is away.
    """
    after: tuple[Any, str] | None = None
    while True:
        with guard("exporting"):
            async with engine.begin() as connection:
                rows = [dict(row) for row in (await connection.execute(_requests(span, after, page))).mappings()]
                ids = [row["id"] for row in rows]
                found = (await connection.execute(_calls(ids))).mappings().all() if ids else ()
        if not rows:
            return
        calls: dict[str, list[Mapping[str, Any]]] = {id_: [] for id_ in ids}
        for call in found:
            calls[call["inference_id"]].append(call)
        yield rows, calls
        after = (rows[-1]["created_at"], rows[-1]["id"])


def _requests(span: Span, after: tuple[Any, str] | None, page: int) -> Select[Any]:
    statement = select(*(inference.c[name] for name in REQUEST_COLUMNS)).where(*span.where())
    if after is not None:
        statement = statement.where(tuple_(inference.c.created_at, inference.c.id) > after)
    return statement.order_by(inference.c.created_at, inference.c.id).limit(page)


def _calls(ids: Sequence[str]) -> Select[Any]:
    columns = (attempt.c[name] for name in CALL_COLUMNS)
    return select(*columns).where(attempt.c.inference_id.in_(ids)).order_by(attempt.c.inference_id, attempt.c.position)
