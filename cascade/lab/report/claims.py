"""Calibration plots: what was claimed of answers against what came out.

The law of this file: pure; signals -> SVG text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.lab.calibration import bins
from cascade.lab.report import svg
from cascade.lab.report.svg import Scale

if TYPE_CHECKING:
    from cascade.lab.calibration import Bin, Signal

SIDE = 300
_LEFT, _BOTTOM, _MARGIN = 46, 44, 12
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def calibration_plot(signal: Signal) -> str:
    """A point per bin, its size by the number of answers; on the diagonal the claim comes true."""
    across = Scale(0.0, 1.0, _LEFT, SIDE - _MARGIN)
    up = Scale(0.0, 1.0, SIDE - _BOTTOM, _MARGIN)
    claim = "estimated P(valid)" if signal.kind == "estimate" else f"confidence of {signal.model}"
    parts = [*_frame(across, up, claim), svg.line(across.at(0), up.at(0), across.at(1), up.at(1), "diagonal")]
    found = bins(signal.claims)
    most = max((each.count for each in found), default=1)
    for each in found:
        parts += _bin(each, across, up, most)
    return svg.chart(SIDE, SIDE, f"{signal.policy}: {claim} against the share that was right", *parts)


def _frame(across: Scale, up: Scale, claim: str) -> list[str]:
    parts = []
    for value in _TICKS:
        x, y = across.at(value), up.at(value)
        parts += [svg.line(across.start, y, across.end, y, "grid"), svg.line(x, up.start, x, up.end, "grid")]
        parts.append(svg.text(across.start - 6, y + 4, f"{100 * value:g} %", anchor="end", kind="tick"))
        parts.append(svg.text(x, up.start + 16, f"{value:g}", anchor="middle", kind="tick"))
    middle = (across.start + across.end) / 2
    return [*parts, svg.text(middle, SIDE - 8, claim, anchor="middle", kind="axis")]


def _bin(each: Bin, across: Scale, up: Scale, most: int) -> list[str]:
    x = across.at(each.claimed)
    radius = 3 + 4 * (each.count / most) ** 0.5
    dot = svg.tag("circle", {"cx": x, "cy": up.at(each.right), "r": radius, "class": "mark router"})
    told = f"claimed {each.claimed:.2f}, {each.right:.0%} right of {each.count}"
    return [svg.line(x, up.at(each.low), x, up.at(each.high), "whisker"), svg.titled(dot, told)]
