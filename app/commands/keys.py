"""`gearbox keys ...`: virtual keys, on the configured store itself. Nothing heavy is imported before it is needed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any, Optional

import typer

from router.errors import ConfigError, GearboxError

app = typer.Typer(name="keys", help="Virtual keys: who may call, and how much they may spend.", no_args_is_help=True)

_Config = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option("--config", "-c", help="gearbox.yaml; default: $GEARBOX_CONFIG, ./gearbox.yaml."),
]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Id = Annotated[str, typer.Argument(help="The key's id (key-...), not the key.")]
_BUDGET_HELP = "USD/PERIOD or USD/PERIOD:SOFT, such as 50/month:40; periods: day, week, month, total. Repeatable."
_DAY_S = 86_400


@app.command()
def create(
    team: Annotated[str, typer.Option(help="Its team.")] = "default",
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    budget: Annotated[Optional[list[str]], typer.Option(help=_BUDGET_HELP)] = None,  # noqa: UP045
    rpm: Annotated[Optional[int], typer.Option(help="Requests per minute.")] = None,  # noqa: UP045
    tpm: Annotated[Optional[int], typer.Option(help="Tokens per minute.")] = None,  # noqa: UP045
    concurrent: Annotated[Optional[int], typer.Option(help="Requests at the same time.")] = None,  # noqa: UP045
    policy: Annotated[Optional[list[str]], typer.Option(help="A policy it may use. Repeatable.")] = None,  # noqa: UP045
    tier: Annotated[Optional[list[str]], typer.Option(help="A tier it may use. Repeatable.")] = None,  # noqa: UP045
    header: Annotated[
        Optional[list[str]],  # noqa: UP045
        typer.Option(help="A default for a request header: x-gearbox-tags=app=search. Repeatable."),
    ] = None,
    expires_days: Annotated[Optional[float], typer.Option(help="Days until it ends.")] = None,  # noqa: UP045
    admin: Annotated[bool, typer.Option(help="May see every team's decisions.")] = False,
    config: _Config = None,
    as_json: _Json = False,
) -> None:
    """Make a key. It is shown once and kept nowhere."""
    limits = {"requests_per_minute": rpm, "tokens_per_minute": tpm, "concurrent_requests": concurrent}
    given: dict[str, Any] = {
        "team": team,
        "name": name,
        "admin": admin,
        "limits": {kind: limit for kind, limit in limits.items() if limit is not None},
        "budgets": [_budget(each) for each in budget or ()],
        "policies": policy or None,
        "tiers": tier or None,
        "headers": dict(_pair(each) for each in header or ()),
        "expires_in_s": None if expires_days is None else expires_days * _DAY_S,
    }
    made = _run("create", config, given)
    if as_json:
        _print(made)
        return
    typer.echo(f"{made['id']} of team {made['team']}; this is the only time that the key is shown:", err=True)
    typer.echo(made["key"])


@app.command("list")
def list_(
    team: Annotated[Optional[str], typer.Option(help="Only this team's.")] = None,  # noqa: UP045
    config: _Config = None,
    as_json: _Json = False,
) -> None:
    """List all keys."""
    found = _run("all", config, team)
    if as_json:
        _print(found)
        return
    for key in found:
        typer.echo("  ".join((key["id"], f"{key['status']:8}", key["shown"], key["team"], key["name"])))


@app.command()
def show(key_id: _Id, config: _Config = None) -> None:
    """Show a key, its limits and how its budgets stand."""
    _print(_run("show", config, key_id))


@app.command()
def rotate(
    key_id: _Id,
    grace_s: Annotated[float, typer.Option(help="Seconds for which the former key is still taken.")] = 0.0,
    config: _Config = None,
) -> None:
    """Give a key a new secret."""
    made = _run("rotate", config, key_id, {"grace_s": grace_s})
    typer.echo(f"{key_id}: this is the only time that the new key is shown:", err=True)
    typer.echo(made["key"])


@app.command()
def revoke(key_id: _Id, config: _Config = None) -> None:
    """End a key for good; running servers refuse it within seconds."""
    _run("revoke", config, key_id)
    typer.echo(f"{key_id} is revoked")


def _run(what: str, config: Path | None, *arguments: Any) -> Any:
    try:
        return asyncio.run(_asked(what, config, arguments))
    except ConfigError:
        raise
    except GearboxError as error:
        typer.secho(f"gearbox: {error.message}", err=True, fg="red")
        raise typer.Exit(1) from error


async def _asked(what: str, config: Path | None, arguments: tuple[Any, ...]) -> Any:
    from app.config import plan as plans  # noqa: PLC0415 - heavy
    from app.config.environment import Environment  # noqa: PLC0415 - heavy
    from app.edge.key_desk import KeyDesk  # noqa: PLC0415 - heavy
    from storage.engine import create_engine  # noqa: PLC0415 - heavy
    from storage.migrate import migrate  # noqa: PLC0415 - heavy
    from storage.money.bank_sql import SqlBank  # noqa: PLC0415 - heavy
    from storage.money.keys import SqlDirectory  # noqa: PLC0415 - heavy

    environment, variables = Environment.read()
    engine = create_engine(plans.read(config, environment, variables).config.store.url.get_secret_value())
    try:
        await migrate(engine)
        return await getattr(KeyDesk(SqlDirectory(engine), SqlBank(engine), _nobody), what)(*arguments)
    finally:
        await engine.dispose()


async def _nobody() -> None:
    """No server runs in this process that would have to know."""


def _budget(text: str) -> dict[str, Any]:
    usd, _, rest = text.partition("/")
    period, colon, soft = rest.partition(":")
    try:
        return {"usd": float(usd), "per": period, **({"soft_usd": float(soft)} if colon else {})}
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not {_BUDGET_HELP}") from None


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name.strip().lower(), value.strip()


def _print(found: Any) -> None:
    typer.echo(json.dumps(found, indent=2))
