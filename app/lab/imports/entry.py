"""One past question with what is known of its answers: the shape that every source is brought into.

The law of this file: frozen records; pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.domain import Label, LabelSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from router.domain import Tier


@dataclass(frozen=True, slots=True)
class Entry:
    """A question, and how right models were on it: name as the source writes it -> 0..1.

    `key` is what the source calls it ("" = nothing); `at` is aware, None = unknown. `source` says where the labels come
    from.
    """

    question: str
    correct: Mapping[str, float]
    source: LabelSource = LabelSource.AUDIT
    key: str = ""
    at: datetime | None = None
    team: str | None = None

    @property
    def id(self) -> str:
        """The row's id: the same entry has the same one, so that importing twice changes nothing."""
        told = f"{self.key}\x1f{self.question}" if self.key else self.question
        return f"import-{hashlib.sha256(told.encode('utf-8', 'replace')).hexdigest()[:32]}"


def labels(entry: Entry, tiers: Sequence[Tier]) -> tuple[Label, ...]:
    """The entry's labels in the ladder's words; a model that is not on the ladder keeps its own name."""
    found = {}
    for name, correct in entry.correct.items():
        for tier, model in places(name, tiers):
            found[tier, model] = Label(tier, model, correct, entry.source)
    return tuple(found.values())


def places(name: str, tiers: Sequence[Tier]) -> list[tuple[str, str]]:
    """(tier, model) of all that a name means: a tier is all its models; a model's vendor may be left out."""
    for tier in tiers:
        if tier.name == name:
            return [(tier.name, model) for model in sorted(tier.models)]
    exact = [(tier.name, model) for tier in tiers for model in sorted(tier.models) if model == name]
    bare = name.rpartition("/")[2]
    near = [(tier.name, model) for tier in tiers for model in sorted(tier.models) if model.rpartition("/")[2] == bare]
    return exact or near or [(name, name)]
