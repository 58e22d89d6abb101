"""`gearbox savings` and `gearbox costs`: the commands about money. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Optional

import typer

costs = typer.Typer(
    name="costs", help="Write what was spent into a file: CSV, JSON lines or FOCUS.", no_args_is_help=True
)

_Config = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--config", "-c", help="As for serve."),
]
_Since = Annotated[str, typer.Option(help="7d, 24h, today, yesterday (that day alone), 2026-11-01.")]
_Until = Annotated[Optional[str], typer.Option(help="The same words; a day is included. Default: now.")]  # noqa: UP045
_Team = Annotated[Optional[str], typer.Option(help="One team only.")]  # noqa: UP045
_Key = Annotated[Optional[str], typer.Option(help="One key only, by its id.")]  # noqa: UP045
_Out = Annotated[Optional[Path], typer.Option("--out", "-o", help="The file; default: standard output.")]  # noqa: UP045


class Grouping(StrEnum):
    """What a line of `gearbox savings` stands for."""

    DAY = "day"
    KEY = "key"
    TEAM = "team"
    TAG = "tag"
    TIER = "tier"
    POLICY = "policy"


def add_commands(app: typer.Typer) -> None:
    """Add them to the command line."""
    app.command()(savings)
    app.add_typer(costs)


def savings(
    by: Annotated[Grouping, typer.Option(help="What a line stands for.")] = Grouping.DAY,
    since: _Since = "7d",
    until: _Until = None,
    team: _Team = None,
    key: _Key = None,
    judge: Annotated[bool, typer.Option("--judge", help="Is the judge worth its money?")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    config: _Config = None,
) -> None:
    """What was spent, on what, and what always asking the top or the second-best tier would have cost."""
    from app.money.savings import savings as run  # noqa: PLC0415 - heavy
    from app.money.savings import wanted_span  # noqa: PLC0415 - heavy
    from storage.reports.buckets import By  # noqa: PLC0415 - heavy

    span = wanted_span(since, until, team, key)
    sys.exit(run(config, By(by.value), span, judge=judge, as_json=as_json))


@costs.command("csv")
def costs_csv(
    since: _Since = "30d", until: _Until = None, team: _Team = None, out: _Out = None, config: _Config = None
) -> None:
    """One line per request, without any text of it."""
    _export("csv", since, until, team, out, config)


@costs.command("jsonl")
def costs_jsonl(
    since: _Since = "30d", until: _Until = None, team: _Team = None, out: _Out = None, config: _Config = None
) -> None:
    """One JSON object per request with its calls, without any text of it."""
    _export("jsonl", since, until, team, out, config)


@costs.command("focus")
def costs_focus(
    since: _Since = "30d", until: _Until = None, team: _Team = None, out: _Out = None, config: _Config = None
) -> None:
    """A FOCUS 1.0 cost file: one line per paid call, late costs included."""
    _export("focus", since, until, team, out, config)


def _export(form: str, since: str, until: str | None, team: str | None, out: Path | None, config: Path | None) -> None:
    from app.money.costs import export  # noqa: PLC0415 - heavy
    from app.money.savings import wanted_span  # noqa: PLC0415 - heavy

    sys.exit(export(form, wanted_span(since, until, team, None), out, config))
