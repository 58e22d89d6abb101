"""Rows -> what the two-tier policy learns again after a restart: margins, costs, labels, the pot.

The law of this file: pure; the same numbers as `margins_state.past_of` made when the request was served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Purpose, Verdict
from router.margins_state import Past, Tried
from router.pricing import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from storage.history.call_rows import Row


def past(head: Row, attempts: Sequence[Row], labels: Mapping[str, float]) -> Past:
    """One finished request.

    Args:
        head: its inference row: id, stored.
        attempts: its attempt rows, by position.
        labels: model -> correctness.
    """
    rungs: dict[int, list[Row]] = {}
    for row in attempts:
        if row["rung"] is not None and row["purpose"] == Purpose.GENERATE:
            rungs.setdefault(row["rung"], []).append(row)
    spent = sum(row["cost_nanousd"] or 0 for row in attempts if row["rung"] is not None)
    answered = [rows for _, rows in sorted(rungs.items()) if rows[-1]["verdict"] != Verdict.ERROR]
    learnt = answered if head["stored"] else []
    return Past(head["id"], spent, tuple(_tried(rows, labels) for rows in learnt))


def _tried(rows: Sequence[Row], labels: Mapping[str, float]) -> Tried:
    last, costs = rows[-1], [row["cost_nanousd"] for row in rows]
    return Tried(
        model=last["model"],
        nanousd=None if None in costs else sum(costs),
        usage=None if last["prompt_tokens"] is None else Usage(last["prompt_tokens"], last["completion_tokens"]),
        confidence=last["confidence"],
        measure=last["confidence_by"] or "",
        correct=labels.get(last["model"]),
    )
