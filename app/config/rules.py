"""Rules of the configuration that need two keys at a time, or a word's meaning elsewhere: names, budgets, addresses.

The law of this file: it sees a configuration that already has its shape, and yields (path, what is wrong and how to
mend it). Prices and vendors are the ladder's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.config import verifiers
from app.config.mistakes import did_you_mean
from app.edge.headers import DEFAULTABLE
from router.endpoints import is_vendor_host
from router.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from app.config.lines import Path
    from app.config.settings import BudgetConfig, Config, DeploymentConfig

_STORES = ("sqlite+aiosqlite://", "postgresql+asyncpg://")
_REDIS = ("redis://", "rediss://", "unix://")
#: What tiers are named where the file has none (`ladder.from_environment`).
GENERATED_TIERS = ("small", "medium", "large")
EXAMPLE = """tiers:
  - name: small
    deployments: [{model: openai/gpt-5-nano, api_key: os.environ/OPENAI_API_KEY}]"""


@dataclass(frozen=True, slots=True)
class Policies:
    """What the configuration needs to know of policies: their names, and who checks a policy's settings.

    `validate(name, settings)` raises ConfigError; its `param`, where set, is the setting at fault. `baseline(name)`
    finds those without settings (None = it is none) and raises RequestError for a share that is none.
    """

    names: Collection[str]
    validate: Callable[[str, Mapping[str, Any]], object]
    baseline: Callable[[str], object | None] = lambda _: None

    def fault_of(self, name: str, tiers: Iterable[str]) -> str | None:
        """Why neither a policy nor a tier goes by this name; None = one does."""
        targets = [*sorted(self.names), *tiers, *(f"always:{tier}" for tier in tiers)]
        try:
            if name in targets or self.baseline(name) is not None:
                return None
        except RequestError as error:
            return error.message
        return f'no policy is named "{name}"{did_you_mean(name, targets)} Known: {", ".join(sorted(self.names))}'


def faults(config: Config, policies: Policies) -> Iterator[tuple[Path, str]]:
    """Everything wrong between keys: (path, what and how to mend it)."""
    if not config.tiers and "tiers" in config.model_fields_set:
        yield ("tiers",), f"at least one tier is needed, cheapest first, such as:\n{EXAMPLE}"
        return
    yield from _tier_faults(config, policies)
    yield from _alias_faults(config, policies)
    yield from _policy_faults(config, policies)
    yield from _key_faults(config)
    yield from _budget_faults(config)
    yield from _address_faults(config)
    yield from verifiers.faults(config.verifiers)


def _tier_faults(config: Config, policies: Policies) -> Iterator[tuple[Path, str]]:
    names = [tier.name for tier in config.tiers]
    for place, tier in enumerate(config.tiers):
        if tier.name in names[:place]:
            yield ("tiers", place, "name"), f'a tier named "{tier.name}" stands above already: tier names are unique'
        if tier.name in policies.names:
            yield ("tiers", place, "name"), f'"{tier.name}" is the name of a policy: choose another'
        if tier.judge is not None and tier.judge not in names:
            near = did_you_mean(tier.judge, names)
            yield ("tiers", place, "judge"), f'no tier is named "{tier.judge}"{near} Tiers: {", ".join(names)}'
        for index, deployment in enumerate(tier.deployments):
            if deployment.hints and not _may_hint(deployment):
                path = ("tiers", place, "deployments", index, "hints")
                yield path, "hints are for simulated and recorded upstreams, never for a vendor: remove it"


def _tier_names(config: Config) -> list[str]:
    """The tiers there will be; a file without `tiers` gets those of the environment's keys."""
    return [tier.name for tier in config.tiers] or list(GENERATED_TIERS)


def _may_hint(deployment: DeploymentConfig) -> bool:
    if deployment.model.startswith("simulated/"):
        return True
    return (
        deployment.api_base is not None and deployment.adapter != "litellm" and not is_vendor_host(deployment.api_base)
    )


