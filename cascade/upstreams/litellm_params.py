"""A chat body -> the arguments of `litellm.acompletion`, and what had to be left out.

The law of this file: pure; litellm is a parameter here, never an import. A client's field never becomes an option of
litellm itself (an address, a key, a region, a mock): what OpenAI documents is passed by name where the vendor takes it,
every other field travels in the body alone or not at all, and what was left out is told.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.upstreams.litellm_losses import tell_losses
from cascade.upstreams.params import translate
from router.errors import UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Deployment

#: What OpenAI documents of a chat request (https://platform.openai.com/docs/api-reference/chat/create), and what
#: vendors take beside it under one common name.
DOCUMENTED = frozenset(
    {"audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens"}
    | {"max_tokens", "metadata", "modalities", "n", "parallel_tool_calls", "prediction", "presence_penalty"}
    | {"prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier"}
    | {"seed", "service_tier", "stop", "store", "temperature", "thinking", "tool_choice", "tools", "top_logprobs"}
    | {"top_p", "user", "verbosity", "web_search_options"}
)
#: Means something to litellm itself (its own logging), so it never reaches a vendor by that name.
_NEVER = frozenset({"metadata", "store"})
#: Set by us, or by the adapter.
_OURS = frozenset({"model", "messages", "stream", "stream_options"})
#: Harmless words that vendors share beside OpenAI's; litellm passes them on by name.
_NATIVE = frozenset({"top_k"})
#: What a vendor's own body calls the limits and the model that we have reserved money for.
_MONEY = frozenset(
    {"generationConfig", "generation_config", "inferenceConfig", "maxOutputTokens", "max_output_tokens"}
    | {"max_new_tokens", "max_gen_len", "max_tokens_to_sample", "num_predict", "options", "contents", "modelId"}
)
#: Parameters whose loss would turn the question into another one: refused, where others are left out.
_ESSENTIAL = {"functions": "tools", "function_call": "tool_choice"}


@dataclass(frozen=True, slots=True)
class Dialect:
    """What litellm can say to a vendor.

    `provider` is its name for the vendor; `supported` its list of OpenAI's parameters, None = unknown and everything
    is tried; `open_body` says whether fields it does not know reach the vendor's body untouched; `owned` are the names
    that are options of its own.
    """

    provider: str
    supported: frozenset[str] | None
    open_body: bool
    owned: frozenset[str]


def arguments(
    body: Mapping[str, Any], deployment: Deployment, dialect: Dialect
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """(keyword arguments without the model, what was translated or dropped).

    The client's body is never changed: litellm gets a copy of its own to work on.

    Raises:
        UpstreamRejected: a parameter that the vendor lacks and that must not be left out.
    """
    sent, changes = translate(body, deployment)
    given: dict[str, Any] = {"messages": copy.deepcopy(list(body.get("messages") or ()))}
    extra: dict[str, Any] = {}
    dropped: list[str] = []
    for name, value in sent.items():
        if name in _OURS or value is None or (name == "n" and value == 1):
            continue
        if name in DOCUMENTED and _taken(name, dialect.supported):
            given[name] = copy.deepcopy(value)
        elif name in DOCUMENTED:
            dropped.append(_left_out(name))
        elif name in _NATIVE:
            given[name] = value
        elif dialect.open_body and name not in dialect.owned | _MONEY:
            extra[name] = value
        else:
            dropped.append(f"{name} dropped")
    if extra:
        given["extra_body"] = extra
    return given, (*changes, *dropped, *tell_losses(given, dialect.provider, deployment))


def _taken(name: str, supported: frozenset[str] | None) -> bool:
    if name in _NEVER:
        return False
    return supported is None or name in supported


def _left_out(name: str) -> str:
    if name in _ESSENTIAL:
        message = f"{name} is not supported by this model's vendor; use {_ESSENTIAL[name]} instead"
        error = {"message": message, "type": "invalid_request_error", "param": name, "code": "unsupported_parameter"}
        raise UpstreamRejected(message, status=400, body={"error": error}, param=name, code="unsupported_parameter")
    return f"{name} dropped"
