"""Which of several labels counts.

The law of this file: pure. Every label ever given stays in its table; for each tier and model the one of the best
source counts (feedback before audit before what was only inferred), the newest where two sources are equally good.
Where one model stands on several tiers, `router.labels.by_model` joins them, exactly as it does for a live outcome: a
reloaded index must not differ from the one that was there before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router import labels as rules
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


def in_force(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The label rows that count among one question's rows, in the order they were given."""
    best: dict[tuple[str, str], Mapping[str, Any]] = {}
    for row in rows:
        place = (row["tier"], row["model"])
        held = best.get(place)
        if held is None or _strength(row) > _strength(held):
            best[place] = row
    return sorted(best.values(), key=lambda row: int(row["id"]))


def resolved(rows: Iterable[Mapping[str, Any]]) -> tuple[Label, ...]:
    """The same in the domain's words."""
    return tuple(
        Label(row["tier"], row["model"], row["correct"], LabelSource(row["source"]), row["weight"])
        for row in in_force(rows)
    )


def by_model(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Model -> correctness in [0, 1], as the index wants it."""
    return rules.by_model(resolved(rows))


def _strength(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return (RANK[LabelSource(row["source"])], row["created_at"], row["id"])
