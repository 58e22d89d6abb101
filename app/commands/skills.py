"""The commands `gearbox skills …`. Nothing heavy is imported before the command that needs it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

skills = typer.Typer(help="Which model is good at what: profile models, look at the profile.", no_args_is_help=True)
_Config = Annotated[Optional[Path], typer.Option("--config", "-c", help="gearbox.yaml.")]  # noqa: UP045 - typer reads it


@skills.command()
def profile(
    source: Annotated[
        str, typer.Argument(help="A recording's folder, or `store` for this installation's own answers.")
    ],
    split: Annotated[Optional[str], typer.Option(help="Only this split of the recording.")] = None,  # noqa: UP045
    critic: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            help="The tier that criticises, or `recorded`: the task is the skill, the grade says if it is there."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="The profile; an earlier one is kept beside it.")] = Path("skills.json"),
    into: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Add to this profile: how a new model enters."),
    ] = None,
    model: Annotated[Optional[list[str]], typer.Option(help="Only this model; may be repeated.")] = None,  # noqa: UP045
    questions: Annotated[int, typer.Option(min=1, help="How many questions a critic is shown.")] = 200,
    budget: Annotated[float, typer.Option(min=0, help="What a critic may cost, in USD.")] = 1.0,
    config: _Config = None,
) -> None:
    """Profile models: which skills their answers demonstrate, and which they lack."""
    from app.commands.skills_profile import Wanted, run  # noqa: PLC0415 - heavy

    wanted = Wanted(source, out, split, critic, into, tuple(model or ()), questions, budget, config)
    sys.exit(run(wanted))


@skills.command()
def show(
    path: Annotated[Optional[Path], typer.Argument(help="A profile; default: the configured one.")] = None,  # noqa: UP045
    json: Annotated[bool, typer.Option("--json", help="As JSON, without the vectors.")] = False,
    config: _Config = None,
) -> None:
    """Print the capability matrix with its credible intervals."""
    from rich.console import Console  # noqa: PLC0415 - heavy

    from app.commands.skills_show import show as run  # noqa: PLC0415 - heavy

    sys.exit(run(path, config, Console(highlight=False), json=json))
