"""Parameters that one model takes and another refuses, translated for the deployment that is asked.

The law of this file: pure; the client's body is never changed, a copy is; everything that was renamed or left out is
told, so that the decision can say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Deployment

#: Sampling parameters that OpenAI's reasoning models answer with a 400 unless they have their default.
#: https://platform.openai.com/docs/guides/reasoning
_REASONING_DEFAULTS: Mapping[str, Any] = {
    "temperature": 1,
    "top_p": 1,
    "presence_penalty": 0,
    "frequency_penalty": 0,
    "logit_bias": {},
}
_LOGPROBS = ("logprobs", "top_logprobs")
_OPENAI = frozenset({"openai", "azure"})


def provider_of(model: str) -> str:
    """The vendor's prefix of `vendor/model`; "openai" where there is none."""
    vendor, slash, _ = model.partition("/")
    return vendor if slash else "openai"


def bare_model(model: str) -> str:
    """The name that the vendor itself knows: `openai/gpt-5-nano` -> `gpt-5-nano`, `openrouter/a/b` -> `a/b`."""
    _, slash, name = model.partition("/")
    return name if slash else model


def translate(body: Mapping[str, Any], deployment: Deployment) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The body as this deployment takes it, and what was renamed or dropped on the way ("max_tokens -> ...")."""
    sent = dict(body)
    changes: list[str] = []
    reasons = "reasoning" in deployment.facts.capabilities
    openai = provider_of(deployment.model) in _OPENAI
    if openai and reasons:
        _rename(sent, "max_tokens", "max_completion_tokens", changes)
        for name, default in _REASONING_DEFAULTS.items():
            if sent.get(name, default) not in (default, None):
                del sent[name]
                changes.append(f"{name} dropped")
    elif not openai:
        _rename(sent, "max_completion_tokens", "max_tokens", changes)
    if "logprobs" in deployment.facts.lacks:
        changes.extend(f"{name} dropped" for name in _LOGPROBS if sent.pop(name, None))
    sent["model"] = bare_model(deployment.model)
    return sent, tuple(changes)


def _rename(sent: dict[str, Any], old: str, new: str, changes: list[str]) -> None:
    if sent.get(old) is None:
        sent.pop(old, None)
        return
    value = sent.pop(old)
    if sent.get(new) is None:
        sent[new] = value
    changes.append(f"{old} -> {new}")
