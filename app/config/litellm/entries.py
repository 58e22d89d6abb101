"""The items of `model_list`, as they stand in the file.

The law of this file: reading and checking shapes; what is known of a model beyond its item is `lookup.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.config.lines import Document

ENVIRON = "os.environ/"
#: LiteLLM's USD per token -> our USD per million tokens.
PRICES = {
    "input_cost_per_token": "input_usd_per_mtok",
    "output_cost_per_token": "output_usd_per_mtok",
    "cache_read_input_token_cost": "cached_input_usd_per_mtok",
    "cache_creation_input_token_cost": "cache_write_usd_per_mtok",
    "output_cost_per_reasoning_token": "reasoning_usd_per_mtok",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One item of `model_list`; `place` counts from 0."""

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
    def api_base(self) -> Any:
        """Where it is asked, as written; None = where its vendor is."""
        return self.params.get("api_base") or self.params.get("base_url")

    @property
    def costs(self) -> dict[str, Decimal]:
        """The costs given, USD per token; `model_info` wins. Checked when the entry was read."""
        given = {**self.params, **self.info}
        return {key: Decimal(str(given[key])) for key in PRICES if given.get(key) is not None}

    @property
    def wild(self) -> bool:
        """Whether it stands for every model of a provider."""
        return "*" in self.name or "*" in self.model

    @property
    def variables(self) -> list[str]:
        """The environment variables it names."""
        references = (value for value in self.params.values() if isinstance(value, str) and value.startswith(ENVIRON))
        return [value.removeprefix(ENVIRON) for value in references]


def read_entries(document: Document) -> list[Entry]:
    """Every item of `model_list`.

    Raises:
        ConfigError: the list or an item of it has no shape of LiteLLM's.
    """
    items = document.data["model_list"]
    if not isinstance(items, list) or not items:
        raise document.error(("model_list",), "must be a list of models, each with model_name and litellm_params")
    return [_entry(document, place, item) for place, item in enumerate(items)]


def _entry(document: Document, place: int, item: Any) -> Entry:
    path = ("model_list", place)
    params = item.get("litellm_params") if isinstance(item, dict) else None
    if not isinstance(params, dict) or not isinstance(params.get("model"), str) or not params["model"]:
        raise document.error(
            path, "needs litellm_params with a model, such as litellm_params: {model: openai/gpt-5-nano}"
        )
    info = item.get("model_info") or {}
    if not isinstance(info, dict):
        raise document.error((*path, "model_info"), "must be a mapping")
    for part, values in (("litellm_params", params), ("model_info", info)):
        for key in PRICES:
            if values.get(key) is not None and not _is_cost(values[key]):
                raise document.error((*path, part, key), "must be a number of USD per token, 0 or more")
    return Entry(place, str(item.get("model_name") or params["model"]), params, info)


def _is_cost(value: Any) -> bool:
    try:
        cost = Decimal(str(value))
    except InvalidOperation:
        return False
    return cost.is_finite() and 0 <= cost < 1
