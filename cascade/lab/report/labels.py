"""Where labels go beside points, so that none lies on another or on a point.

The law of this file: pure geometry in pixels; widths of text are estimated from its length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHAR, _HEIGHT, _GAP = 6.7, 14.0, 9.0
_POINT = 7.0


@dataclass(frozen=True, slots=True)
class Placed:
    """A label: its text's left or right end and baseline; `leader` where it stands too far away to need no line."""

    x: float
    y: float
    anchor: str
    leader: bool


Box = tuple[float, float, float, float]


def place(points: Sequence[tuple[float, float]], words: Sequence[str], frame: Box) -> list[Placed]:
    """A place for each point's label, in the points' order.

    Args:
        points: pixels.
        words: the labels.
        frame: left, top, right, bottom of what may be drawn on.
    """
    taken: list[Box] = [(x - _POINT, y - _POINT, x + _POINT, y + _POINT) for x, y in points]
    found = []
    for (x, y), label in zip(points, words, strict=True):
        chosen, box = _free(x, y, _CHAR * len(label), taken, frame)
        taken.append(box)
        found.append(chosen)
    return found


def _free(x: float, y: float, width: float, taken: Sequence[Box], frame: Box) -> tuple[Placed, Box]:
    tries = [
        (
            Placed(
                x + side * (_GAP + out), y + 4 + down, "start" if side > 0 else "end", bool(out or abs(down) > _HEIGHT)
            )
        )
        for out in (0.0, 14.0, 30.0)
        for down in (0.0, -13.0, 13.0, -26.0, 26.0, -40.0, 40.0, -54.0, 54.0)
        for side in (1, -1)
    ]
    boxed = [(label, _box(label, width)) for label in tries]
    inside = [pair for pair in boxed if _within(pair[1], frame)] or boxed
    return min(inside, key=lambda pair: sum(_overlap(pair[1], other) for other in taken))


def _box(label: Placed, width: float) -> Box:
    left = label.x if label.anchor == "start" else label.x - width
    return left, label.y - _HEIGHT + 3, left + width, label.y + 3


def _within(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(one: Box, other: Box) -> float:
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0
