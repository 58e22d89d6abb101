"""What LiteLLM's table knows of models: prices, limits, capabilities, end dates.

The law of this file: it reads one JSON file out of the installed litellm package, once, and never imports litellm
(that costs seconds and asks the net for newer prices). The table's floats become integers here and nowhere else.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from router.domain import ModelFacts
from router.errors import ConfigError
from router.pricing import Price, Rates, per_token

if TYPE_CHECKING:
    from collections.abc import Mapping

_FILE = "model_prices_and_context_window_backup.json"
_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
}
#: Only the plain rates: `_flex`, `_batches`, `_priority` and their like follow the `tokens` and do not match.
_LONG = re.compile(r"input_cost_per_token_above_(\d+)k_tokens")
_OPENAI = frozenset({"openai", "azure"})
_CHAT_MODES = frozenset({"chat", "responses", "completion"})
_CHAT_ROUTE = "/v1/chat/completions"


@dataclass(frozen=True, slots=True)
class CatalogModel:
    """One chat model of the table. `model` is `provider/name`; `ends` is its last day, None = not announced."""

    model: str
    price: Price
    facts: ModelFacts
    ends: date | None

    @property
    def name(self) -> str:
        """The name that the vendor itself knows."""
        return self.model.partition("/")[2]


class Catalog:
    """Look-ups over LiteLLM's table. A model is named `provider/name` or by its bare name."""

    def __init__(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        """Take a table: model -> entry, as in LiteLLM's JSON file; prices in USD per token."""
        self._table = table
        self._providers = frozenset(
            str(entry["litellm_provider"]) for entry in table.values() if "litellm_provider" in entry
        )

    @classmethod
    def load(cls) -> Catalog:
        """Read the installed table (about 30 ms).

        Raises:
            ConfigError: litellm is not installed, or its table is unreadable.
        """
        spec = find_spec("litellm")
        folders = spec.submodule_search_locations if spec else None
        if not folders:
            raise ConfigError(
                "litellm is not installed, and prices come from its table: install gearbox with its dependencies"
            )
        path = Path(folders[0]) / _FILE
        try:
            table = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigError(f"litellm's price table {path} is unreadable ({error}): reinstall litellm") from error
        table.pop("sample_spec", None)
        return cls(table)

    @property
    def providers(self) -> frozenset[str]:
        """Every provider the table names."""
        return self._providers

    def provider(self, model: str) -> str | None:
        """The provider of a model; None where neither its prefix nor the table says."""
        prefix, slash, _ = model.partition("/")
        if slash and prefix in self._providers:
            return prefix
        entry = self._table.get(model)
        return entry.get("litellm_provider") if entry else None

    def mode(self, model: str) -> str | None:
        """What the model is for ("chat", "embedding", …); None = unknown."""
        entry = self._entry(model)
        return entry.get("mode") if entry else None

    def is_chat(self, model: str) -> bool:
        """Whether a model may be asked in a chat; unknown ones may."""
        mode = self.mode(model)
        return mode is None or mode in _CHAT_MODES

    def facts(self, model: str) -> ModelFacts | None:
        """Limits and capabilities; None = not in the table."""
        entry = self._entry(model)
        return None if entry is None else _facts(model, entry)

    def price(self, model: str) -> Price | None:
        """The price list; None = not in the table, or there without a price per token."""
        entry = self._entry(model)
        return None if entry is None else price_of(entry)

    def chat_models(self, provider: str) -> list[CatalogModel]:
        """The provider's priced models that answer text on the chat route, in the table's order, each once."""
        found: dict[str, CatalogModel] = {}
        for key, entry in self._table.items():
            price = price_of(entry)
            if entry.get("litellm_provider") == provider and price is not None and _chats(entry):
                model = key if key.startswith(f"{provider}/") else f"{provider}/{key}"
                found.setdefault(model, CatalogModel(model, price, _facts(model, entry), _ends(entry)))
        return list(found.values())

    def embedding_models(self, provider: str) -> list[str]:
        """The provider's embedding models, as `provider/name`, in the table's order."""
        return [
            key if key.startswith(f"{provider}/") else f"{provider}/{key}"
            for key, entry in self._table.items()
            if entry.get("litellm_provider") == provider and entry.get("mode") == "embedding"
        ]

    def embedding_price(self, model: str) -> Price | None:
        """What an embedding model's input costs (it has no output); None = unknown."""
        entry = self._entry(model)
        rate = _rate(entry, "input_cost_per_token") if entry else None
        return None if rate is None else Price(Rates(rate, 0))

    def _entry(self, model: str) -> Mapping[str, Any] | None:
        """The model's row: under its full name, or under its bare one where the provider is the same."""
        if model in self._table:
            return self._table[model]
        provider, _, name = model.partition("/")
        entry = self._table.get(name)
        return entry if entry and _same_provider(provider, str(entry.get("litellm_provider", ""))) else None


def price_of(entry: Mapping[str, Any]) -> Price | None:
    """The price list of one row, also of a LiteLLM config's `model_info`; None where it has no price per token."""
    if entry.get("tiered_pricing"):
        return _tiered(entry["tiered_pricing"])
    base = _rates(entry, "")
    if base is None:
        return None
    sizes = sorted(int(found[1]) for key in entry if (found := _LONG.fullmatch(key)))
    rows = [(size * 1000, _rates(entry, f"_above_{size}k_tokens", base)) for size in sizes]
    return Price(base, tuple((size, rates) for size, rates in rows if rates is not None))


def _rates(entry: Mapping[str, Any], suffix: str, base: Rates | None = None) -> Rates | None:
    """The rates of one context length; a kind that a long context does not name keeps its base rate."""
    input_rate = _rate(entry, f"input_cost_per_token{suffix}", base.input if base else None)
    output = _rate(entry, f"output_cost_per_token{suffix}", base.output if base else None)
    if input_rate is None or output is None:
        return None
    return Rates(
        input_rate,
        output,
        _rate(entry, f"cache_read_input_token_cost{suffix}", base.cached_input if base else None),
        _rate(entry, f"cache_creation_input_token_cost{suffix}", base.cache_write if base else None),
        _rate(entry, f"output_cost_per_reasoning_token{suffix}", _long_reasoning(base)),
    )


def _long_reasoning(base: Rates | None) -> int | None:
    """Reasoning in a long context is output of that context, unless the base bills it apart and above output."""
    return base.reasoning if base and base.reasoning and base.reasoning > base.output else None


def _rate(entry: Mapping[str, Any], key: str, default: int | None = None) -> int | None:
    value = entry.get(key)
    return default if value is None or isinstance(value, bool) else per_token(value)


def _tiered(rows: list[Mapping[str, Any]]) -> Price | None:
    """DashScope's shape: [{range: [from, to], input_cost_per_token, …}], ascending."""
    rates = [(int(row["range"][0]), _rates(row, "")) for row in rows if row.get("range")]
    known = [(start, rate) for start, rate in rates if rate is not None]
    return Price(known[0][1], tuple(known[1:])) if known else None


def _facts(model: str, entry: Mapping[str, Any]) -> ModelFacts:
    has = {word for key, word in _CAPABILITIES.items() if entry.get(key) is True}
    lacks = {word for key, word in _CAPABILITIES.items() if entry.get(key) is False}
    return ModelFacts(
        _tokens(entry, "max_input_tokens"),
        _tokens(entry, "max_output_tokens"),
        frozenset(has),
        frozenset(lacks | _rules(model, entry)),
    )


def _rules(model: str, entry: Mapping[str, Any]) -> set[str]:
    """What the table does not say: OpenAI's reasoning models refuse logprobs; Anthropic has none, nor n, nor ears.

    Nor has Bedrock's Converse, whichever model is behind it.
    """
    provider = str(entry.get("litellm_provider", ""))
    if "anthropic" in provider or model.startswith("anthropic/") or provider.startswith("bedrock"):
        return {"logprobs", "n", "audio"}
    return {"logprobs"} if provider in _OPENAI and entry.get("supports_reasoning") else set()


def _tokens(entry: Mapping[str, Any], key: str) -> int | None:
    value = entry.get(key)
    return int(value) if isinstance(value, int | float) and value > 0 else None


def _chats(entry: Mapping[str, Any]) -> bool:
    """Whether a row says that the model answers text on the chat route (silence counts as yes)."""
    routes, out = entry.get("supported_endpoints"), entry.get("supported_output_modalities")
    speaks = entry.get("mode") == "chat" and (not out or ("text" in out and "audio" not in out))
    return speaks and (not routes or _CHAT_ROUTE in routes)


def _ends(entry: Mapping[str, Any]) -> date | None:
    try:
        return date.fromisoformat(entry.get("deprecation_date") or "")
    except ValueError:
        return None


def _same_provider(prefix: str, provider: str) -> bool:
    """Whether a model's prefix means this provider of the table (bedrock ~ bedrock_converse, cohere ~ cohere_chat)."""
    return bool(prefix) and (provider == prefix or provider.startswith((f"{prefix}_", f"{prefix}-")))
