"""The cost-accuracy plane: every policy, the random-mix line, the Pareto front, the oracle.

The law of this file: pure; rows -> SVG text.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cascade.lab.measures import mixed_accuracy, pareto
from cascade.lab.numbers import points, usd
from cascade.lab.report import labels, svg
from cascade.lab.report.results import kind_of
from cascade.lab.report.svg import Scale
from cascade.lab.report.verdicts import ends

if TYPE_CHECKING:
    from cascade.lab.report.results import Result
    from cascade.lab.score import Row

WIDTH, HEIGHT = 956, 460
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 20, 18, 52
#: Costs that differ by more than this factor are shown on a logarithmic scale.
_LOG_FROM = 8
_STEPS = 40
_KEY = (
    ("router", "a policy"),
    ("always", "one model alone"),
    ("random", "chance"),
    ("oracle", "oracle (knows the grades)"),
)


def plane(result: Result) -> str:
    """The picture; "" where no row has both a cost and an accuracy."""
    rows = [row for row in result.rows if row.accuracy is not None and row.cost_nanousd > 0]
    if not rows:
        return ""
    across, up = _scales(rows)
    lines = [*_axes(across, up), *_mixing(result, across, up), *_curve(result, across, up), *_front(rows, across, up)]
    parts = [*lines, *_points(rows, across, up)]
    places = "; ".join(f"{row.policy} {points(row.accuracy, 1)} % at {usd(_per_thousand(row) * 1e9)}" for row in rows)
    label = f"Accuracy against cost in USD per 1,000 queries, {result.title}: {places}"
    return svg.chart(WIDTH, HEIGHT, label, *parts)


def key(result: Result) -> str:
    """What the marks mean, as HTML."""
    shapes = "".join(f"<li>{_swatch(kind)}{escape(words)}</li>" for kind, words in _KEY)
    lines = (
        f"<li>{_stroke('mixing')}random mixing of the cheapest and the dearest model</li>"
        f"<li>{_stroke('front')}Pareto front: nothing run here is both cheaper and better</li>"
        f"<li>{svg.swatch(26, 12, svg.line(13, 0, 13, 12, 'whisker'))}95 % interval</li>"
    )
    if result.curve is not None:
        lines += f"<li>{_stroke('curve')}{escape(result.curve.policy)} at every budget</li>"
    return f'<ul class="key">{shapes}{lines}</ul>'


def _per_thousand(row: Row) -> float:
    """USD per 1,000 queries."""
    return row.cost_nanousd / row.followed / 1e6


def _scales(rows: list[Row]) -> tuple[Scale, Scale]:
    costs = [_per_thousand(row) for row in rows]
    whiskers = [end for row in rows for end in row.accuracy_ci or ()]
    low, high = svg.spread(whiskers, 0.04)
    up = Scale(max(low, 0.0), min(high, 1.0), HEIGHT - _BOTTOM, _TOP)
    if max(costs) > _LOG_FROM * min(costs):
        return Scale(min(costs) / 1.35, max(costs) * 1.35, _LEFT, WIDTH - _RIGHT, log=True), up
    left, right = svg.spread(costs)
    return Scale(max(left, 0.0), right, _LEFT, WIDTH - _RIGHT), up


def _axes(across: Scale, up: Scale) -> list[str]:
    floor, wall = HEIGHT - _BOTTOM, WIDTH - _RIGHT
    parts = []
    for value in up.ticks():
        y = up.at(value)
        parts += [
            svg.line(_LEFT, y, wall, y, "grid"),
            svg.text(_LEFT - 8, y + 4, f"{100 * value:g} %", anchor="end", kind="tick"),
        ]
    for value in across.ticks():
        x = across.at(value)
        parts += [
            svg.line(x, _TOP, x, floor, "grid"),
            svg.text(x, floor + 18, f"{value:g}", anchor="middle", kind="tick"),
        ]
    scale = ", logarithmic scale" if across.log else ""
    middle = (_LEFT + wall) / 2
    return [*parts, svg.text(middle, HEIGHT - 10, f"USD per 1,000 queries{scale}", anchor="middle", kind="axis")]


def _mixing(result: Result, across: Scale, up: Scale) -> list[str]:
    both = ends(result)
    if both is None:
        return []
    low, high = both
    found = []
    for step in range(_STEPS + 1):
        # Evenly spaced on the picture, whatever its scale: a straight line in money is a curve on a logarithmic one.
        share = step / _STEPS
        one, two = _per_thousand(low), _per_thousand(high)
        cost = one * (two / one) ** share if across.log else one + (two - one) * share
        accuracy = mixed_accuracy(low, high, cost * 1e6 * low.followed)
        if accuracy is not None:
            found.append((across.at(cost), up.at(accuracy)))
    return [svg.path(found, "mixing")]


def _curve(result: Result, across: Scale, up: Scale) -> list[str]:
    """The policy over all budgets."""
    if result.curve is None:
        return []
    many = len(result.stream.queries)
    return [svg.path([(across.at(cost / many / 1e6), up.at(right)) for cost, right in result.curve.points], "curve")]


def _front(rows: list[Row], across: Scale, up: Scale) -> list[str]:
    front = pareto([row for row in rows if kind_of(row.policy) != "oracle"])
    return [svg.path([(across.at(_per_thousand(row)), up.at(row.accuracy or 0.0)) for row in front], "front")]


def _points(rows: list[Row], across: Scale, up: Scale) -> list[str]:
    places = [(across.at(_per_thousand(row)), up.at(row.accuracy or 0.0)) for row in rows]
    names = [row.policy.removeprefix("always:") for row in rows]
    frame = (_LEFT + 2.0, _TOP - 4.0, float(WIDTH), HEIGHT - _BOTTOM + 2.0)
    parts = []
    for row, (x, _) in zip(rows, places, strict=True):
        if row.accuracy_ci:
            parts.append(svg.line(x, up.at(row.accuracy_ci[0]), x, up.at(row.accuracy_ci[1]), "whisker"))
    for row, (x, y) in zip(rows, places, strict=True):
        title = f"{row.policy}: {points(row.accuracy)} %, {usd(row.cost_nanousd)} USD in all"
        parts.append(svg.titled(_mark(kind_of(row.policy), x, y), title))
    for row, (x, y), name, at in zip(rows, places, names, labels.place(places, names, frame), strict=True):
        if at.leader:
            parts.append(svg.line(x, y, at.x - (3 if at.anchor == "start" else -3), at.y - 4, "leader"))
        parts.append(svg.text(at.x, at.y, name, anchor=at.anchor, kind=f"name {kind_of(row.policy)}"))
    return parts


def _mark(kind: str, x: float, y: float) -> str:
    if kind == "always":
        return svg.tag("rect", {"x": x - 5, "y": y - 5, "width": 10, "height": 10, "class": f"mark {kind}"})
    if kind == "oracle":
        around = f"{x:.2f},{y - 7:.2f} {x + 7:.2f},{y:.2f} {x:.2f},{y + 7:.2f} {x - 7:.2f},{y:.2f}"
        return svg.tag("polygon", {"points": around, "class": f"mark {kind}"})
    return svg.tag("circle", {"cx": x, "cy": y, "r": 4 if kind == "random" else 6, "class": f"mark {kind}"})


def _swatch(kind: str) -> str:
    return svg.swatch(16, 16, _mark(kind, 8, 8))


def _stroke(kind: str) -> str:
    return svg.swatch(26, 12, svg.line(0, 6, 26, 6, kind))
