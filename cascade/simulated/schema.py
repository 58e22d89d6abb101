"""Values that satisfy a JSON schema, filled from a prompt's own numbers and words.

Pure. Knows the subset of JSON schema that clients send for structured outputs and tools; depth is bounded, and a
recursive schema ends at its first alternative that does not recurse.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cascade.simulated.final import ANSWER_FIELDS
from cascade.simulated.numbers import NUMBER, read, with_digits

_MAX_DEPTH = 8
_PROSE = {"reasoning", "explanation", "steps", "thought", "thoughts", "rationale", "work", "why"}
_WHOLE = {"query", "question", "text", "prompt", "input", "message", "q", "search", "content"}
_SUMS = {"expression", "formula", "equation", "calculation", "math", "expr"}
_PLACES = {"city", "location", "place", "town", "country", "destination", "origin", "address", "region"}
_PLACE = re.compile(r"\b(?:in|at|for|to|from|of|near|and) ((?:[A-Z][\w'-]+)(?: [A-Z][\w'-]+)*)")
_FORMATS = {
    "date": "2025-01-01",
    "date-time": "2025-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
    "hostname": "example.com",
}


class Filler:
    """Fills one schema from one prompt; each number and word of the prompt is used once, in order."""

    def __init__(self, root: Mapping[str, Any], prompt: str, answer: str = "", reasoning: str = "") -> None:
        self._root = root
        self._prompt = prompt.strip()[-4000:]
        self._answer = answer
        self._reasoning = reasoning
        self._numbers = iter(re.findall(NUMBER, with_digits(self._prompt)))
        self._words = self._named()

    def _named(self) -> Iterator[str]:
        quoted = re.findall(r"\"([^\"]{1,200})\"|(?<!\w)'([^']{1,200})'(?!\w)", self._prompt)
        yield from ("".join(groups) for groups in quoted)
        yield from re.findall(r"(?<=[a-z,] )[A-Z][\w'-]+", self._prompt)

    def fill(self, schema: Any, name: str = "", depth: int = 0) -> Any:
        """A value that the schema accepts."""
        schema = self._resolved(schema if isinstance(schema, Mapping) else {}, depth)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._enum(schema["enum"], name)
        return self._typed(schema, _type(schema), name, depth)

    def _typed(self, schema: Mapping[str, Any], kind: str, name: str, depth: int) -> Any:
        table: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, name, depth),
            "integer": lambda: self._integer(schema, name),
            "number": lambda: self._number(schema, name),
            "boolean": lambda: self._answer not in {"no", "false"} if name in ANSWER_FIELDS else True,
            "null": lambda: None,
        }
        return table[kind]() if kind in table else self._string(schema, name)

    def _resolved(self, schema: Mapping[str, Any], depth: int) -> Mapping[str, Any]:
        for _ in range(_MAX_DEPTH):
            if isinstance(schema.get("$ref"), str):
                rest = {key: value for key, value in schema.items() if key != "$ref"}
                schema = {**self._referenced(schema["$ref"]), **rest}
            elif alternatives := schema.get("anyOf") or schema.get("oneOf"):
                rest = {key: value for key, value in schema.items() if key not in {"anyOf", "oneOf"}}
                schema = {**rest, **self._alternative(alternatives, depth)}
            elif schema.get("allOf"):
                schema = self._all_of(schema)
            else:
                break
        return schema

    def _referenced(self, ref: str) -> Mapping[str, Any]:
        node: Any = self._root
        for part in ref.lstrip("#").strip("/").split("/") if ref not in {"#", ""} else []:
            node = node.get(part.replace("~1", "/").replace("~0", "~"), {}) if isinstance(node, Mapping) else {}
        return node if isinstance(node, Mapping) else {}

    def _alternative(self, alternatives: list[Any], depth: int) -> Mapping[str, Any]:
        options = [option for option in alternatives if isinstance(option, Mapping)]
        if depth >= _MAX_DEPTH // 2:
            options.sort(key=lambda option: "$ref" in option or _type(option) in {"object", "array"})
        else:
            options.sort(key=lambda option: option.get("type") == "null")
        return options[0] if options else {}

    def _all_of(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in schema["allOf"]:
            resolved = self._resolved(part, 0) if isinstance(part, Mapping) else {}
            merged["properties"] = {**merged.get("properties", {}), **resolved.get("properties", {})}
            merged["required"] = [*merged.get("required", []), *resolved.get("required", [])]
            merged = {**resolved, **merged}
        return merged

    def _enum(self, options: list[Any], name: str) -> Any:
        lowered = self._prompt.lower()
        if name in ANSWER_FIELDS and self._answer in options:
            return self._answer
        return next((option for option in options if isinstance(option, str) and option.lower() in lowered), options[0])

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties: Mapping[str, Any] = schema.get("properties", {})
        required = schema.get("required", [])
        wanted = [name for name in properties if name in required or (not required and depth < _MAX_DEPTH // 2)]
        missing = [name for name in required if name not in properties]
        if depth > _MAX_DEPTH * 2:
            return {}
        filled = {name: self.fill(properties[name], name, depth + 1) for name in wanted}
        return {**filled, **{name: self._string({}, name) for name in missing}}

    def _array(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 1000))
        inner = schema.get("items", {})
        if name in ANSWER_FIELDS and self._answer.startswith("["):
            values = [_cast(part, inner) for part in self._answer[1:-1].split(", ")]
        else:
            count = max(least, 1 if depth < _MAX_DEPTH // 2 else 0)
            values = [self.fill(inner, name.removesuffix("s"), depth + 1) for _ in range(count)]
        while len(values) < least:
            values.append(self.fill(inner, name, depth + 1))
        return values[:most]

    def _next_number(self, name: str) -> str:
        if name in ANSWER_FIELDS and read(self._answer) is not None:
            return self._answer
        return next(self._numbers, "1")

    def _number(self, schema: Mapping[str, Any], name: str) -> float | int:
        value = float(read(self._next_number(name)) or 0)
        low, high = schema.get("minimum"), schema.get("maximum")
        above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
        value = max(value, low) if low is not None else value
        value = min(value, high) if high is not None else value
        value = above + 1 if above is not None and value <= above else value
        value = below - 1 if below is not None and value >= below else value
        return int(value) if value == int(value) else value

    def _integer(self, schema: Mapping[str, Any], name: str) -> int:
        step = int(schema.get("multipleOf", 1)) or 1
        return round(self._number(schema, name)) // step * step

    def _string(self, schema: Mapping[str, Any], name: str) -> str:
        value = _FORMATS.get(schema.get("format", "")) or self._word(name.lower())
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 10**6))
        return value.ljust(min(least, 10**6), "x")[:most]

    def _word(self, name: str) -> str:
        if name in ANSWER_FIELDS and self._answer:
            return self._answer
        if name in _PROSE and self._reasoning:
            return self._reasoning
        if name in _WHOLE:
            return self._prompt
        if name in _SUMS and (found := re.search(r"[\d(][\d.\s()+\-*/^%]*[\d)]", self._prompt)):
            return found[0]
        if name in _PLACES and (places := self.places()):
            return places[0]
        return next(self._words, "") or (self.places() or [self._prompt.split(" ")[-1].strip(".?!") or "unknown"])[0]

    def places(self) -> list[str]:
        """The capitalised names that follow a preposition."""
        return _PLACE.findall(self._prompt)


def _cast(text: str, schema: Any) -> Any:
    kind = _type(schema if isinstance(schema, Mapping) else {})
    value = read(text)
    if kind in {"integer", "number"}:
        return (int(value) if value.denominator == 1 else float(value)) if value is not None else 0
    return text


def _type(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(entry) for entry in kind if entry != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "array" if "items" in schema else "string"
    return str(kind)
