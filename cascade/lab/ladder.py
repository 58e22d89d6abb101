"""A recording's ladder in the words of the domain: one tier a model, named after it.

The law of this file: pure. Who judges whom follows the live default; in a replay the recorded verdict counts anyway.
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
    """The models as rungs; each is judged by itself, the lowest by the second."""
    return tuple(
        Tier(name, (_deployment(recording.models[name]),), recording.models[name].prior_accuracy, _judge(models, place))
        for place, name in enumerate(models)
    )


def _deployment(model: RecordedModel) -> Deployment:
    return Deployment(id=model.name, model=model.name, price=model.price)


def _judge(models: Sequence[str], place: int) -> str:
    return models[min(1, len(models) - 1)] if place == 0 else models[place]


def _list_price(model: RecordedModel) -> tuple[int, int]:
    return model.price.base.output, model.price.base.input
