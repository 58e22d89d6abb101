"""Shapes of tiers -> tiers and their endpoints; whatever is missing is told at once, with its line and cure."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from app.config import vendor_keys
from router.domain import Deployment, ModelFacts, Tier
from router.endpoints import VENDORS, Endpoint, Secret, Timeouts, Vendor, host
from router.errors import ConfigError
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from app.config.environment import Variables
    from app.config.lines import Document, Path
    from app.config.settings import ClientEmbeddingConfig, DeploymentConfig, PriceConfig, TierConfig, TimeoutsConfig
    from router.catalog import Catalog
    from router.endpoints import Kind

LOWEST_PRIOR, HIGHEST_PRIOR = 0.55, 0.80
#: Name, USD per million tokens in and out, prior accuracy.
SIMULATED = (("small", 0.05, 0.40, 0.55), ("medium", 0.50, 2.00, 0.76), ("large", 5.00, 20.00, 0.93))
_SIMULATED_FACTS = ModelFacts(
    128_000,
    16_384,
    frozenset({"tools", "json_schema", "n", "logprobs"}),  # what it cannot see or hear, it says
)
_PRICE_IN_TIER = (
    "Add to the tier, in USD per million tokens (0 on your own machine):\n"
    "    price: {input_usd_per_mtok: 0.00, output_usd_per_mtok: 0.00}"
)
_PRICE_IN_LITELLM = (
    "Add to the model, in USD per token (0 on your own machine):\n"
    "    model_info: {input_cost_per_token: 0.0, output_cost_per_token: 0.0}"
)


@dataclass(frozen=True, slots=True)
class Ladder:
    """The tiers, cheapest first; each deployment's endpoint by its id; aliases; notes for the operator; its source."""

    tiers: tuple[Tier, ...]
    endpoints: Mapping[str, Endpoint]
    notes: tuple[str, ...]
    source: str
    aliases: Mapping[str, str] = field(default_factory=dict)


def prior_steps(count: int) -> list[float]:
    """Even steps from .55 to .80, the lowest tier's first; a single tier gets the highest."""
    if count == 1:
        return [HIGHEST_PRIOR]
    step = (HIGHEST_PRIOR - LOWEST_PRIOR) / (count - 1)
    return [round(LOWEST_PRIOR + step * place, 4) for place in range(count)]


@dataclass
class Builder:
    """Turns tier shapes into tiers, and collects faults so that they are told together."""

    document: Document
    variables: Variables
    catalog: Catalog
    timeouts: TimeoutsConfig | None = None
    faults: list[str] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def build(self, shapes: Sequence[TierConfig]) -> Ladder:
        """Every tier in order; the judge of a tier is itself, of the lowest the second (papers.md §1)."""
        names, steps = [shape.name for shape in shapes], prior_steps(len(shapes) or 1)
        judges = [names[1], *names[1:]] if len(names) > 1 else names
        tiers = tuple(
            Tier(
                name=shape.name,
                deployments=tuple(self._deployment(shape, place, index) for index in range(len(shape.deployments))),
                prior_accuracy=steps[place] if shape.prior_accuracy is None else shape.prior_accuracy,
                judge=shape.judge or judges[place],
            )
            for place, shape in enumerate(shapes)
        )
        if self.faults:
            raise ConfigError("\n".join(self.faults))
        return Ladder(tiers, self.endpoints, (*_prior_notes(shapes, steps), *_order_notes(tiers)), self.document.name)

    def _deployment(self, tier: TierConfig, place: int, index: int) -> Deployment:
        shape, path = tier.deployments[index], ("tiers", place, "deployments", index)
        vendor, model = self._identify(shape, path)
        known = self._table_name(shape, model)
        deployment = Deployment(
            id=f"{tier.name}/{index}",
            model=model,
            price=self._price(tier, shape, known, path),
            facts=_facts(
                shape, _SIMULATED_FACTS if vendor.kind == "simulated" else self.catalog.facts(known) or ModelFacts()
            ),
        )
        self.endpoints[deployment.id] = self._endpoint(deployment, shape, vendor, path)
        return deployment

    def _identify(self, shape: DeploymentConfig, path: Path) -> tuple[Vendor, str]:
        """Whose model it is, and its name as `provider/name`; a name of nobody's at an address is OpenAI-compatible."""
        prefix, slash, name = shape.model.partition("/")
        if slash and prefix in VENDORS:
            return VENDORS[prefix], f"{VENDORS[prefix].name}/{name}"
        listed = bool(slash) and prefix in self.catalog.providers
        provider = self.catalog.provider(shape.model)
        if shape.adapter == "openai" or (shape.api_base and not listed and shape.adapter is None):
            return (Vendor(prefix, "openai"), shape.model) if listed else (VENDORS["openai"], f"openai/{shape.model}")
        if provider is None and (shape.adapter is None or not slash):
            self._fault((*path, "model"), f'whose model is "{shape.model}"? Write it as provider/name, or add api_base')
            return VENDORS["openai"], f"openai/{shape.model}"
        owner = provider or prefix
        full = shape.model if slash and prefix == owner else f"{owner}/{shape.model}"
        return VENDORS.get(owner, Vendor(owner, "litellm")), full

    def _table_name(self, shape: DeploymentConfig, model: str) -> str:
        """The name the table knows it by: the one given, `provider/name`, or as written (claude-… on an own server)."""
        names = [shape.base_model] if shape.base_model else [model, shape.model]
        return next((name for name in names if self.catalog.price(name) is not None), names[0])

    def _price(self, tier: TierConfig, shape: DeploymentConfig, known: str, path: Path) -> Price | None:
        given = shape.price or tier.price
        price = _price(given) if given else self.catalog.price(known) or _simulated_price(known)
        if price is None:
            missing = f'tier "{tier.name}" has no price: litellm\'s table does not know "{known}". '
            self._fault((*path, "model"), missing + (_PRICE_IN_LITELLM if self.document.origins else _PRICE_IN_TIER))
        return price

    def _endpoint(self, deployment: Deployment, shape: DeploymentConfig, vendor: Vendor, path: Path) -> Endpoint:
        kind = vendor.kind if vendor.kind == "simulated" else shape.adapter or vendor.kind
        base = shape.api_base or (vendor.api_base if kind == "openai" else None)
        if kind == "openai" and base is None:
            self._fault(path, f"{deployment.model} needs its address: add api_base: http://host:port/v1")
        return Endpoint(
            deployment=deployment,
            kind=kind,
            api_base=base.rstrip("/") if base else None,
            api_key=self._key(shape, vendor, path),
            hints=shape.hints,
            timeouts=_timeouts(self.timeouts, shape.timeouts),
            simulate=shape.simulate,
            params=self._params(shape, kind, deployment.model, path),
        )

    def _params(self, shape: DeploymentConfig, kind: Kind, model: str, path: Path) -> dict[str, object]:
        """What the litellm adapter is told beside the request: the operator's defaults and the vendor's own keys."""
        keys = dict(shape.vendor_keys())
        for name in keys:
            if not vendor_keys.fits(name, model.partition("/")[0]):
                whose = " and ".join(vendor_keys.owners(name))
                self._fault((*path, name), f"is for {whose} models, and this is {model}: remove it")
        for name in shape.params:
            if name in vendor_keys.NAMES:
                self._fault((*path, "params", name), f"stands beside model, not in params: write {name}: ... there")
        if shape.params and kind != "litellm":
            self._fault((*path, "params"), f"goes to litellm, and {model} is asked directly: remove it")
        return {**shape.params, **keys}

    def _key(self, shape: DeploymentConfig, vendor: Vendor, path: Path) -> Secret | None:
        found = key_of(shape, vendor, self.variables)
        if found is None and vendor.key_names and not _elsewhere(shape, vendor):
            self._fault(path, needs_key(vendor))
        return found

    def _fault(self, path: Path, message: str) -> None:
        self.faults.append(self.document.say(path, message))


