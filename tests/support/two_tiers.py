"""A configuration of two tiers at one recording vendor; `large` judges what `small` says."""

from __future__ import annotations

#: kind -> (adapter, what `small` and `large` are, whether the address ends in /v1)
MODELS = {
    "OpenAI-compatible": ("openai", ("openai/small-model", "openai/large-model"), "/v1"),
    "OpenAI, reasoning": ("openai", ("openai/gpt-5-nano", "openai/gpt-5"), "/v1"),
    "litellm: Anthropic": ("litellm", ("anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5"), ""),
    "litellm: Gemini": ("litellm", ("gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro"), ""),
}


def config(url, kind="OpenAI-compatible"):
    adapter, models, path = MODELS[kind]
    tiers = [
        {
            "name": name,
            "deployments": [{"model": model, "adapter": adapter, "api_base": f"{url}{path}", "api_key": "sk-upstream"}],
            "price": {"input_usd_per_mtok": usd, "output_usd_per_mtok": 2.0, "cached_input_usd_per_mtok": 0.5},
            "prior_accuracy": 0.6,
        }
        for name, model, usd in zip(("small", "large"), models, (1.0, 10.0), strict=True)
    ]
    return {
        "tiers": tiers,
        "aliases": {"gpt-*": "auto"},
        "policy": {"llm-at": {"cold_start": 10**9}},
        "retries": {"attempts": 1, "cooldown_s": 0},
    }
