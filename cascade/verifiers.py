"""Checks that need no model and cost nothing: they run before a judge is paid.

The law of this file: pure. A check knows the request's own promises (its schema, its tools, its limits) and nothing of
truth; what it finds is certain, so a finding is `invalid` without a second opinion.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import jsonschema
import orjson
import regex
from jsonschema.validators import extend, validator_for
from referencing.exceptions import Unresolvable
from referencing.jsonschema import EMPTY_REGISTRY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from router.domain import Answer

EMPTY = "empty"
LENGTH = "length"
#: Every check's name: an operator's verifier has another.
CHECKS = frozenset({EMPTY, LENGTH, "content_filter", "refusal", "json", "json_schema", "tool"})
#: Reasons are shown in decisions; a model's own text in them is kept this short.
_MAX_REASON = 200
#: Seconds that one `pattern` of a client's schema may take.
PATTERN_S = 0.05


@dataclass(frozen=True, slots=True)
class Finding:
    """Which check failed, and why in words."""

    check: str
    reason: str


def verify(body: Mapping[str, Any], answer: Answer, *, limit_was_ours: bool) -> Finding | None:
    """The first thing that is wrong with any of the answer's choices; None = nothing found.

    Args:
        body: the client's request.
        answer: what came.
        limit_was_ours: whether an output limit tighter than the client's was sent; only an answer cut by that, or by
            the model's own maximum, is at fault for its length.
    """
    clients_limit = not limit_was_ours and (body.get("max_completion_tokens") or body.get("max_tokens")) is not None
    for choice in answer.body.get("choices") or ():
        finding = _choice(body, choice, clients_limit=clients_limit)
        if finding is not None:
            return finding
    return None


def is_abstention(answer: Answer) -> bool:
    """The bare reply "Abstain" (papers.md, Judge)."""
    return answer.text.strip().strip(".*\"'`").lower() == "abstain" and not answer.message.get("tool_calls")


def _choice(body: Mapping[str, Any], choice: Mapping[str, Any], *, clients_limit: bool) -> Finding | None:
    message = choice.get("message") or {}
    content = message.get("content")
    calls = message.get("tool_calls") or (
        [{"function": message["function_call"]}] if message.get("function_call") else []
    )
    cut = choice.get("finish_reason") == "length"
    if choice.get("finish_reason") == "content_filter":
        return Finding("content_filter", "the model's content filter stopped it")
    if message.get("refusal"):
        return Finding("refusal", f"the model refused: {str(message['refusal'])[:_MAX_REASON]}")
    if cut:
        # A client that asked for few tokens gets few, and a JSON cut by its own limit is what it asked for.
        return (
            None
            if clients_limit
            else Finding(LENGTH, "the answer was cut at an output limit that the client did not set")
        )
    empty = not content.strip() if isinstance(content, str) else not content
    if not calls and empty and not message.get("audio"):
        return Finding(EMPTY, "an empty answer")
    return _tool_calls(body, calls) if calls else _structured(body, content)


def _structured(body: Mapping[str, Any], content: Any) -> Finding | None:
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind not in {"json_object", "json_schema"} or not isinstance(content, str):
        return None
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        return Finding("json", f"response_format asks for JSON and the answer is not: {error}"[:_MAX_REASON])
    if kind == "json_object":
        return None if isinstance(value, dict) else Finding("json", "response_format asks for a JSON object")
    schema = (wanted.get("json_schema") or {}).get("schema") if isinstance(wanted, dict) else None
    wrong = _violation(value, schema)
    return None if wrong is None else Finding("json_schema", wrong)


def _tool_calls(body: Mapping[str, Any], calls: Iterable[Mapping[str, Any]]) -> Finding | None:
    schemas = {function.get("name"): function.get("parameters") for function in _functions(body)}
    for call in calls:
        function = call.get("function")
        if not isinstance(function, dict):
            continue  # a custom tool's input is free text
        name = function.get("name")
        if name not in schemas:
            return Finding("tool", f"it called {str(name)[:60]!r}, which is not among the request's tools")
        try:
            arguments = orjson.loads(function.get("arguments") or "{}")
        except orjson.JSONDecodeError as error:
            return Finding("tool", f"the arguments of {name} are not JSON: {error}"[:_MAX_REASON])
        wrong = _violation(arguments, schemas[name])
        if wrong is not None:
            return Finding("tool", f"the arguments of {name}: {wrong}")
    return None


def _functions(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    tools = [tool.get("function") for tool in body.get("tools") or () if isinstance(tool, dict)]
    return [function for function in (*tools, *(body.get("functions") or ())) if isinstance(function, dict)]


def _violation(value: Any, schema: Any) -> str | None:
    """How a value breaks a schema; None where it does not, or where the schema itself is unusable."""
    if not isinstance(schema, dict):
        return None
    try:
        error = jsonschema.exceptions.best_match(schema_checker(schema).iter_errors(value))
    except (jsonschema.SchemaError, Unresolvable, RecursionError):
        return None
    if error is None:
        return None
    return f"{error.message} at {error.json_path}"[:_MAX_REASON]


def schema_checker(schema: dict[str, Any]) -> jsonschema.protocols.Validator:
    """Checks values against a schema. The empty registry keeps its `$ref` from fetching anything.

    Raises:
        jsonschema.SchemaError: it is none.
    """
    kind = validator_for(schema, default=jsonschema.Draft202012Validator)
    kind.check_schema(schema)
    timed: type[jsonschema.protocols.Validator] = extend(kind, {"pattern": _pattern})  # type: ignore[no-untyped-call]  # the stubs leave it bare
    return timed(schema, registry=EMPTY_REGISTRY)


def _pattern(_: Any, pattern: str, instance: Any, __: Any) -> Iterator[jsonschema.ValidationError]:
    """JSON Schema's `pattern`, within a time limit: the pattern is the client's, and all clients share this process."""
    if not isinstance(instance, str):
        return
    try:
        fits = regex.search(pattern, instance, timeout=PATTERN_S) is not None
    except (regex.error, TimeoutError):
        return  # nothing is known, so nothing is found
    if not fits:
        yield jsonschema.ValidationError(f"{instance!r} does not match {pattern!r}")
