"""A chat completion request, read and checked once.

Pure. Unknown fields are accepted and ignored, as OpenAI-compatible servers do.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.simulated.faults import Fault, from_body, from_model
from cascade.simulated.tiers import REACH

_MODEL = re.compile(r"^(?:simulated[/-])?(?P<tier>[a-z]+)(?:\+(?P<fault>\w*))?$")
_MAX_CHOICES = 128
_MAX_TOP = 20


class BadRequestError(ValueError):
    """A request that a vendor would refuse; carries OpenAI's `param` and `code` and the status."""

    def __init__(self, message: str, param: str | None = None, code: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What in the body changes the answer; `max_tokens` None is no limit, `top_logprobs` None is none wanted."""

    tier: str
    messages: tuple[Mapping[str, Any], ...]
    n: int
    max_tokens: int | None
    stop: tuple[str, ...]
    top_logprobs: int | None
    stream: bool
    include_usage: bool
    sampled: bool
    sample_seed: int
    tools: Any
    tool_choice: Any
    parallel: bool
    response_format: Mapping[str, Any]
    fault: Fault | None


def _whole(body: Mapping[str, Any], name: str, low: int, high: int) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise BadRequestError(f"{name} must be an integer from {low} to {high}, not {value!r}", name)
    return value


def _tier(model: Any) -> tuple[str, Fault | None]:
    match = _MODEL.match(model) if isinstance(model, str) else None
    if not match or match["tier"] not in REACH:
        known = ", ".join(f"simulated/{tier}" for tier in REACH)
        raise BadRequestError(
            f"The model {model!r} does not exist; there are: {known}", "model", "model_not_found", 404
        )
    return match["tier"], from_model(match["fault"] or "")


def _messages(body: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequestError("messages must be a list of at least one message", "messages")
    for place, message in enumerate(messages):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise BadRequestError(f"messages[{place}] must be an object with a role", "messages")
    return tuple(messages)


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    stop = body.get("stop")
    found = [stop] if isinstance(stop, str) else stop or []
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise BadRequestError("stop must be a string or a list of strings", "stop")
    return tuple(entry for entry in found if entry)


def _top_logprobs(body: Mapping[str, Any]) -> int | None:
    top = _whole(body, "top_logprobs", 0, _MAX_TOP)
    if not body.get("logprobs"):
        if top is not None:
            raise BadRequestError("top_logprobs needs logprobs: true", "top_logprobs")
        return None
    return top or 0


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise BadRequestError(f"{name} must be an object", name)
    return value or {}


def _temperature(body: Mapping[str, Any]) -> float:
    value = body.get("temperature")
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 2:  # noqa: PLR2004 - OpenAI's range
        raise BadRequestError("temperature must be a number from 0 to 2", "temperature")
    return float(value)


def decode(raw: bytes) -> Mapping[str, Any]:
    """The body's JSON object."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadRequestError(f"The body is not valid JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("The body must be a JSON object")
    return body


def read_request(raw: bytes) -> ChatRequest:
    """The request in a body.

    Raises:
        BadRequestError: the body is not a chat completion request.
        BadSimulationError: it asks for a fault that there is not.
    """
    body = decode(raw)
    tier, model_fault = _tier(body.get("model"))
    limit = _whole(body, "max_completion_tokens", 1, 10**9) or _whole(body, "max_tokens", 1, 10**9)
    seed = _whole(body, "seed", -(2**63), 2**63)
    return ChatRequest(
        tier=tier,
        messages=_messages(body),
        n=_whole(body, "n", 1, _MAX_CHOICES) or 1,
        max_tokens=limit,
        stop=_stop(body),
        top_logprobs=_top_logprobs(body),
        stream=body.get("stream") is True,
        include_usage=bool(_object(body, "stream_options").get("include_usage")),
        sampled=_temperature(body) > 0,
        sample_seed=seed or 0,
        tools=body.get("tools"),
        tool_choice=body.get("tool_choice"),
        parallel=body.get("parallel_tool_calls") is not False,
        response_format=_object(body, "response_format"),
        fault=from_body(body.get("simulate"), tier) or model_fault,
    )
