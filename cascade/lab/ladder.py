"""A recording's ladder in the words of the domain: one tier a model, named after it.

The law of this file: pure. A simulated judge is the answering model; else who judges whom follows the live default,
and the recorded verdict counts anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Deployment, Tier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.recordings import RecordedModel, Recording

#: The ladder of all models, which have no order of their own.
POOL = "pool"


def ladder_models(recording: Recording, ladder: str | None) -> tuple[str, ...]:
    """The models of a ladder, cheapest first; None = the recording's default; `pool` = all, by their prices.

    Raises:
        ConfigError: the recording has no such ladder.
    """
    if ladder == POOL and POOL not in recording.ladders:
        return tuple(model.name for model in sorted(recording.models.values(), key=_list_price))
    return recording.ladder(ladder)


def tiers(recording: Recording, models: Sequence[str]) -> tuple[Tier, ...]:
    """The models as rungs; each is judged by itself, the lowest by the second where verdicts were recorded."""
    lowest = models[:1] if recording.judge is not None else models[1:2] or models[:1]
    judges = (*lowest, *models[1:])
    return tuple(
        Tier(name, (_deployment(recording.models[name]),), recording.models[name].prior_accuracy, judge)
        for name, judge in zip(models, judges, strict=True)
    )


def _deployment(model: RecordedModel) -> Deployment:
    return Deployment(id=model.name, model=model.name, price=model.price)


def _list_price(model: RecordedModel) -> tuple[int, int]:
    return model.price.base.output, model.price.base.input
