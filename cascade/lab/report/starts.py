"""Where a policy starts as the stream goes on: what it learns, and whether it stops choosing.

The law of this file: pure; a row -> SVG text.
"""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING

from cascade.lab.report import svg
from cascade.lab.report.svg import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.lab.score import Row

WIDTH, HEIGHT = 410, 170
_LEFT, _BOTTOM, _TOP, _RIGHT = 46, 40, 8, 8
_WINDOWS = 24
#: As many shades as there are in the style sheet.
SHADES = 6


def starts_chart(row: Row, tiers: Sequence[str]) -> str:
    """Shares of the start tiers in windows along the stream, the cheapest at the bottom."""
    started = [story.attempts[0].tier for story in row.stories if story.attempts]
    windows = _windows(started)
    across = Scale(0, len(windows), _LEFT, WIDTH - _RIGHT)
    up = Scale(0, 1, HEIGHT - _BOTTOM, _TOP)
    parts = []
    for place, window in enumerate(windows):
        parts += _bar(window, tiers, across.at(place), across.at(place + 1), up)
    for value in (0.0, 0.5, 1.0):
        parts.append(svg.text(_LEFT - 6, up.at(value) + 4, f"{100 * value:g} %", anchor="end", kind="tick"))
    parts += [
        svg.text(_LEFT, HEIGHT - _BOTTOM + 16, "first query", kind="tick"),
        svg.text(WIDTH - _RIGHT, HEIGHT - _BOTTOM + 16, f"query {len(started):,}", anchor="end", kind="tick"),
        svg.text(
            (_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 6, f"start tiers of {row.policy}", anchor="middle", kind="axis"
        ),
    ]
    return svg.chart(WIDTH, HEIGHT, _in_words(row, windows, tiers), *parts)


def _in_words(row: Row, windows: Sequence[Counter[str]], tiers: Sequence[str]) -> str:
    """The chart for who cannot see it: its first and its last window."""
    ends = [
        " and ".join(f"{window[tier] / window.total():.0%} at {tier}" for tier in tiers if window[tier])
        for window in (windows[0], windows[-1])
    ]
    return f"Where {row.policy} starts along the stream: at first {ends[0]}; in the end {ends[1]}"


def tier_key(tiers: Sequence[str]) -> str:
    """Which shade is which tier, as HTML."""
    told = "".join(
        f"<li>{svg.swatch(16, 12, svg.tag('rect', _block(shade(place, len(tiers)))))}{escape(tier)}</li>"
        for place, tier in enumerate(tiers)
    )
    return f'<ul class="key">{told}</ul>'


def _block(colour: int) -> dict[str, object]:
    return {"width": 16, "height": 12, "class": f"shade{colour}"}


def shade(place: int, tiers: int) -> int:
    """The shade of a rung: the lightest for the cheapest, the darkest for the top."""
    return SHADES - 1 if tiers == 1 else round(place * (SHADES - 1) / (tiers - 1))


def _windows(started: Sequence[str]) -> list[Counter[str]]:
    size = max(1, -(-len(started) // _WINDOWS))
    return [Counter(started[at : at + size]) for at in range(0, len(started), size)]


def _bar(window: Counter[str], tiers: Sequence[str], left: float, right: float, up: Scale) -> list[str]:
    total, below, parts = window.total(), 0, []
    for place, tier in enumerate(tiers):
        count = window[tier]
        if count:
            top, floor = up.at((below + count) / total), up.at(below / total)
            box = {"x": left, "y": top, "width": right - left - 0.6, "height": floor - top}
            rect = svg.tag("rect", {**box, "class": f"shade{shade(place, len(tiers))}"})
            parts.append(svg.titled(rect, f"{tier}: {count} of {total}"))
        below += count
    return parts
