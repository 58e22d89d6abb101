"""What is replayed: queries in an order, over a ladder, from a recording.

The law of this file: it chooses and orders; it runs nothing.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.lab import oracle
from cascade.lab.ladder import ladder_models, tiers
from router.errors import ConfigError

if TYPE_CHECKING:
    from cascade.recordings import Query, Recording
    from router.domain import Tier


class Oracle:
    """Stands for the oracle among the policies of a replay; it is scored, not asked."""

    name = oracle.NAME


@dataclass(frozen=True, slots=True)
class Stream:
    """The queries to replay, in their order, over a ladder; `split` None = all of them."""

    recording: Recording
    ladder: str
    tiers: tuple[Tier, ...]
    queries: tuple[Query, ...]
    split: str | None = None

    @property
    def models(self) -> tuple[str, ...]:
        """The models of the ladder, cheapest first."""
        return tuple(tier.deployments[0].model for tier in self.tiers)


def stream(
    recording: Recording,
    ladder: str | None = None,
    *,
    split: str | None = None,
    shuffle: int | None = None,
    limit: int | None = None,
) -> Stream:
    """Choose what to replay.

    Args:
        recording: with the ladder's models loaded.
        ladder: a ladder's name, `pool` for all models; None = the default ladder.
        split: the queries of this split only.
        shuffle: a seed; None = the recording's own order.
        limit: only so many queries, the first ones after shuffling.

    Raises:
        ConfigError: no such ladder or split, or nothing is left to replay.
    """
    models = ladder_models(recording, ladder)
    queries = list(recording.of_split(split))
    if shuffle is not None:
        random.Random(shuffle).shuffle(queries)  # noqa: S311 - an order to repeat, not a secret
    chosen = tuple(queries[:limit])
    if not chosen or (limit is not None and limit < 1):
        raise ConfigError(f"{recording.name}: nothing to replay; --limit must be at least 1")
    return Stream(recording, ladder or next(iter(recording.ladders)), tiers(recording, models), chosen, split)
