"""An item of `model_list` -> a deployment, or an embedding model, as `gearbox.yaml` has them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from app.config import vendor_keys
from app.config.litellm.entries import PRICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.config.litellm.entries import Entry
    from app.config.litellm.lookup import Lookup

_CAPABILITIES = {
    "supports_function_calling": "tools",
    "supports_vision": "vision",
    "supports_response_schema": "json_schema",
    "supports_audio_input": "audio",
    "supports_reasoning": "reasoning",
}
#: Parameters that we read, or that mean nothing to a router; every other one goes to the litellm adapter.
_READ = frozenset({"model", "api_base", "base_url", "api_key", "timeout", "stream_timeout", *PRICES})
_IDLE = frozenset(
    "rpm tpm weight order max_retries max_parallel_requests tags drop_params custom_llm_provider".split()  # noqa: SIM905
)


def deployment(entry: Entry, lookup: Lookup) -> tuple[dict[str, Any], list[str]]:
    """The deployment's shape, and the entry's keys that nobody would read."""
    params, info = entry.params, entry.info
    extra, unread = _for_litellm(entry, lookup)
    shape = {
        "model": entry.model,
        "api_base": entry.api_base,
        "api_key": params.get("api_key"),
        "adapter": lookup.adapter(entry),
        "base_model": info.get("base_model"),
        "price": _price(entry),
        "timeouts": _without_none({"total_s": params.get("timeout"), "first_token_s": params.get("stream_timeout")}),
        "context_tokens": info.get("max_input_tokens"),
        "max_output_tokens": info.get("max_output_tokens"),
        "capabilities": {word: info[key] for key, word in _CAPABILITIES.items() if isinstance(info.get(key), bool)},
        **extra,
    }
    return {key: value for key, value in shape.items() if value not in (None, {})}, unread


def embedding(entry: Entry) -> dict[str, Any]:
    """The shape of a model that embeds for clients."""
    cost = entry.costs.get("input_cost_per_token")
    shape = {
        "name": entry.name,
        "model": entry.model,
        "api_base": entry.api_base,
        "api_key": entry.params.get("api_key"),
        "input_usd_per_mtok": None if cost is None else float(cost * 1_000_000),
    }
    return _without_none(shape)


def _for_litellm(entry: Entry, lookup: Lookup) -> tuple[dict[str, Any], list[str]]:
    """The vendor's own keys and litellm's defaults, and what nobody would read."""
    given = {key: value for key, value in entry.params.items() if key not in _READ | _IDLE}
    keys = {key: _as_text(given.pop(key)) for key in vendor_keys.NAMES if key in given}
    fitting = {key: value for key, value in keys.items() if vendor_keys.fits(key, lookup.provider(entry))}
    misplaced = [key for key in keys if key not in fitting]
    if lookup.asked_directly(entry):
        return fitting, [*misplaced, *given]
    return {**fitting, "params": given}, misplaced


def _price(entry: Entry) -> dict[str, float] | None:
    """LiteLLM's USD per token -> USD per million tokens; None unless both input and output are given."""
    costs = entry.costs
    if not {"input_cost_per_token", "output_cost_per_token"} <= costs.keys():
        return None
    return {ours: float(costs[theirs] * 1_000_000) for theirs, ours in PRICES.items() if theirs in costs}


def _as_text(value: Any) -> Any:
    """A service account may stand there as a mapping; its vendor wants the JSON."""
    return json.dumps(value) if isinstance(value, dict) else value


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}
