"""What clients and models say -> what every database takes.

The law of this file: pure functions. A request has been paid for by the time it is stored, so a stray NUL, half a
surrogate pair or a NaN must not cost its row: PostgreSQL takes neither of them, JSON takes no NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

REPLACEMENT = "\ufffd"


def text(value: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    if "\x00" in value:
        value = value.replace("\x00", REPLACEMENT)
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def text_or_none(value: str | None) -> str | None:
    """The same, None kept."""
    return None if value is None else text(value)


def number(value: float | None) -> float | None:
    """A finite float; None for NaN and the infinities."""
    return None if value is None or not math.isfinite(value) else float(value)


def json_ready(value: Any) -> Any:
    """Plain dicts, lists, text and finite numbers; anything unknown becomes its `str`."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return number(value)
    if isinstance(value, str):
        return text(str(value))
    return _container(value)


def _container(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {text(str(key)): json_ready(item) for key, item in value.items()}
    if isinstance(value, frozenset | set):
        return sorted((json_ready(item) for item in value), key=str)
    if isinstance(value, Sequence):
        return [json_ready(item) for item in value]
    return text(str(value))
