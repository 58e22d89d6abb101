"""The report's tables, as HTML.

The law of this file: pure; results -> HTML text; everything that a recording says is escaped.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from cascade.lab.measures import pareto
from cascade.lab.numbers import points, usd
from cascade.lab.report.results import kind_of, shares
from cascade.lab.report.verdicts import TOLERATED, best_single, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.lab.report.results import Result
    from cascade.lab.score import Row
    from cascade.lab.story import Story

#: A cell: its HTML, and its CSS class.
Cell = tuple[str, str]


def table(heads: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> str:
    """A table in a frame of its own that scrolls where it is too wide."""
    kinds = [kind for _, kind in rows[0]] if rows else [""] * len(heads)
    top = "".join(f'<th scope="col"{_right(kind)}>{escape(head)}</th>' for head, kind in zip(heads, kinds, strict=True))
    body = "".join(f"<tr>{''.join(_cell(cell) for cell in row)}</tr>" for row in rows)
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="scroll"><table>{told}<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def overview(result: Result) -> str:
    """Every policy: how right, how dear, who answered."""
    front = {row.policy for row in pareto([row for row in result.rows if kind_of(row.policy) != "oracle"])}
    heads = ("policy", "right %", "95 % interval", "USD", "answers", "judges", "USD per 1,000", "s per query")
    tiers = " / ".join(tier.name for tier in result.stream.tiers)
    caption = f"Starts and served count queries per tier, in the ladder's order: {tiers}. ● = on the Pareto front."
    rows = [_overview_row(row, on_front=row.policy in front) for row in result.rows]
    return table((*heads, "starts", "served"), rows, caption)


def money(result: Result) -> str:
    """Everything but the oracle against the best single model, and against chance at the same spend."""
    fair = [row for row in result.rows if kind_of(row.policy) != "oracle" and row is not best_single(result)]
    told = [found for row in fair if (found := verdict(result, row))]
    if not told:
        return ""
    against = told[0].against.policy.removeprefix("always:")
    heads = ("policy", "USD", "saved", "points", "95 % interval", "verdict", "vs. mixing ends", "vs. best mix")
    rows = [
        (
            name(found.row),
            number(usd(found.row.cost_nanousd)),
            number("-" if found.saved is None else f"{found.saved:+.0%}"),
            number("-" if found.gained is None else f"{100 * found.gained.mean:+.1f}"),
            number("-" if found.gained is None else f"{100 * found.gained.low:+.1f} to {100 * found.gained.high:+.1f}"),
            (escape(found.words), "good" if found.good else ""),
            number(found.mixing_words if kind_of(found.row.policy) == "router" else "-"),
            number(found.best_words if kind_of(found.row.policy) == "router" else "-"),
        )
        for found in told
    ]
    caption = (
        f"Compared with {against} alone on the same queries: what is saved, how many points more (+) or fewer (-) are "
        "right, "
        f"and where that difference lies in 95 of 100 such samples. Green: cheaper and at worst {100 * TOLERATED:.0f} "
        "points "
        "less accurate, or measurably more accurate. Mixing sends queries to two single models by lot, at the same "
        "spend: the cheapest and the dearest, or the best two."
    )
    return table(heads, rows, caption)


def by_task(result: Result) -> str:
    """The share of right answers and the cost, per task and policy; "" where there is one task only."""
    tasks = sorted({query.task for query in result.stream.queries})
    if len(tasks) < 2:  # noqa: PLR2004 - one task is the whole
        return ""
    heads = ("task", "queries", *(row.policy.removeprefix("always:") for row in result.rows))
    counts = {task: sum(query.task == task for query in result.stream.queries) for task in tasks}
    rows = [(name_of(task or "(none)"), number(f"{counts[task]:,}"), *_task_cells(result, task)) for task in tasks]
    return table(
        heads, rows, "Right answers in percent; below, USD per 1,000 queries. The best policy but the oracle is bold."
    )


def judges(result: Result) -> str:
    """How the judges did, per policy that asked them; "" where nobody did."""
    asked = [row for row in result.rows if row.judge.right or row.judge.wrong]
    if not asked:
        return ""
    heads = ("policy", "right answers judged", "accepted", "wrong answers judged", "accepted", "judges, USD")
    rows = [
        (
            name(row),
            number(str(row.judge.right)),
            number(points(row.judge.as_json()["accept_right"], 1) + " %"),
            number(str(row.judge.wrong)),
            number(points(row.judge.as_json()["accept_wrong"], 1) + " %"),
            number(usd(row.judge_nanousd)),
        )
        for row in asked
    ]
    return table(heads, rows, "How often a judge said yes: to answers that are right, and to answers that are wrong.")


def settings(result: Result) -> str:
    """The numbers that each policy decided by."""
    rows = [
        (name(row), (escape(", ".join(f"{key} = {value}" for key, value in row.settings.items()) or "none"), "wrap"))
        for row in result.routers
    ]
    return table(("policy", "settings"), rows, "The numbers that each policy decided by.")


def models(result: Result) -> str:
    """The ladder: prices and priors that the policies knew."""
    heads = ("tier", "model", "USD per million tokens in", "out", "prior accuracy")
    rows = []
    for tier in result.stream.tiers:
        price = tier.deployments[0].price
        rates = ("?", "?") if price is None else (f"{price.base.input / 1e9:g}", f"{price.base.output / 1e9:g}")
        told = (number(rates[0]), number(rates[1]), number(f"{tier.prior_accuracy:.3f}"))
        rows.append((name_of(tier.name), name_of(tier.deployments[0].model), *told))
    return table(heads, rows, "What the policies knew of the models beforehand: list prices, and the prior accuracy.")


def name(row: Row) -> Cell:
    """A policy's name, coloured by its kind."""
    return escape(row.policy), f"name {kind_of(row.policy)}"


