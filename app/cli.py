"""The command line. Nothing heavy is imported before the command that needs it, so that `--help` is instant."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from app.commands import keys as keys_cli
from app.commands import lab as cli_lab
from app.commands import money as cli_money
from app.commands.skills import skills
from router import __version__
from router.errors import ConfigError

app = typer.Typer(
    name="gearbox",
    help="An automatic transmission for LLM tiers: point OPENAI_BASE_URL at it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
imports = typer.Typer(
    help="Take over another proxy's configuration, or what is known of past questions.", no_args_is_help=True
)
app.add_typer(imports, name="import")
app.add_typer(keys_cli.app)
app.add_typer(skills, name="skills")
_Config = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option(
        "--config", "-c", help="gearbox.yaml or a LiteLLM config.yaml; default: $GEARBOX_CONFIG, ./gearbox.yaml."
    ),
]


def main() -> None:
    """Run the command line; a configuration error is one message and exit code 2, never a traceback."""
    try:
        app()
    except ConfigError as error:
        typer.secho(f"gearbox: {error.message}", err=True, fg="red")
        sys.exit(2)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gearbox {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which version.")
    ] = False,
) -> None:
    del version


@app.command()
def serve(
    config: _Config = None,
    host: Annotated[Optional[str], typer.Option(help="Address to listen on; default 127.0.0.1.")] = None,  # noqa: UP045
    port: Annotated[Optional[int], typer.Option(help="Port to listen on; default 8000.")] = None,  # noqa: UP045
    workers: Annotated[
        Optional[int],  # noqa: UP045
        typer.Option(min=0, max=512, help="Serve with so many processes on one address; default 0, this process."),
    ] = None,
    open_to_anyone: Annotated[
        bool,
        typer.Option(
            "--open-to-anyone",
            help="Serve without keys on an address that is not loopback: anyone who reaches it can spend.",
        ),
    ] = False,
) -> None:
    """Serve the proxy."""
    from app.serving.serve import serve as run  # noqa: PLC0415 - heavy

    run(config, host, port, workers=workers, open_to_anyone=open_to_anyone)


@app.command()
def demo() -> None:
    """Show what it does: a dozen questions through a real server with simulated tiers; needs no key, spends nothing."""
    from app.commands.demo import demo as run  # noqa: PLC0415 - heavy

    sys.exit(run())


@app.command()
def doctor(config: _Config = None) -> None:
    """Check configuration, keys, prices, priors, store, index, embedding and upstreams; each with its fix."""
    from app.commands.doctor import examine  # noqa: PLC0415 - heavy

    sys.exit(examine(config))


@app.command()
def explain(
    request_id: Annotated[
        str, typer.Argument(help="A request's id, as x-request-id gave it (chatcmpl-... works too).")
    ],
    config: _Config = None,
) -> None:
    """Say why a request went where it went, and what it cost."""
    from app.commands.explain import explain as run  # noqa: PLC0415 - heavy

    sys.exit(run(request_id, config))


@app.command()
def upstream(
    recording: Annotated[Path, typer.Argument(help="A recording's folder.")],
    port: Annotated[int, typer.Option(help="Port to listen on, on 127.0.0.1.")] = 9000,
    pace: Annotated[float, typer.Option(help="Multiplies the recorded latencies; 0 = answer at once.")] = 0.0,
) -> None:
    """Serve a recording's answers as an OpenAI-compatible upstream."""
    from app.serving.upstream_server import serve_recording  # noqa: PLC0415 - heavy

    serve_recording(recording, port, pace)


@imports.command("litellm")
def import_litellm(
    file: Annotated[Path, typer.Argument(help="A LiteLLM config.yaml.")],
) -> None:
    """Print the gearbox.yaml that does what a LiteLLM config.yaml does; secrets become references."""
    from app.config.importing import litellm_file  # noqa: PLC0415 - heavy

    typer.echo(litellm_file(file), nl=False)


cli_lab.add_commands(app, imports)
cli_money.add_commands(app)
