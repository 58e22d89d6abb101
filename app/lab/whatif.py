"""`gearbox whatif`: stored traffic under other settings, prices or tiers, and how much of it cannot be told.

Each request sees the evidence that it saw when it was asked; only answers that were really given are replayed. One
that would have needed another one cannot be evaluated, and is counted, not guessed.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson
from rich.console import Console
from rich.table import Table

from app.lab.ladder_changes import changed_tiers
from app.lab.progress import note, progress_bar
from app.lab.seen import routed
from app.lab.store import read_plan
from app.money import span
from app.observe.logs import configure
from cascade.lab import lineup
from cascade.lab.numbers import points, usd
from cascade.lab.report.results import shares
from cascade.lab.stream import Stream
from cascade.policies import registry
from cascade.recordings.records import RecordedModel
from cascade.replay import replay_each
from router.errors import ConfigError
from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from app.config.plan import Plan
    from app.lab.stored import History
    from cascade.lab.lineup import Settings
    from cascade.lab.score import Row
    from cascade.policies.policy import Policy
    from router.domain import Tier

#: Columns of a table that goes to a file or a pipe.
WIDTH = 160
_WARNING = (
    "Requests that cannot be evaluated are not a random sample: they are those that would have gone elsewhere. The "
    "more of them there are, the less the rest says."
)


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different: policies (none = the configured default), settings, tiers, prices."""

    policies: Sequence[str]
    settings: Settings
    tiers: Sequence[str]
    prices: Sequence[str]


@dataclass(frozen=True, slots=True)
class Compared:
    """One policy's row, and what the requests that could be evaluated really cost (None = not all of it is known)."""

    row: Row
    was_nanousd: int | None


def run(change: Change, *, since: str | None, team: str | None, as_json: bool, config: Path | None) -> None:
    """Print what would have been.

    Raises:
        ConfigError: a bad wish, or nothing is stored.
    """
    configure("warning", "console")
    plan = read_plan(config)
    start = span.since(since, datetime.now(UTC))
    tiers = changed_tiers(plan.ladder.tiers, change.tiers, change.prices)
    asked = policies(plan, change)
    history = routed(plan, tiers, asked, since, team)
    if not history.recording.queries:
        raise ConfigError(f"the store holds no routed requests{f' since {start.isoformat()}' if start else ''}")
    found = compared(history, tiers, asked)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(told(history, found, start), option=orjson.OPT_INDENT_2) + b"\n")
        return
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(_table(history, found))
    for each in found:
        for why, count in each.row.lacking.items():
            note(f"{each.row.policy}: {count:,} cannot be evaluated: {why}")
    note(_WARNING)


def policies(plan: Plan, change: Change) -> list[Policy]:
    """The policies with their configured settings, changed.

    Raises:
        ConfigError: unknown ones, or settings for one that is not asked for.
    """
    named = tuple(change.policies) or (plan.config.policy.default,)
    configured = plan.config.policy.settings()
    base = {name: dict(configured.get(name) or {}) for name in named}
    if not change.policies:
        base[named[0]] = dict(configured.get(plan.config.policy.default) or base[named[0]])
    kept = {name: values for name, values in base.items() if registry.has_settings(name)}
    for name, values in change.settings.items():
        kept[name] = {**kept.get(name, {}), **values}
    return [policy for policy in lineup.build(named, kept) if lineup.is_policy(policy)]


def compared(history: History, tiers: Sequence[Tier], asked: Sequence[Policy]) -> list[Compared]:
    """Each policy over the history."""
    chosen = stream_of(history, tiers)
    with progress_bar() as tell:
        rows = list(replay_each(chosen, asked, None, tell, history.seen))
    return [Compared(row, _was(history, row)) for row in rows]


def stream_of(history: History, tiers: Sequence[Tier]) -> Stream:
    """The stored requests in their order, over these tiers at their prices.

    Where a tier has several models, each request takes the answer that one of them gave.
    """
    recording = history.recording
    answers, models = dict(recording.answers), dict(recording.models)
    for tier in tiers:
        first = tier.deployments[0]
        for deployment in tier.deployments[1:]:
            answers[first.model] = {**recording.answers.get(deployment.model, {}), **answers.get(first.model, {})}
        answers.setdefault(first.model, {})
        if first.price is not None:
            models[first.model] = RecordedModel(first.model, first.price, tier.prior_accuracy)
    changed = replace(recording, answers=answers, models=models)
    return Stream(changed, "default", tuple(tiers), recording.queries)


def told(history: History, found: Sequence[Compared], since: datetime | None) -> dict[str, Any]:
    """The result as JSON."""
    spent = list(history.spent_nanousd.values())
    return {
        "since": since.isoformat() if since else None,
        "requests": len(history.recording.queries),
        "left_out": {"named_a_tier": history.direct},
        "cost_usd": None if None in spent else nanousd_to_usd(sum(cost or 0 for cost in spent)),
        "rows": [_row(each) for each in found],
    }


def _row(each: Compared) -> dict[str, Any]:
    row = each.row
    was = None if each.was_nanousd is None else nanousd_to_usd(each.was_nanousd)
    saved = None if each.was_nanousd is None else nanousd_to_usd(each.was_nanousd - row.cost_nanousd)
    unevaluable = 1 - row.followed / row.queries
    told = {**row.as_json(), "unevaluable": unevaluable, "unevaluable_because": dict(row.lacking)}
    return {**told, "graded": row.graded, "was_usd": was, "saved_usd": saved}


def _was(history: History, row: Row) -> int | None:
    costs = [history.spent_nanousd[story.query.id] for story in row.stories if story.followed]
    return None if None in costs else sum(cost or 0 for cost in costs)


def _table(history: History, found: Sequence[Compared]) -> Table:
    left_out = f"; {history.direct:,} more named a tier and stay where they are" if history.direct else ""
    title = f"{len(history.recording.queries):,} stored requests{left_out}"
    table = Table(title=title, title_justify="left", box=None)
    table.add_column("policy", no_wrap=True)
    for name in ("cannot be evaluated", "USD would be", "USD was", "saved", "right % (graded)"):
        table.add_column(name, justify="right")
    table.add_column("starts")
    table.add_column("settings")
    for each in found:
        table.add_row(*_cells(each))
    return table


def _cells(each: Compared) -> tuple[str, ...]:
    row, was = each.row, each.was_nanousd
    return (
        row.policy,
        f"{1 - row.followed / row.queries:.1%}",
        usd(row.cost_nanousd),
        "?" if was is None else usd(was),
        f"{1 - row.cost_nanousd / was:+.0%}" if was else "-",
        f"{points(row.accuracy, 1)} ({row.graded})",
        shares(row.starts),
        ", ".join(f"{key}={value}" for key, value in row.settings.items()),
    )
