"""A LiteLLM `config.yaml` -> the same thing as a `gearbox.yaml`, unchanged on disk.

The law of this file: it translates shapes and remembers where each piece stood (`Document.origins`), so that an error
still names the operator's own line. Whatever does not concern routing is told once, never refused.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, TypeAlias

from app.config import ladder, vendor_keys
from router.catalog import price_of
from router.endpoints import VENDORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from app.config.environment import Variables
    from app.config.lines import Document
    from router.catalog import Catalog
    from router.pricing import Price

_Path: TypeAlias = "tuple[str | int, ...]"

_ENVIRON = "os.environ/"
_PRICES = {
    "input_cost_per_token": "input_usd_per_mtok",
    "output_cost_per_token": "output_usd_per_mtok",
    "cache_read_input_token_cost": "cached_input_usd_per_mtok",
    "cache_creation_input_token_cost": "cache_write_usd_per_mtok",
    "output_cost_per_reasoning_token": "reasoning_usd_per_mtok",
}
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
}
_CHAT = frozenset({"chat", "responses", "completion"})
#: Parameters that we read, or that mean nothing to a router; every other one goes to the litellm adapter.
_READ = frozenset({"model", "api_base", "base_url", "api_key", "timeout", "stream_timeout", *_PRICES})
_IDLE = frozenset(
    {
        "rpm",
        "tpm",
        "weight",
        "order",
        "max_retries",
        "max_parallel_requests",
        "tags",
        "drop_params",
        "custom_llm_provider",
    }
)
_UNFIT = re.compile(r"[^A-Za-z0-9._/@+-]+")


def is_litellm(data: Mapping[str, Any]) -> bool:
    """Whether a configuration is LiteLLM's."""
    return "model_list" in data


def translate(
    document: Document, variables: Variables, catalog: Catalog, today: date
) -> tuple[Document, tuple[str, ...]]:
    """The document as a `gearbox.yaml` would have it, and notes on what was left out.

    Raises:
        ConfigError: `model_list` or the `gearbox` block has no shape of LiteLLM's, or nothing in it can be asked.
    """
    return _Translation(document, variables, catalog, today).run()


@dataclass(frozen=True, slots=True)
class _Entry:
    """One item of `model_list`."""

    place: int
    name: str
    params: Mapping[str, Any]
    info: Mapping[str, Any]

    @property
    def model(self) -> str:
        """LiteLLM's name of the model, with the provider where it is given apart."""
        model, provider = str(self.params.get("model", "")), self.params.get("custom_llm_provider")
        return f"{provider}/{model}" if provider and not model.startswith(f"{provider}/") else model

    @property
    def known_as(self) -> str:
        """The name to look up in the table."""
        return str(self.info.get("base_model") or self.model)

    @property
    def costs(self) -> dict[str, Decimal]:
        """The costs given, USD per token; `model_info` wins. Checked when the entry was read."""
        given = {**self.params, **self.info}
        return {key: Decimal(str(given[key])) for key in _PRICES if given.get(key) is not None}

    @property
    def wild(self) -> bool:
        """Whether it stands for every model of a provider."""
        return "*" in self.name or "*" in self.model


