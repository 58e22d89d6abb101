"""`gearbox tune`: settings that meet a target, and the lines to paste."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import yaml
from rich.console import Console
from rich.table import Table

from app.lab.progress import note, progress_bar
from app.lab.seen import routed
from app.lab.store import read_plan
from app.lab.whatif import stream_of
from app.observe.logs import configure
from cascade.lab import spaces
from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.numbers import points, usd
from cascade.lab.stream import stream
from cascade.lab.tuning import Goal, Tuned, Tuner, parts
from cascade.policies import registry
from cascade.recordings import load
from router.embedding import SentenceTransformerEmbedder
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.lab.lineup import Settings
    from cascade.lab.memory import Seen
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream
    from cascade.policies.policy import Policy

STORE = "store"


@dataclass(frozen=True, slots=True)
class Task:
    """What to tune, on what, and how long to look."""

    source: str
    policy: str
    goal: Goal
    settings: Settings
    ladder: str | None = None
    fit: str | None = None
    report: str | None = None
    tries: int = 40
    seed: int = 0
    since: str | None = None


def run(task: Task, *, as_json: bool, config: Path | None) -> None:
    """Tune and print.

    Raises:
        ConfigError: a bad source or wish.
    """
    configure("warning", "console")
    policy = task.policy
    spaces.space_of(policy)
    base = task.settings.get(policy, {})
    idle = [name for name in task.settings if name != policy]
    if idle:
        raise ConfigError(f"--set {idle[0]}.…: only {policy} is tuned here")
    chosen, seen = _source(task, registry.build(policy, base), config)
    fit, report = parts(chosen, task.fit, task.report)
    with progress_bar() as tell:
        embedder = CachedEmbedder(SentenceTransformerEmbedder()) if seen is None else None
        found = Tuner(policy, base, task.goal, embedder, seen, tell).tune(fit, report, task.tries, task.seed)
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(told(task, found, fit, report, base), option=orjson.OPT_INDENT_2) + b"\n")
        return
    _show(task, found, (_named(fit), _named(report)), base)


def goal_of(target_accuracy: float | None, budget: float | None) -> Goal:
    """Exactly one of the two.

    Raises:
        ConfigError: both or neither, or out of range.
    """
    if (target_accuracy is None) == (budget is None):
        raise ConfigError("say either --target-accuracy (0 to 1) or --budget (USD per 1,000 queries)")
    if target_accuracy is not None and not 0 <= target_accuracy <= 1:
        raise ConfigError(f"--target-accuracy {target_accuracy:g}: an accuracy is from 0 to 1, such as 0.85")
    if budget is not None and not budget > 0:
        raise ConfigError(f"--budget {budget:g}: a budget is more than 0, in USD per 1,000 queries")
    return Goal(target_accuracy, budget)


def config_lines(found: Tuned, base: Mapping[str, Any]) -> str:
    """What to paste into gearbox.yaml."""
    settings = {**base, **found.fitted.changed}
    lines: dict[str, Any] = {"policy": {"default": found.policy, found.policy: settings}}
    return yaml.safe_dump(lines, sort_keys=False)


def told(task: Task, found: Tuned, fit: Stream, report: Stream, base: Mapping[str, Any]) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "source": task.source,
        "policy": found.policy,
        "goal": {"accuracy": task.goal.accuracy, "usd_per_thousand": task.goal.usd_per_thousand},
        "tried": found.tried,
        "settings": {**base, **found.fitted.changed},
        "fit": {"part": _named(fit), "met": task.goal.met(found.fitted.row), **found.fitted.row.as_json()},
        "report": {"part": _named(report), "met": task.goal.met(found.reported), **found.reported.as_json()},
        "report_default": found.default.as_json(),
        "config": config_lines(found, base),
    }


def _source(task: Task, policy: Policy, config: Path | None) -> tuple[Stream, Seen | None]:
    """The stream, and for stored traffic what each request saw."""
    if task.source != STORE:
        return stream(load(Path(task.source)), task.ladder), None
    plan = read_plan(config)
    history = routed(plan, plan.ladder.tiers, [policy], task.since)
    if not history.recording.queries:
        raise ConfigError("the store holds no routed requests: there is nothing to tune on")
    return stream_of(history, plan.ladder.tiers), history.seen


def _named(part: Stream) -> str:
    return f"split {part.split}" if part.split else f"{part.queries[0].id} to {part.queries[-1].id}"


def _show(task: Task, found: Tuned, names: tuple[str, str], base: Mapping[str, Any]) -> None:
    goal = task.goal
    wanted = (
        f"accuracy >= {points(goal.accuracy)} %"
        if goal.accuracy is not None
        else f"at most {goal.usd_per_thousand:g} USD per 1,000 queries"
    )
    console = Console(highlight=False)
    table = Table("part", "settings", "right %", "95 %", "USD per 1,000", "goal met", box=None)
    table.columns[0].no_wrap = True
    table.title, table.title_justify = f"{found.policy}: {wanted}; {found.tried} settings tried", "left"
    table.add_row(f"fitted on {names[0]}", "found", *_cells(goal, found.fitted.row))
    table.add_row(f"reported on {names[1]}", "found", *_cells(goal, found.reported))
    table.add_row(f"reported on {names[1]}", "default", *_cells(goal, found.default))
    console.print(table)
    if not goal.met(found.fitted.row):
        note("no settings met the goal where they were fitted: these come closest")
    elif not goal.met(found.reported):
        note("the goal was met where the settings were fitted and missed where they were not: expect the lower number")
    for why, count in found.reported.lacking.items():
        note(f"{count:,} of {found.reported.queries:,} cannot be evaluated where it is reported: {why}")
    console.print(f"\nFor gearbox.yaml:\n\n{config_lines(found, base)}", markup=False)


def _cells(goal: Goal, row: Row) -> tuple[str, ...]:
    ci = " - ".join(points(end, 1) for end in row.accuracy_ci) if row.accuracy_ci else "-"
    cost = usd(row.cost_nanousd * 1000 / max(row.followed, 1))
    return points(row.accuracy), ci, cost, "yes" if goal.met(row) else "no"
