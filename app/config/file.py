"""`gearbox.yaml` or a LiteLLM `config.yaml` -> one checked `Config`, or an error that says file, line, key and cure.

The law of this file: it reads the file once; everything that is wrong is told at once. It knows the shapes of
`settings.py`, and the rules that need two keys at a time stand here; prices and vendors are the ladder's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from app.config import lines as config_lines
from app.config import litellm_config, verifiers
from app.config.settings import Config
from app.edge.headers import DEFAULTABLE
from router.endpoints import is_vendor_host
from router.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
    from datetime import date
    from pathlib import Path

    from pydantic_core import ErrorDetails

    from app.config.lines import Document
    from app.config.settings import BudgetConfig, DeploymentConfig, Variables
    from router.catalog import Catalog

_ENVIRON = "os.environ/"
_STORES = ("sqlite+aiosqlite://", "postgresql+asyncpg://")
_REDIS = ("redis://", "rediss://", "unix://")
_PATTERNS = {
    "api_base": "must be an address such as https://host/v1",
    "name": "may hold letters, digits and . _ / @ + - only, and begins with a letter or digit",
}
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


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, the document it came from (for line numbers), and what the operator should know."""

    config: Config
    document: Document
    notes: tuple[str, ...] = field(default=())


def find(option: Path | None, environment: Path | None, folder: Path) -> Path | None:
    """The file to read: `--config`, else GEARBOX_CONFIG, else `gearbox.yaml` in the folder, else none."""
    named = option or environment
    if named is not None:
        return named
    usual = folder / "gearbox.yaml"
    return usual if usual.is_file() else None


def load(path: Path, variables: Variables, catalog: Catalog, policies: Policies, today: date) -> Loaded:
    """Read and check a file.

    Raises:
        ConfigError: everything that is wrong with it, one line each.
    """
    return read(file_text(path), path.name, variables, catalog, policies, today)


def read(text: str, name: str, variables: Variables, catalog: Catalog, policies: Policies, today: date) -> Loaded:
    """As `load`, from text."""
    document, notes = config_lines.parse(text, name), tuple[str, ...]()
    if litellm_config.is_litellm(document.data):
        document, notes = litellm_config.translate(document, variables, catalog, today)
    document = _with_environment(document, variables)
    config = _config(document)
    faults = sorted(_faults(config, policies), key=lambda fault: document.line(fault[0]))
    _raise(document.say(path, message) for path, message in faults)
    return Loaded(config, document, notes)


def file_text(path: Path) -> str:
    """A file as text.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({error.strerror}); check the name given by --config or GEARBOX_CONFIG"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def _raise(messages: Iterable[str]) -> None:
    found = list(dict.fromkeys(messages))
    if found:
        raise ConfigError("\n".join(found))


# os.environ/NAME


def _with_environment(document: Document, variables: Variables) -> Document:
    """The document with each `os.environ/NAME` replaced by that variable's value."""
    missing: list[str] = []

    def fill(value: Any, path: tuple[str | int, ...]) -> Any:
        if isinstance(value, dict):
            return {key: fill(item, (*path, str(key))) for key, item in value.items()}
        if isinstance(value, list):
            return [fill(item, (*path, place)) for place, item in enumerate(value)]
        if not isinstance(value, str) or not value.startswith(_ENVIRON):
            return value
        name = value.removeprefix(_ENVIRON)
        found = variables.get(name)
        if found is None:
            near = did_you_mean(name, variables)
            missing.append(
                document.say(
                    path, f"the environment variable {name} is not set{near} Export it, or write the value here"
                )
            )
        return found or ""

    filled = fill(document.data, ())
    _raise(missing)
    return replace(document, data=filled)


# shapes


def _config(document: Document) -> Config:
    """The document in its shape; strict, so that a text is never taken for a number."""
    try:
        return Config.model_validate_json(json.dumps(document.data, default=str))
    except ValidationError as error:
        found = [(_path(detail), detail) for detail in error.errors(include_url=False)]
        found = [pair for pair in found if not _follows(pair, [path for path, _ in found])]
        found.sort(key=lambda pair: document.line(pair[0]))
        _raise(document.say(path, _message(detail, path, document.data)) for path, detail in found)
        raise


def _follows(pair: tuple[tuple[str | int, ...], ErrorDetails], paths: Collection[tuple[str | int, ...]]) -> bool:
    """Whether a list is called too short only because an item of it is wrong, which is told by itself."""
    path, detail = pair
    return detail["type"] == "too_short" and any(
        len(other) > len(path) and other[: len(path)] == path for other in paths
    )


def _path(found: ErrorDetails) -> tuple[str | int, ...]:
    return tuple(part for part in found["loc"] if part != "[key]")


