"""What does not have the shape of `settings.py`, told to who wrote it: which key, what is wrong, what is right.

The law of this file: it never repeats a text of the configuration, which may be a secret.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ValidationError

from app.config.settings import Config

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pydantic_core import ErrorDetails

    from app.config.lines import Path

_PATTERNS = {
    "api_base": "must be an address such as https://host/v1",
    "name": "may hold letters, digits and . _ / @ + - only, and begins with a letter or digit",
}


def mistakes(error: ValidationError, data: Any) -> list[tuple[Path, str]]:
    """Every mistake in the document `data`: its path, and what is wrong."""
    found = [(_path(detail), detail) for detail in error.errors(include_url=False)]
    told = [pair for pair in found if not _follows(pair, [path for path, _ in found])]
    return [(path, _message(detail, path, data)) for path, detail in told]


def _follows(pair: tuple[Path, ErrorDetails], paths: Collection[Path]) -> bool:
    """Whether a list is called too short only because an item of it is wrong, which is told by itself."""
    path, detail = pair
    return detail["type"] == "too_short" and any(
        len(other) > len(path) and other[: len(path)] == path for other in paths
    )


def _path(found: ErrorDetails) -> Path:
    return tuple(part for part in found["loc"] if part != "[key]")


def _message(found: ErrorDetails, path: Path, data: Any) -> str:
    word = str(path[-1]) if path else ""
    match found["type"]:
        case "extra_forbidden":
            allowed = _allowed(path[:-1])
            return f"unknown key{did_you_mean(word, allowed)} Allowed here: {', '.join(allowed)}"
        case "missing":
            return "is missing, add it"
        case "too_short" | "string_too_short":
            return "must not be empty"
        case "string_pattern_mismatch" | "value_error" if word in _PATTERNS:
            return _PATTERNS[word]
        case "literal_error":
            allowed = [
                item.strip("' ")
                for item in str(found.get("ctx", {}).get("expected", "")).replace(" or ", ",").split(",")
            ]
            given = word if found["loc"][-1:] == ("[key]",) else str(_at(data, path))
            return f"must be one of {', '.join(allowed)}{did_you_mean(given, allowed)}"
        case _:
            text = (
                found["msg"]
                .replace("Input should be", "must be")
                .replace("an object", "a mapping")
                .replace("array", "list")
            )
            return f"{text[0].lower()}{text[1:]}, and is {_kind(_at(data, path))}"


def _allowed(path: Path) -> list[str]:
    """The keys that a block may have."""
    model: Any = Config
    for part in path:
        if isinstance(part, int):
            continue
        annotation = model.model_fields[part].annotation
        model = next(_models(annotation))
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The records named by an annotation: `tuple[X, ...]`, `X | None`, `X`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        data = data.get(part) if isinstance(data, dict) else data[part] if isinstance(data, list) else None  # type: ignore[index]
    return data


def _kind(value: Any) -> str:
    """What was given, without showing a text, which may be a secret."""
    match value:
        case bool() | int() | float() | None:
            return "empty" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
        case str():
            return "a text" if value else "an empty text"
        case dict():
            return "a mapping"
        case list():
            return f"a list of {len(value)}"
        case _:
            return f"a {type(value).__name__}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The end of a sentence: `; did you mean "x"?` where something known is close, else a full stop."""
    close = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f'; did you mean "{close[0]}"?' if close else "."