@dataclass
class _Translation:
    """One translation under way."""

    document: Document
    variables: Variables
    catalog: Catalog
    today: date
    notes: list[str] = field(default_factory=list)
    origins: dict[_Path, _Path] = field(default_factory=dict)

    def run(self) -> tuple[Document, tuple[str, ...]]:
        """See `translate`."""
        block = self._mapping(("gearbox",))
        entries = self._entries()
        plain = [entry for entry in entries if not entry.wild and self._usable(entry)]
        tiers = self._named(block["tiers"], plain) if "tiers" in block else self._by_price(plain, entries)
        for key in block:
            self.origins.setdefault((key,), ("gearbox", key))
        data = {**{key: value for key, value in block.items() if key != "tiers"}, "tiers": tiers}
        data["aliases"] = self._aliases(data, entries)
        self._master_key(data)
        self._ignored()
        return replace(self.document, data=data, origins=self.origins), tuple(self.notes)

    # what stands in the file

    def _mapping(self, path: _Path) -> Mapping[str, Any]:
        value: Any = self.document.data
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            raise self.document.error(path, "must be a mapping")
        return value or {}

    def _entries(self) -> list[_Entry]:
        items = self.document.data["model_list"]
        if not isinstance(items, list) or not items:
            raise self.document.error(
                ("model_list",), "must be a list of models, each with model_name and litellm_params"
            )
        return [self._entry(place, item) for place, item in enumerate(items)]

    def _entry(self, place: int, item: Any) -> _Entry:
        path = ("model_list", place)
        params = item.get("litellm_params") if isinstance(item, dict) else None
        if not isinstance(params, dict) or not isinstance(params.get("model"), str) or not params["model"]:
            raise self.document.error(
                path, "needs litellm_params with a model, such as litellm_params: {model: openai/gpt-5-nano}"
            )
        info = item.get("model_info") or {}
        if not isinstance(info, dict):
            raise self.document.error((*path, "model_info"), "must be a mapping")
        for part, values in (("litellm_params", params), ("model_info", info)):
            for key in _PRICES:
                if values.get(key) is not None and not _is_cost(values[key]):
                    raise self.document.error((*path, part, key), "must be a number of USD per token, 0 or more")
        return _Entry(place, str(item.get("model_name") or params["model"]), params, info)

    def _usable(self, entry: _Entry) -> bool:
        """Whether a model can be asked in a chat and its variables are set; a note says what is left out."""
        mode = entry.info.get("mode") or self.catalog.mode(entry.known_as)
        if mode is not None and mode not in _CHAT:
            return self._left_out(entry, f'it is no chat model (mode "{mode}")')
        unset = [name for name in _variables(entry) if self.variables.get(name) is None] or self._vendor_key(entry)
        return self._left_out(entry, f"{', '.join(unset)} is not set") if unset else True

    def _vendor_key(self, entry: _Entry) -> list[str]:
        """The variable of the vendor's own key, where the entry needs it and it is not set."""
        given = entry.params.get("api_key") or entry.params.get("api_base") or entry.params.get("base_url")
        vendor = VENDORS.get(self._provider(entry))
        if given or vendor is None or self.variables.first(vendor.key_names):
            return []
        return list(vendor.key_names[:1])

    def _left_out(self, entry: _Entry, why: str) -> bool:
        self.notes.append(
            self.document.say(("model_list", entry.place), f"{entry.name} ({entry.model}) is left out: {why}")
        )
        return False

    # tiers

    def _named(self, tiers: Any, plain: list[_Entry]) -> list[Any]:
        """The `gearbox.tiers` block: model names, or tiers that point to one by `model_name` (default: their name)."""
        if not isinstance(tiers, list):
            raise self.document.error(("gearbox", "tiers"), "must be a list of model names, cheapest first")
        self.origins["tiers",] = ("gearbox", "tiers")
        return [self._named_tier(place, item, plain) for place, item in enumerate(tiers)]

    def _named_tier(self, place: int, item: Any, plain: list[_Entry]) -> Any:
        path = ("gearbox", "tiers", place)
        if isinstance(item, dict) and "deployments" in item:
            return item
        if not isinstance(item, str | dict):
            raise self.document.error(path, "must be a model_name of model_list, or a mapping with name and model_name")
        shape = {"name": item} if isinstance(item, str) else dict(item)
        wanted = shape.pop("model_name", shape.get("name"))
        chosen = [entry for entry in plain if entry.name == wanted]
        if not chosen:
            names = ", ".join(dict.fromkeys(entry.name for entry in plain)) or "none that can be used, see model_list"
            raise self.document.error(
                path, f'no usable chat model of model_list is named "{wanted}". There are: {names}'
            )
        return {**shape, "name": _fit(str(shape.get("name", wanted))), "deployments": self._deployments(place, chosen)}

    def _by_price(self, plain: list[_Entry], entries: list[_Entry]) -> list[Any]:
        """Every chat model as a tier, by output price; of wildcards alone, the vendor's own rungs."""
        names = list(dict.fromkeys(entry.name for entry in plain))
        groups = {name: [entry for entry in plain if entry.name == name] for name in names}
        priced = {name: cost for name, group in groups.items() if (cost := self._cost(group)) is not None}
        for name in names:
            if name not in priced:
                self._left_out(
                    groups[name][0],
                    "it has no price; add input_cost_per_token and output_cost_per_token to its model_info",
                )
        ordered = sorted(priced, key=lambda name: priced[name])
        tiers: list[Any] = [
            {"name": _fit(name), "deployments": self._deployments(place, groups[name])}
            for place, name in enumerate(ordered)
        ]
        tiers = tiers or self._of_wildcards([entry for entry in entries if entry.wild])
        if not tiers:
            raise self.document.error(("model_list",), "\n".join(["none of these models can be a tier:", *self.notes]))
        for place, name in enumerate(ordered):
            self.origins["tiers", place] = ("model_list", groups[name][0].place)
            self.origins["tiers", place, "name"] = ("model_list", groups[name][0].place, "model_name")
        shown = " < ".join(str(tier["name"]) for tier in tiers)
        self.notes.append(
            f"{self.document.name}: the ladder, by output price: {shown}; gearbox: {{tiers: [...]}} chooses another"
        )
        return tiers

    def _cost(self, group: list[_Entry]) -> tuple[int, int] | None:
        prices = [price for entry in group if (price := self._price(entry)) is not None]
        return min((price.base.output, price.base.input) for price in prices) if len(prices) == len(group) else None

    def _price(self, entry: _Entry) -> Price | None:
        return price_of(entry.costs) or self.catalog.price(entry.known_as)

    def _of_wildcards(self, wild: list[_Entry]) -> list[Any]:
        """Rungs for `openai/*` and its like, chosen from the table as without a file."""
        usable = [entry for entry in wild if self._usable(entry)]
        found = {model.model: (model, entry) for entry in usable for model in self._rungs(entry)}
        chosen = ladder.pick([model for model, _ in found.values()])
        tiers = []
        for place, model in enumerate(chosen):
            entry = found[model.model][1]
            concrete = replace(
                entry, params={**entry.params, "model": model.model, "custom_llm_provider": None}, info={}
            )
            self.origins["tiers", place] = ("model_list", entry.place)
            tiers.append({"name": _fit(model.name), "deployments": self._deployments(place, [concrete])})
        return tiers

    def _rungs(self, entry: _Entry) -> list[Any]:
        provider = entry.model.partition("/")[0]
        named = [VENDORS[provider]] if provider in VENDORS else []
        keyed = [vendor for vendor in dict.fromkeys(VENDORS.values()) if self.variables.first(vendor.key_names)]
        return [
            model
            for vendor in (keyed if entry.model == "*" else named)
            for model in ladder.rungs(vendor, self.catalog, self.today)
        ]

    # deployments

    def _deployments(self, tier: int, group: list[_Entry]) -> list[dict[str, Any]]:
        for index, entry in enumerate(group):
            here: _Path = ("tiers", tier, "deployments", index)
            there: _Path = ("model_list", entry.place, "litellm_params")
            self.origins[here] = there
            self.origins[*here, "timeouts", "total_s"] = (*there, "timeout")
            self.origins[*here, "timeouts", "first_token_s"] = (*there, "stream_timeout")
        return [self._deployment(entry) for entry in group]

    def _deployment(self, entry: _Entry) -> dict[str, Any]:
        params, info = entry.params, entry.info
        shape = {
            "model": entry.model,
            "api_base": params.get("api_base") or params.get("base_url"),
            "api_key": params.get("api_key"),
            "adapter": self._adapter(entry),
            "base_model": info.get("base_model"),
            "price": self._price_shape(entry),
            "timeouts": _without_none(
                {"total_s": params.get("timeout"), "first_token_s": params.get("stream_timeout")}
            ),
            "context_tokens": info.get("max_input_tokens"),
            "max_output_tokens": info.get("max_output_tokens"),
            "capabilities": {word: info[key] for key, word in _CAPABILITIES.items() if isinstance(info.get(key), bool)},
            **self._for_litellm(entry),
        }
        return {key: value for key, value in shape.items() if value not in (None, {})}

    def _for_litellm(self, entry: _Entry) -> dict[str, Any]:
        """The vendor's own keys and litellm's defaults; what nobody would read is left out and told."""
        given = {key: value for key, value in entry.params.items() if key not in _READ | _IDLE}
        keys = {key: _as_text(given.pop(key)) for key in vendor_keys.NAMES if key in given}
        fitting = {key: value for key, value in keys.items() if vendor_keys.fits(key, self._provider(entry))}
        direct = self._asked_directly(entry)
        unread = [key for key in (*keys, *given) if (direct and key in given) or key in keys.keys() - fitting.keys()]
        if unread:
            path = ("model_list", entry.place, "litellm_params")
            self.notes.append(self.document.say(path, f"not used for {entry.model}: {', '.join(unread)}"))
        return {**fitting, "params": {} if direct else given}

    def _provider(self, entry: _Entry) -> str:
        return entry.model.partition("/")[0] if "/" in entry.model else self.catalog.provider(entry.model) or ""

    def _asked_directly(self, entry: _Entry) -> bool:
        """Whether it will be asked without litellm; see `ladder`, which decides it of the shapes."""
        provider = self._provider(entry)
        if provider in VENDORS:
            return VENDORS[provider].kind != "litellm"
        return provider not in self.catalog.providers and self._adapter(entry) is None

    def _adapter(self, entry: _Entry) -> str | None:
        """Whoever neither we nor the table know by prefix, LiteLLM knows."""
        prefix, slash, _ = entry.model.partition("/")
        base = entry.params.get("api_base") or entry.params.get("base_url")
        known = prefix in VENDORS or prefix in self.catalog.providers or base
        return "litellm" if slash and not known else None

    def _price_shape(self, entry: _Entry) -> dict[str, float] | None:
        """LiteLLM's USD per token -> USD per million tokens; None unless both input and output are given."""
        costs = entry.costs
        if not {"input_cost_per_token", "output_cost_per_token"} <= costs.keys():
            return None
        return {ours: float(costs[theirs] * 1_000_000) for theirs, ours in _PRICES.items() if theirs in costs}

    # names

    def _aliases(self, data: Mapping[str, Any], entries: list[_Entry]) -> dict[str, Any]:
        """Every name that LiteLLM's clients send still works: other models and wildcards go to the default policy."""
        given = data.get("aliases") or {}
        if not isinstance(given, dict):
            return given  # type: ignore[no-any-return]  # the shape's own check says what is wrong
        policy = (
            (data.get("policy") or {}).get("default", "auto") if isinstance(data.get("policy") or {}, dict) else "auto"
        )
        tiers = {str(tier.get("name")) for tier in data["tiers"] if isinstance(tier, dict)}
        aliases: dict[str, Any] = {}
        for entry in entries:
            if entry.name not in tiers and self._is_chat(entry):
                aliases[entry.name] = _fit(entry.name) if _fit(entry.name) in tiers else policy
                self.origins["aliases", entry.name] = ("model_list", entry.place, "model_name")
        moved = [name for name, target in aliases.items() if target == policy]
        if moved:
            self.notes.append(f"{self.document.name}: model names that are no tier go to {policy}: {', '.join(moved)}")
        return {**aliases, **self._group_aliases(tiers, aliases), **given}

    def _is_chat(self, entry: _Entry) -> bool:
        mode = entry.info.get("mode") or self.catalog.mode(entry.known_as)
        return mode is None or mode in _CHAT

    def _group_aliases(self, tiers: set[str], aliases: Mapping[str, Any]) -> dict[str, Any]:
        """`router_settings.model_group_alias`: name -> model_name, or -> {model: model_name}."""
        found: dict[str, Any] = {}
        path = ("router_settings", "model_group_alias")
        for name, value in self._mapping(path).items():
            target = value.get("model") if isinstance(value, dict) else value
            if name in tiers:
                self.notes.append(
                    self.document.say((*path, name), f'"{name}" is a tier of its own, so the alias is left out')
                )
                continue
            found[name] = _fit(str(target)) if _fit(str(target)) in tiers else aliases.get(str(target), target)
            self.origins["aliases", name] = (*path, name)
        return found

    # everything else

    def _master_key(self, data: dict[str, Any]) -> None:
        """LiteLLM's master key is ours too: a proxy that asked for a key goes on asking."""
        key = self._mapping(("general_settings",)).get("master_key")
        if not isinstance(key, str) or not key or "keys" in data:
            return
        path = ("general_settings", "master_key")
        name = key.removeprefix(_ENVIRON)
        if name != key and self.variables.get(name) is None:
            self.notes.append(self.document.say(path, f"{name} is not set, so no key is asked for"))
            return
        data["keys"] = [{"key": key, "id": "master_key", "admin": True}]
        self.origins["keys", 0, "key"] = path

    def _ignored(self) -> None:
        """One warning for all that does not concern routing."""
        used = {("router_settings", "model_group_alias"), ("general_settings", "master_key")}
        names = []
        for key, value in self.document.data.items():
            if key in ("model_list", "gearbox"):
                continue
            inner = [f"{key}.{word}" for word in value if (key, word) not in used] if isinstance(value, dict) else [key]
            names.extend(inner)
        if names:
            self.notes.append(f"{self.document.name}: not used by Gearbox: {', '.join(names)}")


def _variables(entry: _Entry) -> list[str]:
    """The variables an entry names."""
    return [
        value.removeprefix(_ENVIRON)
        for value in entry.params.values()
        if isinstance(value, str) and value.startswith(_ENVIRON)
    ]


def _is_cost(value: Any) -> bool:
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return False
    return cost.is_finite() and 0 <= cost < 1


def _fit(name: str) -> str:
    """A model's name as a tier's: headers list tiers by comma and colon."""
    return _UNFIT.sub("-", name).strip("-._/@+") or "tier"


def _as_text(value: Any) -> Any:
    """A service account may stand there as a mapping; its vendor wants the JSON."""
    return json.dumps(value) if isinstance(value, dict) else value


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
