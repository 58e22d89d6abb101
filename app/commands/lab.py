"""The lab's commands. Nothing heavy is imported before the command that needs it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

_Recordings = Annotated[list[Path], typer.Argument(help="Folders of recordings.", show_default=False)]
_Ladders = Annotated[
    Optional[list[str]],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--ladder", help="A ladder of the recording, may be repeated; default: its first."),
]
_Policies = Annotated[
    Optional[list[str]],  # noqa: UP045 - likewise
    typer.Option(
        "--policy",
        help="A policy, may be repeated: llm-at, always:<tier>, random:<share>, bottom-up, agreement, oracle, ...",
    ),
]
_Set = Annotated[
    Optional[list[str]],  # noqa: UP045 - likewise
    typer.Option("--set", help="A policy's setting, such as llm-at.threshold=0.8; may be repeated."),
]


_Config = Annotated[
    Optional[Path],  # noqa: UP045 - likewise
    typer.Option(
        "--config", "-c", help="gearbox.yaml or a LiteLLM config.yaml; default: $GEARBOX_CONFIG, ./gearbox.yaml."
    ),
]
_Since = Annotated[
    Optional[str],  # noqa: UP045 - likewise
    typer.Option(help="From when on: 7d, 24h, yesterday, or a date; default: everything."),
]
_Team = Annotated[Optional[str], typer.Option(help="This team's traffic alone.")]  # noqa: UP045 - likewise
_Json = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]


def add_commands(app: typer.Typer, imports: typer.Typer) -> None:
    """Give these commands to the command line, and to its `import`."""
    for command in (replay, tune, calibrate, whatif, export):
        app.command()(command)
    imports.command("history")(import_history)


def replay(
    recordings: _Recordings,
    ladder: _Ladders = None,
    pool: Annotated[bool, typer.Option("--pool", help="All models, without an order of their own.")] = False,
    policy: _Policies = None,
    settings: _Set = None,
    split: Annotated[Optional[str], typer.Option(help="The queries of this split only.")] = None,  # noqa: UP045
    shuffle: Annotated[Optional[int], typer.Option(help="Another order: a seed.")] = None,  # noqa: UP045
    limit: Annotated[Optional[int], typer.Option(help="Only so many queries, after shuffling.")] = None,  # noqa: UP045
    json: _Json = False,
    out: Annotated[Optional[Path], typer.Option(help="Write an HTML report to this file.")] = None,  # noqa: UP045
) -> None:
    """Run policies over recorded answers: accuracy, cost, and who answered."""
    from app.lab import replay as lab  # noqa: PLC0415 - heavy
    from cascade.lab.lineup import parse_settings  # noqa: PLC0415 - heavy

    wish = lab.Wish(
        recordings=recordings,
        ladders=lab.ladders_of(ladder or (), pool=pool),
        policies=policy or (),
        settings=parse_settings(settings or ()),
        split=split,
        shuffle=shuffle,
        limit=limit,
    )
    lab.run(wish, as_json_only=json, report=out)


def tune(
    source: Annotated[str, typer.Argument(help="A recording's folder, or `store` for your own stored traffic.")],
    policy: Annotated[str, typer.Option("--policy", help="Whose settings: llm-at, two-tier, skills.")],
    target_accuracy: Annotated[
        Optional[float],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(help="Reach this share of right answers, 0 to 1, as cheaply as possible."),
    ] = None,
    budget: Annotated[
        Optional[float],  # noqa: UP045 - likewise
        typer.Option(help="Spend at most this much, USD per 1,000 queries, and be right as often as possible."),
    ] = None,
    ladder: Annotated[Optional[str], typer.Option(help="A ladder of the recording; `pool` = all models.")] = None,  # noqa: UP045
    settings: _Set = None,
    fit: Annotated[
        str | None, typer.Option(help="The split to look on; default: train or dev, else the first half.")
    ] = None,
    report: Annotated[
        str | None, typer.Option(help="The split to report on; default: test, else the second half.")
    ] = None,
    tries: Annotated[int, typer.Option(min=4, max=2000, help="How many settings to try.")] = 40,
    seed: Annotated[int, typer.Option(help="Which settings are drawn.")] = 0,
    since: _Since = None,
    json: _Json = False,
    config: _Config = None,
) -> None:
    """Find a policy's settings on one part, report them on another, and print the lines to paste."""
    from app.lab import tune as lab  # noqa: PLC0415 - heavy
    from cascade.lab.lineup import parse_settings  # noqa: PLC0415 - heavy

    task = lab.Task(
        source=source,
        policy=policy,
        goal=lab.goal_of(target_accuracy, budget),
        settings=parse_settings(settings or ()),
        ladder=ladder,
        fit=fit,
        report=report,
        tries=tries,
        seed=seed,
        since=since,
    )
    lab.run(task, as_json=json, config=config)


def whatif(
    since: _Since = None,
    policy: _Policies = None,
    settings: _Set = None,
    tiers: Annotated[
        Optional[list[str]],  # noqa: UP045 - likewise
        typer.Option(help="Only these tiers, such as small,large; may be repeated."),
    ] = None,
    price: Annotated[
        Optional[list[str]],  # noqa: UP045 - likewise
        typer.Option(help="Another price: tier=in,out in USD per million tokens; may be repeated."),
    ] = None,
    team: _Team = None,
    json: _Json = False,
    config: _Config = None,
) -> None:
    """Stored traffic under other settings, prices or tiers, and how much of it cannot be told."""
    from app.lab import whatif as lab  # noqa: PLC0415 - heavy
    from cascade.lab.lineup import parse_settings  # noqa: PLC0415 - heavy

    change = lab.Change(policy or (), parse_settings(settings or ()), tiers or (), price or ())
    lab.run(change, since=since, team=team, as_json=json, config=config)


def export(
    recording: Annotated[Path, typer.Option("--recording", help="A new folder for the recording.", show_default=False)],
    since: _Since = None,
    team: _Team = None,
    config: _Config = None,
) -> None:
    """Write stored traffic as a (partial) recording."""
    from app.lab.export import run  # noqa: PLC0415 - heavy

    run(recording, since=since, team=team, config=config)


def calibrate(
    recording: Annotated[Path, typer.Argument(help="A recording's folder.", show_default=False)],
    split: Annotated[Optional[str], typer.Option(help="Fit on this split only.")] = None,  # noqa: UP045
    measure: Annotated[str, typer.Option(help="The margin that its confidence stands for.")] = "first:probability",
    out: Annotated[Path, typer.Option(help="The file of curves.")] = Path("curves.json"),
) -> None:
    """Fit P(wrong) by margin on graded answers, for two-tier with calibration: isotonic."""
    from app.lab.calibrate import run  # noqa: PLC0415 - heavy

    run(recording, split=split, measure=measure, out=out)


def import_history(
    source: Annotated[
        Path,
        typer.Argument(
            help="JSON lines, a LiteLLM spend log (JSON, JSON lines, CSV), or a recording's folder.", show_default=False
        ),
    ],
    team: Annotated[str, typer.Option(help="Whose history it becomes, where the source does not say.")] = "default",
    split: Annotated[Optional[str], typer.Option(help="Of a recording: this split only.")] = None,  # noqa: UP045
    assume_correct: Annotated[
        bool, typer.Option("--assume-correct", help="Of a spend log: take every answer that was served as right.")
    ] = False,
    config: _Config = None,
) -> None:
    """Warm the history, so that the first requests are no cold start; nothing is spent."""
    from app.lab.imports.run import run  # noqa: PLC0415 - heavy

    run(source, team=team, split=split, assume_correct=assume_correct, config=config)