def _alias_faults(config: Config, policies: Policies) -> Iterator[tuple[Path, str]]:
    tiers = _tier_names(config)
    targets = [*policies.names, *tiers, *(f"always:{tier}" for tier in tiers)]
    for alias, target in config.aliases.items():
        if alias in targets:
            kind = "tier" if alias in tiers else "policy"
            yield (
                ("aliases", alias),
                f'"{alias}" is the name of a {kind} already, so the alias could never be reached: remove it',
            )
        if policies.fault_of(target, tiers) is not None:
            near = did_you_mean(target, targets)
            yield (
                ("aliases", alias),
                f'"{target}" is no policy and no tier{near} Known: {", ".join([*sorted(policies.names), *tiers])}',
            )


def _policy_faults(config: Config, policies: Policies) -> Iterator[tuple[Path, str]]:
    tiers = _tier_names(config)
    fault = policies.fault_of(config.policy.default, tiers)
    if fault is not None:
        yield ("policy", "default"), fault
    for name, settings in config.policy.settings().items():
        if name not in policies.names:
            known = ["default", *sorted(policies.names)]
            yield (
                ("policy", name),
                f"no policy has this name{did_you_mean(name, known)} Allowed here: {', '.join(known)}",
            )
            continue
        try:
            policies.validate(name, settings)
        except ConfigError as error:
            spelled = [key for key in settings if error.param in (key, key.replace("-", "_"))]
            yield ("policy", name, *spelled[:1]), error.message
        yield from _named_tiers(name, settings, tiers)


def _named_tiers(policy: str, settings: Mapping[str, Any], tiers: list[str]) -> Iterator[tuple[Path, str]]:
    """The settings of `two-tier` that name a tier."""
    for key in ("small", "large"):
        named = settings.get(key)
        if isinstance(named, str) and named not in tiers:
            near = did_you_mean(named, tiers)
            yield ("policy", policy, key), f'"{named}" is no tier{near} Known: {", ".join(tiers)}'


def _key_faults(config: Config) -> Iterator[tuple[Path, str]]:
    for word in ("key", "id"):
        seen: set[str] = set()
        for place, entry in enumerate(config.keys):
            value = entry.key.get_secret_value() if word == "key" else entry.id
            if value is not None and value in seen:
                yield ("keys", place, word), f"this {word} stands above already: each is given once"
            seen.add(value or "")


def _budget_faults(config: Config) -> Iterator[tuple[Path, str]]:
    yield from _periods_twice(("budgets",), [(each.per, each.team or "") for each in config.budgets])
    for place, key in enumerate(config.keys):
        yield from _periods_twice(("keys", place, "budgets"), [(each.per, "") for each in key.budgets])
        for name in sorted(set(key.headers) - set(DEFAULTABLE)):
            yield ("keys", place, "headers", name), f"is no header with a default; those are {', '.join(DEFAULTABLE)}"
        yield from _empty_budgets(("keys", place, "budgets"), key.budgets)
    yield from _empty_budgets(("budgets",), config.budgets)


def _empty_budgets(path: Path, given: Sequence[BudgetConfig]) -> Iterator[tuple[Path, str]]:
    for place, each in enumerate(given):
        if each.usd is None and each.soft_usd is None:
            yield (*path, place), "give `usd`, `soft_usd` or both"


def _periods_twice(path: Path, given: list[tuple[str, str]]) -> Iterator[tuple[Path, str]]:
    for place, each in enumerate(given):
        if each in given[:place]:
            yield (*path, place, "per"), f"a budget per {each[0]} stands above already: one for each period"


def _address_faults(config: Config) -> Iterator[tuple[Path, str]]:
    store = config.store
    if store.retention_days and store.text_retention_days and store.text_retention_days > store.retention_days:
        yield ("store", "text_retention_days"), "text cannot outlive its row: must be at most retention_days"
    if config.index.kind == "pgvector" and not store.url.get_secret_value().startswith(_STORES[1]):
        yield ("index", "kind"), f"pgvector needs a store.url that begins with {_STORES[1]}; or use faiss"
    if not config.store.url.get_secret_value().startswith(_STORES):
        yield ("store", "url"), f"must begin with {' or '.join(_STORES)}"
    if config.redis.url is not None and not config.redis.url.get_secret_value().startswith(_REDIS):
        yield ("redis", "url"), f"must begin with {' or '.join(_REDIS)}"
