"""docs/reference/cli.md: every command with its arguments and options, from typer's own records of them."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import typer
from reference_words import head, table, type_words, value_words

from app.cli import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def page() -> str:
    """The whole page."""
    start = head(
        "Command line",
        "`gearbox COMMAND --help` says the same. A wrong configuration or option ends with code 2 and one message.",
    )
    return "\n".join([start, *_commands(("gearbox",), typer.main.get_command(app))])


def _commands(path: tuple[str, ...], command: Any) -> Iterator[str]:
    """A command's part; a group's are those of its commands."""
    inner = getattr(command, "commands", None)
    if inner is not None:
        for name, each in inner.items():
            yield from _commands((*path, name), each)
        return
    yield f"## `{' '.join(path)}`\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    rows = [_row(each) for each in command.params if not each.hidden and each.name != "help"]
    if rows:
        yield table(("argument or option", "type", "default", "what"), rows)


def _row(parameter: Any) -> tuple[str, ...]:
    option = parameter.param_type_name == "option"
    names = [*parameter.opts, *parameter.secondary_opts] if option else [parameter.name.upper()]
    many = " (again and again)" if parameter.multiple or parameter.nargs == -1 else ""
    default = "needed" if parameter.required else value_words(parameter.default)
    kind = "flag" if option and parameter.is_flag else type_words(parameter.type_descriptor.annotation) + many
    return ", ".join(f"`{name}`" for name in names), kind, default, parameter.help or ""
