"""Which of several labels counts.

The law of this file: pure. Every label ever given stays in its table; for each *model* the one of the best source
counts (feedback before audit before what was only inferred), the newest where two sources are equally good.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.domain import Label, LabelSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RANK = {
    LabelSource.FEEDBACK: 2,
    LabelSource.AUDIT: 1,
    LabelSource.JUDGE: 0,
    LabelSource.AGREEMENT: 0,
    LabelSource.ASSUMED: 0,
}


def in_force(rows: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Model -> the label row that counts, among one question's rows (any order)."""
    best: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        held = best.get(row["model"])
        if held is None or _strength(row) > _strength(held):
            best[row["model"]] = row
    return best


def resolved(rows: Iterable[Mapping[str, Any]]) -> tuple[Label, ...]:
    """The labels that count, in the order they were given."""
    counting = sorted(in_force(rows).values(), key=lambda row: int(row["id"]))
    return tuple(
        Label(row["tier"], row["model"], row["correct"], LabelSource(row["source"]), row["weight"]) for row in counting
    )


def by_model(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Model -> correctness in [0, 1], as the index wants it."""
    return {model: row["correct"] for model, row in in_force(rows).items()}


def _strength(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (RANK[LabelSource(row["source"])], row["created_at"], row["id"])