def _message(found: ErrorDetails, path: tuple[str | int, ...], data: Any) -> str:
    word = str(path[-1]) if path else ""
    match found["type"]:
        case "extra_forbidden":
            allowed = _allowed(path[:-1])
            return f"unknown key{did_you_mean(word, allowed)} Allowed here: {', '.join(allowed)}"
        case "missing":
            return "is missing, add it"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch" | "value_error" if word in _PATTERNS:
            return _PATTERNS[word]
        case "literal_error":
            allowed = [
                item.strip("' ")
                for item in str(found.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")
            ]
            given = word if found["loc"][-1:] == ("[key]",) else str(_at(data, path))
            return f"must be one of {', '.join(allowed)}{did_you_mean(given, allowed)}"
        case _:
            text = (
                found["msg"]
                .replace("Input should be", "must be")
                .replace("an object", "a mapping")
                .replace("array", "list")
            )
            return f"{text[0].lower()}{text[1:]}, and is {_kind(_at(data, path))}"


def _allowed(path: tuple[str | int, ...]) -> list[str]:
    """The keys that a block may have."""
    model: Any = Config
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = next(_models(annotation))
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The records named by an annotation: `tuple[X, ...]`, `X | None`, `X`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _at(data: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else data[part] if isinstance(data, list) else None  # type: ignore[index]
    return data


def _kind(value: Any) -> str:
    """What was given, without showing a text, which may be a secret."""
    match value:
        case bool() | int() | float() | None:
            return "empty" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        case str():
            return "a text" if value else "an empty text"
        case dict():
            return "a mapping"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"a {type(value).__name__}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean "x"?` where something known is close, else a full stop."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else "."


# rules that need two keys


def _faults(config: Config, policies: Policies) -> Iterator[tuple[tuple[str | int, ...], str]]:
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


def _tier_faults(config: Config, policies: Policies) -> Iterator[tuple[tuple[str | int, ...], str]]:
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


def _alias_faults(config: Config, policies: Policies) -> Iterator[tuple[tuple[str | int, ...], str]]:
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


def _policy_faults(config: Config, policies: Policies) -> Iterator[tuple[tuple[str | int, ...], str]]:
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


def _named_tiers(
    policy: str, settings: Mapping[str, Any], tiers: list[str]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """The settings of `two-tier` that name a tier."""
    for key in ("small", "large"):
        named = settings.get(key)
        if isinstance(named, str) and named not in tiers:
            near = did_you_mean(named, tiers)
            yield ("policy", policy, key), f'"{named}" is no tier{near} Known: {", ".join(tiers)}'


def _key_faults(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for word in ("key", "id"):
        seen: set[str] = set()
        for place, entry in enumerate(config.keys):
            value = entry.key.get_secret_value() if word == "key" else entry.id
            if value is not None and value in seen:
                yield ("keys", place, word), f"this {word} stands above already: each is given once"
            seen.add(value or "")


def _budget_faults(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    yield from _periods_twice(("budgets",), [(each.per, each.team or "") for each in config.budgets])
    for place, key in enumerate(config.keys):
        yield from _periods_twice(("keys", place, "budgets"), [(each.per, "") for each in key.budgets])
        for name in sorted(set(key.headers) - set(DEFAULTABLE)):
            yield ("keys", place, "headers", name), f"is no header with a default; those are {', '.join(DEFAULTABLE)}"
        yield from _empty_budgets(("keys", place, "budgets"), key.budgets)
    yield from _empty_budgets(("budgets",), config.budgets)


def _empty_budgets(
    path: tuple[str | int, ...], given: Sequence[BudgetConfig]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, each in enumerate(given):
        if each.usd is None and each.soft_usd is None:
            yield (*path, place), "give `usd`, `soft_usd` or both"


def _periods_twice(
    path: tuple[str | int, ...], given: list[tuple[str, str]]
) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for place, each in enumerate(given):
        if each in given[:place]:
            yield (*path, place, "per"), f"a budget per {each[0]} stands above already: one for each period"


def _address_faults(config: Config) -> Iterator[tuple[tuple[str | int, ...], str]]:
    store = config.store
    if store.retention_days and store.text_retention_days and store.text_retention_days > store.retention_days:
        yield ("store", "text_retention_days"), "text cannot outlive its row: must be at most retention_days"
    if config.index.kind == "pgvector" and not store.url.get_secret_value().startswith(_STORES[1]):
        yield ("index", "kind"), f"pgvector needs a store.url that begins with {_STORES[1]}; or use faiss"
    if not config.store.url.get_secret_value().startswith(_STORES):
        yield ("store", "url"), f"must begin with {' or '.join(_STORES)}"
    if config.redis.url is not None and not config.redis.url.get_secret_value().startswith(_REDIS):
        yield ("redis", "url"), f"must begin with {' or '.join(_REDIS)}"
