"""`gearbox savings`: what was spent, on what, and against what; and whether the judge is worth its money."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from app.commands.console import wide_console
from app.config import plan as plans
from app.config.environment import Environment
from app.money.span import span as parse_span
from app.money.words import judge_words, judged_json, line_json, usd
from app.wiring import second_best
from storage.history.store import SqlHistory
from storage.reports.buckets import By, Span
from storage.reports.reports import Line, Reports

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.console import Console

    from app.config.plan import Plan
    from storage.reports.judging import JudgedTier


def savings(config: Path | None, by: By, span: Span, *, judge: bool, as_json: bool) -> int:
    """Print the report; 0."""
    environment, variables = Environment.read()
    plan = plans.read(config, environment, variables)
    lines, total, judged = asyncio.run(_read(plan, by, span))
    if as_json:
        typer.echo(json.dumps(_json(by, span, lines, total, judged), indent=2))
        return 0
    console = wide_console()
    if judge:
        _judge(console, total, judged)
    else:
        _spending(console, by, lines, total)
    return 0


def wanted_span(since: str, until: str | None, team: str | None, key: str | None) -> Span:
    """The span that the options name.

    Raises:
        ConfigError: they name none.
    """
    start, end = parse_span(since, until, datetime.now(UTC))
    return Span(start, end, team, key)


async def _read(plan: Plan, by: By, span: Span) -> tuple[list[Line], Line, list[JudgedTier]]:
    history = await SqlHistory.open(plan.config.store.url.get_secret_value())
    try:
        reports = Reports(history.engine, second_best(plan.ladder.tiers))
        lines = await reports.spending(span, by)
        whole = await reports.spending(span, By.ALL)
        return lines, whole[0] if whole else _nothing(), await reports.judged(span)
    finally:
        await history.aclose()


def _nothing() -> Line:
    return Line("", 0, 0, 0, 0, 0, 0, None, {})


def _spending(console: Console, by: By, lines: Sequence[Line], total: Line) -> None:
    if not total.requests:
        console.print("No request in this span.")
        return
    heads = (by.value, "requests", "generating", "judging", "late", "spent USD", "always top", "saved", "vs second")
    table = Table(heads[0], box=None, pad_edge=False)
    for head in heads[1:]:
        table.add_column(head, justify="right")
    for line in lines if by is not By.ALL else ():
        table.add_row(line.name or "-", *_cells(line))
    table.add_row("all", *_cells(total), style="bold")
    console.print(table)
    if total.failed:
        console.print(f"{total.failed} requests got no answer; what they cost is counted.")
    if total.unpriced:
        console.print(f"{total.unpriced} requests have an unknown cost (a model without a price) and count as nothing.")
    if by is By.TAG:
        console.print("A request with several tags stands in several lines; 'all' counts it once.")


def _cells(line: Line) -> tuple[str, ...]:
    saved, second = line.saved_nanousd, line.saved_second_nanousd
    share = f" ({saved / line.top_nanousd:+.0%})" if line.top_nanousd else ""
    return (
        str(line.requests),
        usd(line.of("generate")),
        usd(line.of("judge")),
        usd(line.late_nanousd),
        usd(line.spent_nanousd),
        usd(line.top_nanousd),
        f"{usd(saved)}{share}",
        "-" if second is None else usd(second),
    )


def _judge(console: Console, total: Line, judged: Sequence[JudgedTier]) -> None:
    for sentence in judge_words(total, judged):
        console.print(sentence, soft_wrap=True)
    if not judged:
        return
    heads = ("accepted", "rejected", "failed", "judging", "after rejects", "later agreed", "known", "wrong")
    table = Table("judged tier", box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, justify="right")
    for tier in judged:
        wrong = "-" if tier.error is None else f"{tier.error:.0%}"
        counts = (tier.accepted, tier.rejected, tier.failed)
        money = (usd(tier.judge_nanousd), usd(tier.after_nanousd))
        table.add_row(tier.tier, *map(str, counts), *money, str(tier.later_agreed), str(tier.known), wrong)
    console.print()
    console.print(table)


def _json(by: By, span: Span, lines: Sequence[Line], total: Line, judged: Sequence[JudgedTier]) -> dict[str, Any]:
    return {
        "object": "gearbox.savings",
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "team": span.team,
        "by": by.value,
        "lines": [line_json(line) for line in lines],
        "total": line_json(total),
        "judge": [judged_json(tier) for tier in judged],
    }
