"""The few shapes that the charts are made of, as SVG text. Colours are CSS variables, so light and dark both work.

The law of this file: pure string building; everything that is not a number is escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

#: Digits after the point in coordinates: a hundredth of a pixel.
_PLACES = 2


def tag(name: str, attributes: dict[str, object], *children: str) -> str:
    """One element; `_` in attribute names becomes `-`, None leaves an attribute out."""
    told = " ".join(
        f'{key.rstrip("_").replace("_", "-")}="{escape(_text(value), quote=True)}"'
        for key, value in attributes.items()
        if value is not None
    )
    head = f"{name} {told}" if told else name
    return f"<{head}>{''.join(children)}</{name}>" if children else f"<{head}/>"


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "label") -> str:
    """A line of text; `kind` is its CSS class."""
    return tag("text", {"x": x, "y": y, "text_anchor": anchor, "class": kind}, escape(words))


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return tag("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def path(points: Iterable[tuple[float, float]], kind: str) -> str:
    """A line through points."""
    told = " ".join(f"{_text(x)},{_text(y)}" for x, y in points)
    return tag("polyline", {"points": told, "class": kind, "fill": "none"})


def titled(shape: str, title: str) -> str:
    """A shape that says what it is when pointed at."""
    return tag("g", {}, tag("title", {}, escape(title)), shape)


def chart(width: int, height: int, label: str, *parts: str) -> str:
    """The picture; `label` says in words what it shows."""
    box = {"viewBox": f"0 0 {width} {height}", "role": "img", "aria_label": label, "class": "chart"}
    return tag("svg", {**box, "width": width, "height": height}, *parts)


def swatch(width: int, height: int, shape: str) -> str:
    """A shape beside its name in a key: the name says it all to who cannot see it."""
    return tag("svg", {"width": width, "height": height, "aria_hidden": "true"}, shape)


@dataclass(frozen=True, slots=True)
class Scale:
    """Values from `low` to `high` -> pixels from `start` to `end`; `log` = by their logarithm (all above 0)."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """The pixel of a value; values beyond an end lie on it."""
        low, high, inside = self._place(self.low), self._place(self.high), min(max(value, self.low), self.high)
        share = (self._place(inside) - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values inside, about five."""
        return _decades(self.low, self.high) if self.log else _steps(self.low, self.high)

    def _place(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def _steps(low: float, high: float, about: int = 5) -> list[float]:
    rough = (high - low) / about or 1.0
    size = 10 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 2.5, 5, 10) if factor * size >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 10) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _decades(low: float, high: float) -> list[float]:
    tens = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found = [factor * 10.0**ten for ten in tens for factor in (1, 2, 5)]
    inside = [value for value in found if low <= value <= high]
    return inside if len(inside) <= 9 else [value for value in inside if f"{value:e}".startswith("1")]  # noqa: PLR2004 - what fits


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.{_PLACES}f}".rstrip("0").rstrip(".")
    return str(value)


def spread(values: Sequence[float], margin: float = 0.08) -> tuple[float, float]:
    """The range of some values and a little more on either side."""
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * margin
    return low - room, high + room
