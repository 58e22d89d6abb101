"""Tiers and where to ask them: from a configuration, from the API keys in the environment, or simulated.

The law of this file: it decides what the ladder is and says so in notes; it calls no one. Without a file the rungs are
chosen from LiteLLM's table by a rule (`rungs`, `pick`), never by a list of names that grows old.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, TypeAlias

from app.config import vendor_keys
from app.config.environment import Variables
from app.config.lines import Document
from app.config.settings import DeploymentConfig, PriceConfig, TierConfig
from app.edge.aliases import vendor_aliases
from router.domain import Deployment, ModelFacts, Tier
from router.endpoints import VENDORS, Endpoint, Secret, Timeouts, Vendor, host
from router.errors import ConfigError
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import date

    from app.config.file import Loaded
    from app.config.local_servers import LocalServer
    from app.config.settings import TimeoutsConfig
    from router.catalog import Catalog, CatalogModel
    from router.endpoints import Kind

_Path: TypeAlias = "tuple[str | int, ...]"

LOWEST_PRIOR, HIGHEST_PRIOR = 0.55, 0.80
#: A model that its vendor ends sooner than this is not chosen unasked.
_NOTICE = timedelta(days=90)
#: A generated ladder has no more rungs than this.
MOST_RUNGS = 3
_NAMES = {1: ("large",), 2: ("small", "large"), 3: ("small", "medium", "large")}
#: Name, USD per million tokens in and out, prior accuracy.
_SIMULATED = (("small", 0.05, 0.40, 0.55), ("medium", 0.50, 2.00, 0.76), ("large", 5.00, 20.00, 0.93))
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


@dataclass(frozen=True, slots=True)
class Ladder:
    """The tiers, cheapest first; each deployment's endpoint by its id; aliases; notes for the operator; its source."""

    tiers: tuple[Tier, ...]
    endpoints: Mapping[str, Endpoint]
    notes: tuple[str, ...]
    source: str
    aliases: Mapping[str, str] = field(default_factory=dict)


def from_config(loaded: Loaded, variables: Variables, catalog: Catalog) -> Ladder:
    """The ladder of a configuration, in the order given.

    Raises:
        ConfigError: a tier without a price, a key or an address that is missing; all of them at once.
    """
    config = loaded.config
    ladder = _Builder(loaded.document, variables, catalog, config.timeouts).build(config.tiers)
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
    names = [next(name for name in VENDORS[_provider(model)].key_names if variables.get(name)) for model in paid]
    places = [f"{server.name} at {server.api_base}" for server in local[: len(own)]]
    source = f"the environment ({', '.join(dict.fromkeys([*names, *places]))})"
    shapes = [*own, *(DeploymentConfig(model=model.model) for model in paid)]
    priors = prior_steps(len(shapes))
    tiers = [
        TierConfig(name=name, deployments=(shape,), prior_accuracy=prior)
        for name, shape, prior in zip(_NAMES[len(shapes)], shapes, priors, strict=True)
    ]
    ladder = _Builder(Document(source, {}, {}), variables, catalog).build(tiers)
    providers = [_provider(model) for model in paid] or ["openai"]
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
        for name, input_usd, output_usd, prior in _SIMULATED
    ]
    ladder = _Builder(Document("simulated tiers", {}, {}), Variables({}), catalog).build(tiers)
    return replace(
        ladder,
        notes=(*notes, *ladder.notes),
        source="simulated tiers (no API key found)",
        aliases=vendor_aliases(("openai",), policy),
    )


# which models, where nobody says


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


def _provider(model: CatalogModel) -> str:
    return model.model.partition("/")[0]


# from shapes to tiers


def prior_steps(count: int) -> list[float]:
    """Even steps from .55 to .80, the lowest tier's first; a single tier gets the highest."""
    if count == 1:
        return [HIGHEST_PRIOR]
    step = (HIGHEST_PRIOR - LOWEST_PRIOR) / (count - 1)
    return [round(LOWEST_PRIOR + step * place, 4) for place in range(count)]


@dataclass
class _Builder:
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

    def _identify(self, shape: DeploymentConfig, path: _Path) -> tuple[Vendor, str]:
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

    def _price(self, tier: TierConfig, shape: DeploymentConfig, known: str, path: _Path) -> Price | None:
        given = shape.price or tier.price
        price = _price(given) if given else self.catalog.price(known) or _simulated_price(known)
        if price is None:
            missing = f'tier "{tier.name}" has no price: litellm\'s table does not know "{known}". '
            self._fault((*path, "model"), missing + (_PRICE_IN_LITELLM if self.document.origins else _PRICE_IN_TIER))
        return price

    def _endpoint(self, deployment: Deployment, shape: DeploymentConfig, vendor: Vendor, path: _Path) -> Endpoint:
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

    def _params(self, shape: DeploymentConfig, kind: Kind, model: str, path: _Path) -> dict[str, object]:
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

    def _key(self, shape: DeploymentConfig, vendor: Vendor, path: _Path) -> Secret | None:
        """The deployment's key, else the vendor's own from the environment, which is sent to that vendor alone."""
        if shape.api_key is not None:
            return Secret(shape.api_key.get_secret_value())
        elsewhere = shape.api_base is not None and host(shape.api_base) != host(vendor.api_base)
        if elsewhere or not vendor.key_names:
            return None
        value = self.variables.first(vendor.key_names)
        if value is None:
            name = vendor.key_names[0]
            self._fault(path, f"{vendor.name} needs a key: export {name}=…, or add api_key: os.environ/NAME")
        return Secret(value) if value else None

    def _fault(self, path: _Path, message: str) -> None:
        self.faults.append(self.document.say(path, message))


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
    rows = {f"simulated/{name}": Rates(per_mtok(usd_in), per_mtok(usd_out)) for name, usd_in, usd_out, _ in _SIMULATED}
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
