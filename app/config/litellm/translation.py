"""A LiteLLM `config.yaml` -> the same thing as a `gearbox.yaml`, unchanged on disk.

The law of this file: it translates shapes and remembers where each piece stood (`Document.origins`), so that an error
still names the operator's own line. Whatever does not concern routing is told once, never refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from app.config.litellm import shapes
from app.config.litellm.entries import ENVIRON, Entry, read_entries
from app.config.litellm.lookup import Lookup
from app.config.litellm.patience import patience
from app.config.rungs import pick, rungs
from router.endpoints import VENDORS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

    from app.config.environment import Variables
    from app.config.lines import Document, Path
    from router.catalog import Catalog

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
    return _Translation(document, Lookup(catalog, variables), today).run()


@dataclass
class _Translation:
    """One translation under way."""

    document: Document
    lookup: Lookup
    today: date
    notes: list[str] = field(default_factory=list)
    origins: dict[Path, Path] = field(default_factory=dict)
    used: set[Path] = field(
        default_factory=lambda: {("router_settings", "model_group_alias"), ("general_settings", "master_key")}
    )

    def run(self) -> tuple[Document, tuple[str, ...]]:
        """See `translate`."""
        block = self._mapping(("gearbox",))
        entries = read_entries(self.document)
        plain = [entry for entry in entries if not entry.wild and self._usable(entry)]
        tiers = self._named(block["tiers"], plain) if "tiers" in block else self._by_price(plain, entries)
        for key in block:
            self.origins.setdefault((key,), ("gearbox", key))
        data = {**{key: value for key, value in block.items() if key != "tiers"}, "tiers": tiers}
        data["aliases"] = self._aliases(data, entries)
        self._embeddings(data, entries)
        self._patience(data)
        self._master_key(data)
        self._ignored()
        return replace(self.document, data=data, origins=self.origins), tuple(self.notes)

    # what stands in the file

    def _mapping(self, path: Path) -> Mapping[str, Any]:
        value: Any = self.document.data
        for part in path:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None and not isinstance(value, dict):
            raise self.document.error(path, "must be a mapping")
        return value or {}

    def _usable(self, entry: Entry) -> bool:
        """Whether a model can be asked in a chat and its variables are set; a note says what is left out."""
        if self.lookup.embeds(entry):
            return False
        if not self.lookup.chats(entry):
            return self._left_out(entry, f'it is no chat model (mode "{self.lookup.mode(entry)}")')
        return self._reachable(entry)

    def _reachable(self, entry: Entry) -> bool:
        """Whether the variables it needs are set; a note says which are not."""
        unset = self.lookup.unset(entry)
        return self._left_out(entry, f"{', '.join(unset)} is not set") if unset else True

    def _left_out(self, entry: Entry, why: str) -> bool:
        self.notes.append(
            self.document.say(("model_list", entry.place), f"{entry.name} ({entry.model}) is left out: {why}")
        )
        return False

    # tiers

    def _named(self, tiers: Any, plain: list[Entry]) -> list[Any]:
        """The `gearbox.tiers` block: model names, or tiers that point to one by `model_name` (default: their name)."""
        if not isinstance(tiers, list):
            raise self.document.error(("gearbox", "tiers"), "must be a list of model names, cheapest first")
        self.origins["tiers",] = ("gearbox", "tiers")
        return [self._named_tier(place, item, plain) for place, item in enumerate(tiers)]

    def _named_tier(self, place: int, item: Any, plain: list[Entry]) -> Any:
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

    def _by_price(self, plain: list[Entry], entries: list[Entry]) -> list[Any]:
        """Every chat model as a tier, by output price; of wildcards alone, the vendor's own rungs."""
        names = list(dict.fromkeys(entry.name for entry in plain))
        groups = {name: self._priced([entry for entry in plain if entry.name == name]) for name in names}
        priced = {name: cost for name, group in groups.items() if (cost := self._cost(group)) is not None}
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

    def _priced(self, group: list[Entry]) -> list[Entry]:
        """The deployments of one name that have a price; a note says which have none, and the cure."""
        cure = "it has no price; add base_model, or input_cost_per_token and output_cost_per_token, to its model_info"
        return [entry for entry in group if self.lookup.price(entry) is not None or self._left_out(entry, cure)]

    def _cost(self, group: list[Entry]) -> tuple[int, int] | None:
        prices = [price for entry in group if (price := self.lookup.price(entry)) is not None]
        return min(((price.base.output, price.base.input) for price in prices), default=None)

    def _of_wildcards(self, wild: list[Entry]) -> list[Any]:
        """Rungs for `openai/*` and its like, chosen from the table as without a file."""
        usable = [entry for entry in wild if self._usable(entry)]
        found = {model.model: (model, entry) for entry in usable for model in self._rungs(entry)}
        chosen = pick([model for model, _ in found.values()])
        tiers = []
        for place, model in enumerate(chosen):
            entry = found[model.model][1]
            concrete = replace(
                entry, params={**entry.params, "model": model.model, "custom_llm_provider": None}, info={}
            )
            self.origins["tiers", place] = ("model_list", entry.place)
            tiers.append({"name": _fit(model.name), "deployments": self._deployments(place, [concrete])})
        return tiers

    def _rungs(self, entry: Entry) -> list[Any]:
        provider = entry.model.partition("/")[0]
        named = [VENDORS[provider]] if provider in VENDORS else []
        keyed = [vendor for vendor in dict.fromkeys(VENDORS.values()) if self.lookup.variables.first(vendor.key_names)]
        return [
            model
            for vendor in (keyed if entry.model == "*" else named)
            for model in rungs(vendor, self.lookup.catalog, self.today)
        ]

    # deployments

    def _deployments(self, tier: int, group: list[Entry]) -> list[dict[str, Any]]:
        for index, entry in enumerate(group):
            here: Path = ("tiers", tier, "deployments", index)
            there: Path = ("model_list", entry.place, "litellm_params")
            self.origins[here] = there
            self.origins[*here, "timeouts", "total_s"] = (*there, "timeout")
            self.origins[*here, "timeouts", "first_token_s"] = (*there, "stream_timeout")
        return [self._deployment(entry) for entry in group]

    def _deployment(self, entry: Entry) -> dict[str, Any]:
        shape, unread = shapes.deployment(entry, self.lookup)
        if unread:
            path = ("model_list", entry.place, "litellm_params")
            self.notes.append(self.document.say(path, f"not used for {entry.model}: {', '.join(unread)}"))
        return shape

    # names

    def _aliases(self, data: Mapping[str, Any], entries: list[Entry]) -> dict[str, Any]:
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
            if entry.name not in tiers and self.lookup.chats(entry):
                aliases[entry.name] = _fit(entry.name) if _fit(entry.name) in tiers else policy
                self.origins["aliases", entry.name] = ("model_list", entry.place, "model_name")
        moved = [name for name, target in aliases.items() if target == policy]
        if moved:
            self.notes.append(f"{self.document.name}: model names that are no tier go to {policy}: {', '.join(moved)}")
        return {**aliases, **self._group_aliases(tiers, aliases), **given}

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

    def _embeddings(self, data: dict[str, Any], entries: list[Entry]) -> None:
        """Its embedding models that speak OpenAI's API embed for our clients too, one deployment a name."""
        found: dict[str, dict[str, Any]] = {}
        for entry in entries:
            if entry.wild or not self.lookup.embeds(entry) or not self._reachable(entry):
                continue
            if entry.name in found:
                self._left_out(entry, "embeddings are asked of the first deployment of a name")
            elif not self.lookup.asked_directly(entry):
                self._left_out(entry, "embeddings are asked of OpenAI-compatible endpoints alone")
            else:
                self.origins["embeddings", len(found)] = ("model_list", entry.place, "litellm_params")
                found[entry.name] = shapes.embedding(entry)
        if found and "embeddings" not in data:
            data["embeddings"] = list(found.values())

    def _patience(self, data: dict[str, Any]) -> None:
        """Its retries, time-outs and cool-downs, where the `gearbox` block says nothing else."""
        for setting in patience(self.document.data):
            self.used.add(setting.theirs)
            block, key = setting.ours
            said = self._mapping(("gearbox", block))
            if key not in said:
                data[block] = {**(data.get(block) or {}), key: setting.value}
                self.origins[setting.ours] = setting.theirs

    def _master_key(self, data: dict[str, Any]) -> None:
        """LiteLLM's master key is ours too: a proxy that asked for a key goes on asking."""
        key = self._mapping(("general_settings",)).get("master_key")
        if not isinstance(key, str) or not key or "keys" in data:
            return
        path = ("general_settings", "master_key")
        name = key.removeprefix(ENVIRON)
        if name != key and self.lookup.variables.get(name) is None:
            self.notes.append(self.document.say(path, f"{name} is not set, so no key is asked for"))
            return
        data["keys"] = [{"key": key, "id": "master_key", "admin": True}]
        self.origins["keys", 0, "key"] = path

    def _ignored(self) -> None:
        """One warning for all that does not concern routing."""
        names = []
        for key, value in self.document.data.items():
            if key in ("model_list", "gearbox"):
                continue
            inner = (
                [f"{key}.{word}" for word in value if (key, word) not in self.used]
                if isinstance(value, dict)
                else [key]
            )
            names.extend(inner)
        if names:
            self.notes.append(f"{self.document.name}: not used by Gearbox: {', '.join(names)}")


def _fit(name: str) -> str:
    """A model's name as a tier's: headers list tiers by comma and colon."""
    return _UNFIT.sub("-", name).strip("-._/@+") or "tier"