def name_of(words: str) -> Cell:
    """Any other name."""
    return escape(words), "name"


def number(words: str) -> Cell:
    """A number, right-aligned."""
    return escape(words), "number"


def _right(kind: str) -> str:
    """A column of numbers has its head on the right too."""
    return ' class="number"' if kind == "number" else ""


def _cell(cell: Cell) -> str:
    inside, kind = cell
    return f'<td class="{kind}">{inside}</td>' if kind else f"<td>{inside}</td>"


def _overview_row(row: Row, *, on_front: bool) -> tuple[Cell, ...]:
    label, kind = name(row)
    ci = row.accuracy_ci
    return (
        (f"{label} ●" if on_front else label, kind),
        number(points(row.accuracy)),
        number(f"{points(ci[0], 1)} - {points(ci[1], 1)}" if ci else "-"),
        number(usd(row.cost_nanousd)),
        number(usd(row.generate_nanousd)),
        number(usd(row.judge_nanousd)),
        number(usd(row.cost_nanousd * 1000 / row.followed) if row.followed else "-"),
        number("-" if row.latency_s is None else f"{row.latency_s:.2f}"),
        number(shares(row.starts)),
        number(shares(row.served)),
    )


def _task_cells(result: Result, task: str) -> list[Cell]:
    found = [_task_score(result, row, task) for row in result.rows]
    fair = [right for row, (right, _) in zip(result.rows, found, strict=True) if kind_of(row.policy) != "oracle"]
    best = max((right for right in fair if right is not None), default=None)
    cells = []
    for row, (right, cost) in zip(result.rows, found, strict=True):
        top = right is not None and right == best and kind_of(row.policy) != "oracle"
        shown = f"<b>{points(right, 1)}</b>" if top else points(right, 1)
        cells.append((f"{shown}<small>{usd(cost)}</small>", "number"))
    return cells


def _task_score(result: Result, row: Row, task: str) -> tuple[float | None, float]:
    """(share right, nano-dollars per 1,000 queries) of one task."""
    stories: list[Story] = [story for story in row.stories if story.query.task == task and story.followed]
    grades = [grade for story in stories if (grade := story.correct(result.stream.recording)) is not None]
    cost = sum(story.generate_nanousd + story.judge_nanousd for story in stories)
    return (sum(grades) / len(grades) if grades else None), 1000 * cost / max(len(stories), 1)
