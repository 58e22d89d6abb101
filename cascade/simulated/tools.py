"""Which tool a prompt is about, and a call of it whose arguments its schema accepts.

Pure. A tool is called of the model's own accord only where the prompt shares words with its name or description.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from cascade.simulated.chance import digest
from cascade.simulated.schema import Filler

_STOP_WORDS = """
a all an and any are as at be by call can current do does find for from function get give given how i in into is
it its make me my name new number of on or return returns set string that the this to tool use used user using
value what which who with you your
"""
_STOP = frozenset(_STOP_WORDS.split())
_ENOUGH = 2


def _words(text: str) -> set[str]:
    split = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text).lower()
    return {word.removesuffix("s") for word in re.findall(r"[a-z]{2,}", split)} - _STOP


def _functions(tools: Any) -> list[Mapping[str, Any]]:
    entries = [tool.get("function") for tool in tools if isinstance(tool, Mapping)] if isinstance(tools, list) else []
    return [entry for entry in entries if isinstance(entry, Mapping) and entry.get("name")]


def _score(function: Mapping[str, Any], prompt: str) -> int:
    asked = _words(prompt[-4000:])
    named = len(asked & _words(str(function["name"]).replace("_", " ")))
    return 2 * named + len(asked & _words(str(function.get("description", ""))))


def chosen(tools: Any, choice: Any, prompt: str) -> Mapping[str, Any] | None:
    """The function to call, or None for an answer in words."""
    functions = _functions(tools)
    if not functions or choice == "none":
        return None
    if isinstance(choice, Mapping):
        wanted = (choice.get("function") or {}).get("name")
        return next((function for function in functions if function["name"] == wanted), None)
    best = max(functions, key=lambda function: _score(function, prompt))
    return best if choice == "required" or _score(best, prompt) >= _ENOUGH else None


def _argument_sets(function: Mapping[str, Any], prompt: str, *, parallel: bool) -> list[dict[str, Any]]:
    schema = function.get("parameters") or {"type": "object"}
    filler = Filler(schema, prompt)
    first = filler.fill({"type": "object", **schema})
    required = schema.get("required") or list(schema.get("properties", {}))[:1]
    if not parallel or not required or not isinstance(first.get(required[0]), str):
        return [first]
    places = filler.places()
    if len(places) < len("ab") or first[required[0]] != places[0]:
        return [first]
    return [{**first, required[0]: place} for place in dict.fromkeys(places)]


def calls(function: Mapping[str, Any], prompt: str, *, parallel: bool, salt: object) -> list[dict[str, Any]]:
    """OpenAI tool calls, several where the prompt names several places."""
    found = _argument_sets(function, prompt, parallel=parallel)
    return [
        {
            "id": f"call_{digest(salt, function['name'], place, prompt).hex()[:24]}",
            "type": "function",
            "function": {"name": function["name"], "arguments": json.dumps(arguments)},
        }
        for place, arguments in enumerate(found)
    ]


def _spoken(result: str) -> str:
    try:
        value = json.loads(result)
    except (ValueError, RecursionError):
        return result.strip()
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {entry}" for key, entry in value.items())
    return str(value)


def from_results(results: Sequence[str]) -> str:
    """The answer that the tools' results give."""
    spoken = [_spoken(result) for result in results]
    said = "; ".join(spoken)
    if len(spoken) == 1 and re.fullmatch(r"\S{1,60}", said):
        return f"The tool returned {said}. The answer is {said}."
    return f"According to the tool: {said}."
