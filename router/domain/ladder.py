"""What can be asked: models, deployments, tiers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from router.pricing import Price


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model before asking it.

    `capabilities` holds the words tools, vision, audio, json_schema, n, logprobs, reasoning; a word that is missing
    from both `capabilities` and `lacks` is unknown, and unknown is tried rather than refused.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a tier's model can be asked; the address and the key live with the upstream, not here."""

    id: str
    model: str
    price: Price | None
    facts: ModelFacts = ModelFacts()


@dataclass(frozen=True, slots=True)
class Tier:
    """One rung of the ladder.

    Labels belong to a model, so `models` decides which of them count. `judge` names the tier that judges this tier's
    answers.
    """

    name: str
    deployments: tuple[Deployment, ...]
    prior_accuracy: float
    judge: str

    @property
    def models(self) -> frozenset[str]:
        """The models that answer for this tier now."""
        return frozenset(deployment.model for deployment in self.deployments)
