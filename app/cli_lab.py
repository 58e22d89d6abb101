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


def add_commands(app: typer.Typer) -> None:
    """Give these commands to the command line."""
    app.command()(replay)


def replay(
    recordings: _Recordings,
    ladder: _Ladders = None,
    pool: Annotated[bool, typer.Option("--pool", help="All models, without an order of their own.")] = False,
    policy: _Policies = None,
    settings: _Set = None,
    split: Annotated[Optional[str], typer.Option(help="The queries of this split only.")] = None,  # noqa: UP045
    shuffle: Annotated[Optional[int], typer.Option(help="Another order: a seed.")] = None,  # noqa: UP045
    limit: Annotated[Optional[int], typer.Option(help="Only so many queries, after shuffling.")] = None,  # noqa: UP045
    json: Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")] = False,
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