def key_of(shape: DeploymentConfig | ClientEmbeddingConfig, vendor: Vendor, variables: Variables) -> Secret | None:
    """Its own key, else the vendor's from the environment, which is sent to that vendor alone; None = it has none."""
    if shape.api_key is not None:
        return Secret(shape.api_key.get_secret_value())
    value = None if _elsewhere(shape, vendor) else variables.first(vendor.key_names)
    return Secret(value) if value else None


def needs_key(vendor: Vendor) -> str:
    """What to do where a vendor's key is missing."""
    return f"{vendor.name} needs a key: export {vendor.key_names[0]}=…, or add api_key: os.environ/NAME"


def _elsewhere(shape: DeploymentConfig | ClientEmbeddingConfig, vendor: Vendor) -> bool:
    """Whether it is asked at another address than the vendor's."""
    return shape.api_base is not None and host(shape.api_base) != host(vendor.api_base)


def _facts(shape: DeploymentConfig, known: ModelFacts) -> ModelFacts:
    """What the table knows, overridden by what the file says."""
    has = {word for word, able in shape.capabilities.items() if able}
    lacks = {word for word, able in shape.capabilities.items() if not able}
    return ModelFacts(
        shape.context_tokens or known.context_tokens,
        shape.max_output_tokens or known.max_output_tokens,
        (known.capabilities - lacks) | has,
        (known.lacks - has) | lacks,
    )


def _price(shape: PriceConfig) -> Price:
    def rate(usd: float | None) -> int | None:
        return None if usd is None else per_mtok(usd)

    return Price(
        Rates(
            per_mtok(shape.input_usd_per_mtok),
            per_mtok(shape.output_usd_per_mtok),
            rate(shape.cached_input_usd_per_mtok),
            rate(shape.cache_write_usd_per_mtok),
            rate(shape.reasoning_usd_per_mtok),
        )
    )


def _simulated_price(model: str) -> Price | None:
    rows = {f"simulated/{name}": Rates(per_mtok(usd_in), per_mtok(usd_out)) for name, usd_in, usd_out, _ in SIMULATED}
    return Price(rows[model]) if model in rows else None


def _timeouts(*narrowing: TimeoutsConfig | None) -> Timeouts:
    """The defaults, narrowed by each setting in turn."""
    times = Timeouts()
    for shape in narrowing:
        times = replace(times, **(shape.model_dump(exclude_none=True) if shape else {}))
    return times


def _prior_notes(shapes: Sequence[TierConfig], steps: Sequence[float]) -> Iterable[str]:
    missing = [
        f"{shape.name} {step:g}" for shape, step in zip(shapes, steps, strict=True) if shape.prior_accuracy is None
    ]
    if missing:
        steps_taken = ", ".join(missing)
        yield f"no prior_accuracy is given, so even steps from .55 to .80 stand in: {steps_taken}; measure and set them"


def _order_notes(tiers: Sequence[Tier]) -> Iterable[str]:
    for lower, upper in itertools.pairwise(tiers):
        if _tier_cost(lower) > _tier_cost(upper):
            yield f'tier "{upper.name}" stands above "{lower.name}" and is cheaper; the order is kept as given'


def _tier_cost(tier: Tier) -> tuple[int, int]:
    return min(
        (deployment.price.base.output, deployment.price.base.input)
        for deployment in tier.deployments
        if deployment.price
    )
