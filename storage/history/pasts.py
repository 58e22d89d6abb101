"""Rows -> what the two-tier policy learns again after a restart: margins, costs, labels, the pot.

The law of this file: pure; the same numbers as `margins_state.past_of` made when the request was served.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Purpose, Verdict
from router.margins_state import Past, Tried, total_of
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
    rungs, judging = _by_rung(attempts, Purpose.GENERATE), _by_rung(attempts, Purpose.JUDGE)
    spent = sum(row["cost_nanousd"] or 0 for row in attempts if row["rung"] is not None)
    answered = [(rung, rows) for rung, rows in sorted(rungs.items()) if rows[-1]["verdict"] != Verdict.ERROR]
    learnt = answered if head["stored"] else []
    tried = tuple(_tried(rows, judging.get(rung, []), labels) for rung, rows in learnt)
    return Past(head["id"], spent, tried, head["policy"])


def _by_rung(attempts: Sequence[Row], purpose: Purpose) -> dict[int, list[Row]]:
    rungs: dict[int, list[Row]] = {}
    for row in attempts:
        if row["rung"] is not None and row["purpose"] == purpose:
            rungs.setdefault(row["rung"], []).append(row)
    return rungs


def _tried(rows: Sequence[Row], judging: Sequence[Row], labels: Mapping[str, float]) -> Tried:
    last = rows[-1]
    return Tried(
        model=last["model"],
        nanousd=total_of([row["cost_nanousd"] for row in rows]),
        usage=None if last["prompt_tokens"] is None else Usage(last["prompt_tokens"], last["completion_tokens"]),
        confidence=last["confidence"],
        measure=last["confidence_by"] or "",
        correct=labels.get(last["model"]),
        judge_nanousd=total_of([row["cost_nanousd"] for row in judging]) if judging else None,
    )
