"""Which models make a ladder where nobody says: by a rule over LiteLLM's table, not by names that grow old.

The law of this file: pure; it knows the table and the day, and calls no one.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    from router.catalog import Catalog, CatalogModel
    from router.endpoints import Vendor

#: A model that its vendor ends sooner than this is not chosen unasked.
_NOTICE = timedelta(days=90)
#: A generated ladder has no more rungs than this.
MOST_RUNGS = 3
#: Words in the names of models made for one purpose, of previews, and of pointers that move.
_SPECIAL = frozenset(
    {"audio", "beta", "build", "chat", "code", "codex", "computer", "custom", "customtools", "cyber", "deep", "exp"}
    | {"experimental", "guard", "image", "instruct", "latest", "law", "live", "non", "omni", "preview", "prompt"}
    | {
        "realtime",
        "reasoning",
        "research",
        "robotics",
        "rosalind",
        "safeguard",
        "search",
        "transcribe",
        "tts",
        "vision",
    }
)
_DATED = re.compile(r"\d{4,}")
_GENERATION = re.compile(r"(?<![\d.])(\d{1,2}(?:[.-]\d{1,2})?)(?![\w.])")


def rungs(vendor: Vendor, catalog: Catalog, today: date) -> list[CatalogModel]:
    """A vendor's current mainstream models.

    Of its chat models whose names belong to its family: those with tools and a price, no special purpose, no date in
    the name, no end within 90 days; of each size the newest generation; and none that a newer one of the same line
    undercuts.
    """
    if not vendor.family:
        return []
    known = [model for model in catalog.chat_models(vendor.name) if _mainstream(model, vendor, today)]
    newest: dict[str, CatalogModel] = {}
    for model in sorted(known, key=lambda model: (_generation(model), -len(model.model))):
        newest[_size(model)] = model
    return [model for model in newest.values() if not any(_undercuts(other, model) for other in newest.values())]


def pick(models: Sequence[CatalogModel], count: int = MOST_RUNGS) -> list[CatalogModel]:
    """At most `count` (1 to 3) models, by output price: the dearest, the cheapest, the one nearest their middle."""
    ordered = sorted(models, key=_cost)
    if len(ordered) <= count:
        return ordered
    low, high = ordered[0], ordered[-1]
    if count < MOST_RUNGS:
        return [low, high][-count:]
    middle = (math.log(low.price.base.output) + math.log(high.price.base.output)) / 2
    between = min(ordered[1:-1], key=lambda model: abs(math.log(model.price.base.output) - middle))
    return [low, between, high]


def _mainstream(model: CatalogModel, vendor: Vendor, today: date) -> bool:
    words = set(re.split(r"[-./:]", model.name))
    paid = model.price.base.input > 0 and model.price.base.output > 0
    lasting = model.ends is None or model.ends > today + _NOTICE
    plain = not (words & _SPECIAL) and not _DATED.search(model.name)
    return (
        paid
        and lasting
        and plain
        and "tools" in model.facts.capabilities
        and re.match(vendor.family, model.name) is not None
    )


def _generation(model: CatalogModel) -> Decimal:
    """`gpt-5.4-mini` -> 5.4, `claude-haiku-4-5` -> 4.5; 0 where the name has none."""
    found = _GENERATION.search(model.name)
    return Decimal(found[1].replace("-", ".")) if found else Decimal(0)


def _size(model: CatalogModel) -> str:
    """The name without its generation: `gpt--mini`, `claude-haiku-`."""
    return _GENERATION.sub("", model.name, count=1).strip("-")


def _line(model: CatalogModel) -> str:
    return re.split(r"[^a-z]", model.name.rpartition("/")[2], maxsplit=1)[0]


def _undercuts(other: CatalogModel, model: CatalogModel) -> bool:
    ours, theirs = model.price.base, other.price.base
    newer = _generation(other) > _generation(model) and _line(other) == _line(model)
    return newer and theirs.output <= ours.output and theirs.input <= ours.input


def _cost(model: CatalogModel) -> tuple[int, int]:
    return (model.price.base.output, model.price.base.input)


def provider_of(model: CatalogModel) -> str:
    """The vendor, as its models' names begin."""
    return model.model.partition("/")[0]
