"""Strict reading of one JSON or YAML object: each field has the right type and range, or an error says where not.

The law of this file: it knows places (file, line) and types, nothing of recordings.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SHOWN_CHARACTERS = 60
_LARGEST = 1e15  # beyond any price or duration, so infinity is out of range


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, 1 = first."""

    path: Path
    line: int

    def fault(self, what: str) -> ConfigError:
        """The error to raise: file, line, what is wrong."""
        return ConfigError(f"{self.path}, line {self.line}: {what}")


@dataclass(frozen=True, slots=True)
class Fields:
    """An object's fields, and where they stand; `lines` holds the line of each key where they differ (YAML)."""

    values: Mapping[str, Any]
    place: Place
    lines: Mapping[str, int] = field(default_factory=dict)

    def has(self, key: str) -> bool:
        """Whether the field is there; an optional field that is null is not."""
        return self.values.get(key) is not None

    def at(self, key: str) -> Place:
        """Where a field stands."""
        return Place(self.place.path, self.lines.get(key, self.place.line))

    def fault(self, key: str, must: str) -> ConfigError:
        """The error that a field is missing or is not what it must be."""
        if key not in self.values:
            return self.place.fault(f"{key!r} is missing; it must be {must}")
        shown = repr(self.values[key])
        short = shown if len(shown) <= _SHOWN_CHARACTERS else shown[:_SHOWN_CHARACTERS] + "…"
        return self.at(key).fault(f"{key!r} is {short}; it must be {must}")

    def text(self, key: str) -> str:
        """A string, perhaps empty."""
        value = self.values.get(key)
        if not isinstance(value, str):
            raise self.fault(key, "text")
        return value

    def name(self, key: str) -> str:
        """A string that is not empty."""
        value = self.values.get(key)
        if not isinstance(value, str) or not value:
            raise self.fault(key, "text that is not empty")
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.values.get(key)
        if not isinstance(value, bool):
            raise self.fault(key, "true or false")
        return value

    def count(self, key: str) -> int:
        """A whole number from 0; nothing that is counted here comes near the largest."""
        value = self.values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
            raise self.fault(key, "a whole number, 0 or more")
        return value

    def number(self, key: str, most: float = _LARGEST) -> float:
        """A finite number from 0 to `most`."""
        value = self.values.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.fault(key, f"a number{_range(most)}")
        if not 0 <= value <= most:  # false for NaN too
            raise self.fault(key, f"a number{_range(most)}")
        return value

    def items(self, key: str) -> list[Any]:
        """A list that is not empty."""
        value = self.values.get(key)
        if not isinstance(value, list) or not value:
            raise self.fault(key, "a list that is not empty")
        return value


def _range(most: float) -> str:
    return ", 0 or more" if most == _LARGEST else f" from 0 to {most:g}"
