"""Faults on demand: their names, and how a request asks for one.

Pure. A deployment asks with its model name (`simulated/small+rate_limit`), a single call with its body's `simulate`
field: `{"small": "rate_limit", "medium": {"fault": "slow_first_token", "seconds": 2, "times": 1}}`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.simulated.tiers import REACH
from cascade.upstreams.http_reply import HttpReply, error_object, json_reply

#: name: (status, type, code, message, further headers)
STATUS_FAULTS: Mapping[str, tuple[int, str, str | None, str, Mapping[str, str]]] = {
    "rate_limit": (429, "requests", "rate_limit_exceeded", "Rate limit reached (simulated).", {"retry-after": "1"}),
    "server_error": (500, "server_error", None, "The server had an error (simulated).", {}),
    "unavailable": (503, "server_error", None, "The engine is overloaded (simulated).", {}),
    "auth": (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided (simulated).", {}),
    "not_found": (404, "invalid_request_error", "model_not_found", "The model does not exist (simulated).", {}),
    "bad_request": (400, "invalid_request_error", None, "The request is invalid (simulated).", {}),
    "context_overflow": (
        400,
        "invalid_request_error",
        "context_length_exceeded",
        "This model's maximum context length is 8192 tokens (simulated).",
        {},
    ),
}
#: What happens to the connection or its pace; default seconds where there is a delay.
TRANSPORT_FAULTS: Mapping[str, float] = {
    "timeout": 0.0,
    "slow_first_token": 1.0,
    "slow_tokens": 0.05,
    "cut_stream": 0.0,
    "error_in_stream": 0.0,
    "endless_stream": 0.01,
    "malformed_json": 0.0,
    "wrong_content_type": 0.0,
}
#: What happens to the answer itself.
ANSWER_FAULTS = ("empty_answer", "no_usage", "truncated", "content_filter", "refusal")
FAULTS = (*STATUS_FAULTS, *TRANSPORT_FAULTS, *ANSWER_FAULTS)


class BadSimulationError(ValueError):
    """The request asks for a fault that there is not; the message names those there are."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault; `times` None means always, `seconds` is the delay where the fault has one."""

    name: str
    seconds: float
    times: int | None = None


def _made(name: Any, seconds: Any = None, times: Any = None) -> Fault:
    if name not in FAULTS:
        raise BadSimulationError(f"unknown fault {name!r}; known are: {', '.join(FAULTS)}")
    for field, value, kinds in (("seconds", seconds, (int, float)), ("times", times, (int,))):
        if value is not None and (isinstance(value, bool) or not isinstance(value, kinds) or value < 0):
            raise BadSimulationError(f"simulate.{field} must be a number of at least 0, not {value!r}")
    return Fault(str(name), float(TRANSPORT_FAULTS.get(name, 0.0) if seconds is None else seconds), times)


def from_body(simulate: Any, tier: str) -> Fault | None:
    """The fault that the body's `simulate` field asks of this tier; every entry is checked."""
    if simulate is None:
        return None
    if not isinstance(simulate, Mapping):
        raise BadSimulationError('simulate must be an object such as {"small": "rate_limit"}')
    faults = {}
    for name, wish in simulate.items():
        if name not in REACH:
            raise BadSimulationError(f"simulate: unknown tier {name!r}; known are: {', '.join(REACH)}")
        if isinstance(wish, Mapping):
            if unknown := set(wish) - {"fault", "seconds", "times"}:
                raise BadSimulationError(f"simulate: unknown key {min(unknown)!r}; known are: fault, seconds, times")
            faults[name] = _made(wish.get("fault"), wish.get("seconds"), wish.get("times"))
        else:
            faults[name] = _made(wish)
    return faults.get(tier)


def from_model(suffix: str) -> Fault | None:
    """The fault in a model name's part after the plus sign."""
    return _made(suffix) if suffix else None


def status_reply(fault: Fault) -> HttpReply | None:
    """The error reply of a fault that is a status; None for the others."""
    if fault.name not in STATUS_FAULTS:
        return None
    status, kind, code, message, headers = STATUS_FAULTS[fault.name]
    return json_reply(status, error_object(message, kind, None, code), headers)
