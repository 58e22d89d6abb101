"""JSON bodies of clients: parsed, and refused with OpenAI's 400 where a parameter has the wrong type or range.

The law of this file: pure. It knows what OpenAI documents of the parameters that Gearbox itself reads or that every
model shares; parameters it does not know pass through untouched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from router.errors import RequestError
from router.nesting import MAX_DEPTH, too_deep

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MAX_CHOICES = 128
_MAX_TOP_LOGPROBS = 20
_ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def parse_object(raw: bytes) -> dict[str, Any]:
    """Bytes -> a JSON object.

    Raises:
        RequestError: no JSON, no object, or nested absurdly deep.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RequestError(f"the request body is not valid JSON: {error}", code="invalid_json") from error
    if not isinstance(body, dict):
        raise RequestError("the request body must be a JSON object", code="invalid_json")
    if too_deep(body):
        raise RequestError(f"the request body is nested more than {MAX_DEPTH} levels deep", code="invalid_json")
    return body


def check_chat(body: Mapping[str, Any]) -> None:
    """Check a chat request's parameters.

    Raises:
        RequestError: naming the parameter, what came and what is allowed.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise RequestError("you must provide a model parameter (a string)", param="model")
    _messages(body.get("messages"))
    for name, (fits, wanted) in _PARAMETERS.items():
        value = body.get(name)
        if value is not None and not fits(value):
            raise RequestError(f"invalid value for {name}: expected {wanted}, got {_shown(value)}", param=name)
    if body.get("stream_options") is not None and not body.get("stream"):
        raise RequestError("stream_options is only allowed when stream is true", param="stream_options")
    if body.get("top_logprobs") is not None and not body.get("logprobs"):
        raise RequestError("top_logprobs needs logprobs to be true", param="top_logprobs")


def _messages(messages: Any) -> None:
    if not isinstance(messages, list) or not messages:
        raise RequestError("messages must be a non-empty array", param="messages")
    for place, message in enumerate(messages):
        param = f"messages.{place}"
        if not isinstance(message, dict):
            raise RequestError(f"{param} must be an object, got {_shown(message)}", param=param)
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            roles = ", ".join(sorted(_ROLES))
            raise RequestError(f"{param}.role must be one of {roles}", param=f"{param}.role")
        content = message.get("content")
        if content is not None and not isinstance(content, str | list):
            raise RequestError(f"{param}.content must be a string or an array of parts", param=f"{param}.content")
        if isinstance(content, list) and not all(isinstance(part, dict) for part in content):
            raise RequestError(f"every part of {param}.content must be an object", param=f"{param}.content")
        if content is None and message["role"] in {"system", "developer", "user", "tool"}:
            raise RequestError(f"{param}.content is missing", param=f"{param}.content")


def _is_int(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _is_number(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_format(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("type"), str):
        return False
    return value["type"] != "json_schema" or isinstance(value.get("json_schema"), dict)


def _is_tools(value: Any) -> bool:
    if not _is_objects(value):
        return False
    functions = [tool.get("function") for tool in value if tool.get("type") == "function"]
    return all(isinstance(function, dict) and isinstance(function.get("name"), str) for function in functions)


def _is_stop(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


_MANY = 10_000_000
_PARAMETERS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "stream": (_is(bool), "a boolean"),
    "stream_options": (_is(dict), "an object"),
    "n": (_is_int(1, _MAX_CHOICES), f"an integer from 1 to {_MAX_CHOICES}"),
    "max_tokens": (_is_int(1, _MANY), "a positive integer"),
    "max_completion_tokens": (_is_int(1, _MANY), "a positive integer"),
    "temperature": (_is_number(0, 2), "a number from 0 to 2"),
    "top_p": (_is_number(0, 1), "a number from 0 to 1"),
    "presence_penalty": (_is_number(-2, 2), "a number from -2 to 2"),
    "frequency_penalty": (_is_number(-2, 2), "a number from -2 to 2"),
    "logprobs": (_is(bool), "a boolean"),
    "top_logprobs": (_is_int(0, _MAX_TOP_LOGPROBS), f"an integer from 0 to {_MAX_TOP_LOGPROBS}"),
    "logit_bias": (_is(dict), "an object"),
    "seed": (_is_int(-(2**63), 2**63 - 1), "an integer"),
    "stop": (_is_stop, "a string or an array of strings"),
    "tools": (_is_tools, "an array of tools, each with a type, functions with a name"),
    "functions": (_is_objects, "an array of objects"),
    "tool_choice": (_is(str, dict), "a string or an object"),
    "response_format": (_is_format, "an object with a type, and a json_schema where the type is json_schema"),
    "user": (_is(str), "a string"),
    "metadata": (_is(dict), "an object"),
    "parallel_tool_calls": (_is(bool), "a boolean"),
}


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."  # noqa: PLR2004 - enough to recognise it
