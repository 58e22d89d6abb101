"""What the pages of docs/reference/ share: tables, types and values in words, and the prose of meanings.yaml."""

from __future__ import annotations

import enum
import types
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import yaml
from pydantic import SecretStr

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

MEANINGS = yaml.safe_load((Path(__file__).parent / "meanings.yaml").read_text())
_MADE = "<!-- Made by scripts/reference; do not edit. -->"
_PLAIN = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path", SecretStr: "secret"}


def head(title: str, *paragraphs: str) -> str:
    """The beginning of a page."""
    return "\n\n".join((_MADE, f"# {title}", *paragraphs)) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a bar in a cell is kept as one."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def complete(what: str, known: Iterable[Any], told: Mapping[Any, Any]) -> None:
    """Stop where meanings.yaml lacks one, or knows one that is not there."""
    known = set(known)
    if missing := known - set(told):
        raise SystemExit(f"scripts/meanings.yaml, {what}: nothing is said of {', '.join(sorted(map(str, missing)))}")
    if gone := set(told) - known:
        raise SystemExit(f"scripts/meanings.yaml, {what}: there is no {', '.join(sorted(map(str, gone)))}")


def type_words(annotation: Any) -> str:
    """A type as somebody who writes YAML thinks of it."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    if origin is Literal or (isinstance(annotation, type) and issubclass(annotation, enum.Enum)):
        return ", ".join(f"`{getattr(each, 'value', each)}`" for each in inner or annotation)
    if origin in {tuple, list}:
        return f"list of {type_words(inner[0])}"
    if origin in {Union, types.UnionType} or hasattr(annotation, "__metadata__"):
        return type_words(next(each for each in inner if each is not type(None)))
    return "map" if origin is dict else "anything"


def value_words(value: Any) -> str:
    """A default as it is written in YAML."""
    if value is None or value in ((), {}):
        return ""
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value}`"
