"""Tiers and where to ask them: from a configuration, from the API keys in the environment, or simulated.

The law of this file: it decides what the ladder is and says so in notes; it calls no one. Without a file the rungs are
chosen by `rungs.py`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from app.config.builder import SIMULATED, Builder, Ladder, prior_steps
from app.config.environment import Variables
from app.config.lines import Document
from app.config.rungs import MOST_RUNGS, pick, provider_of, rungs
from app.config.settings import DeploymentConfig, PriceConfig, TierConfig
from app.edge.aliases import vendor_aliases
from router.endpoints import VENDORS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import date

    from app.config.file import Loaded
    from app.config.local_servers import LocalServer
    from router.catalog import Catalog
    from router.endpoints import Kind

_NAMES = {1: ("large",), 2: ("small", "large"), 3: ("small", "medium", "large")}


def from_config(loaded: Loaded, variables: Variables, catalog: Catalog) -> Ladder:
    """The ladder of a configuration, in the order given.

    Raises:
        ConfigError: a tier without a price, a key or an address that is missing; all of them at once.
    """
    config = loaded.config
    ladder = Builder(loaded.document, variables, catalog, config.timeouts).build(config.tiers)
    return replace(ladder, notes=(*loaded.notes, *ladder.notes), aliases=config.aliases)


def from_environment(
    variables: Variables,
    catalog: Catalog,
    today: date,
    policy: str = "auto",
    kinds: Collection[Kind] = ("openai", "litellm"),
    local: Sequence[LocalServer] = (),
) -> Ladder:
    """Up to three rungs of the vendors whose keys are set and of what runs on this machine, by price across all.

    Simulated tiers where there is neither.

    Args:
        variables: the environment.
        catalog: where models and prices come from.
        today: models that end within 90 days of it are passed over.
        policy: what the generated aliases point to.
        kinds: the adapters there are; vendors that need another are passed over.
        local: servers on this machine; their answers cost nothing, so they are the lowest rungs.
    """
    found = [vendor for vendor in dict.fromkeys(VENDORS.values()) if variables.first(vendor.key_names)]
    vendors = [vendor for vendor in found if vendor.kind in kinds]
    own = [_own_machine(server) for server in local[: MOST_RUNGS - 1]]
    paid = pick([model for vendor in vendors for model in rungs(vendor, catalog, today)], MOST_RUNGS - len(own))
    unused = [
        name
        for vendor in found
        if not (vendor.family and vendor in vendors)
        for name in vendor.key_names
        if variables.get(name)
    ]
    notes = tuple(
        f"{name} is set, but no ladder is built of its vendor's models unasked: name them in gearbox.yaml"
        for name in unused
    )
    if not own and not paid:
        return simulated(catalog, notes, policy)
    names = [next(name for name in VENDORS[provider_of(model)].key_names if variables.get(name)) for model in paid]
    places = [f"{server.name} at {server.api_base}" for server in local[: len(own)]]
    source = f"the environment ({', '.join(dict.fromkeys([*names, *places]))})"
    shapes = [*own, *(DeploymentConfig(model=model.model) for model in paid)]
    priors = prior_steps(len(shapes))
    tiers = [
        TierConfig(name=name, deployments=(shape,), prior_accuracy=prior)
        for name, shape, prior in zip(_NAMES[len(shapes)], shapes, priors, strict=True)
    ]
    ladder = Builder(Document(source, {}, {}), variables, catalog).build(tiers)
    providers = [provider_of(model) for model in paid] or ["openai"]
    aliases = vendor_aliases(dict.fromkeys(providers), policy)
    guess = "prior accuracies are even steps, not measurements: set prior_accuracy in gearbox.yaml once you know better"
    return replace(ladder, notes=(*notes, *ladder.notes, guess), aliases=aliases)


def _own_machine(server: LocalServer) -> DeploymentConfig:
    """A model that runs here costs nothing per token."""
    return DeploymentConfig(
        model=server.model,
        api_base=server.api_base,
        price=PriceConfig(input_usd_per_mtok=0.0, output_usd_per_mtok=0.0),
        context_tokens=server.context_tokens,
    )


def simulated(catalog: Catalog, notes: Sequence[str] = (), policy: str = "auto") -> Ladder:
    """The tiers that need no key; OpenAI's usual model names reach them too."""
    tiers = [
        TierConfig(
            name=name,
            deployments=(DeploymentConfig(model=f"simulated/{name}"),),
            price=PriceConfig(input_usd_per_mtok=input_usd, output_usd_per_mtok=output_usd),
            prior_accuracy=prior,
        )
        for name, input_usd, output_usd, prior in SIMULATED
    ]
    ladder = Builder(Document("simulated tiers", {}, {}), Variables({}), catalog).build(tiers)
    return replace(
        ladder,
        notes=(*notes, *ladder.notes),
        source="simulated tiers (no API key found)",
        aliases=vendor_aliases(("openai",), policy),
    )
