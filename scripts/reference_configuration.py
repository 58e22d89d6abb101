"""docs/reference/configuration.md: every key of gearbox.yaml, every policy's settings, every variable."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import BaseModel
from reference_words import MEANINGS, complete, head, table, type_words, value_words

from app.config.environment import Environment
from app.config.settings import Config, PolicyConfig
from cascade.policies import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic.fields import FieldInfo

_COLUMNS = ("key", "type", "default", "what")
_SIGNS = {Ge: "≥", Gt: ">", Le: "≤", Lt: "<"}


def page() -> str:
    """The whole page."""
    start = head(
        "gearbox.yaml",
        "Every key, with what it may be. An unknown key is an error with its line; so is a value out of its range."
        " A value may be `os.environ/NAME`, which is that variable's value at start.",
        "Without any file: tiers from the API keys in the environment; without any key, the simulated tiers.",
    )
    return "\n".join([start, *_sections((), Config, MEANINGS["configuration"]), *_policies(), _environment()])


def _sections(path: tuple[str, ...], model: type[BaseModel], told: Mapping[str, Any]) -> Iterator[str]:
    """This section's plain keys as a table, then each section in it."""
    known = {field.alias or name: field for name, field in model.model_fields.items()}
    complete(".".join(path) or "configuration", known, told)
    plain = {name: field for name, field in known.items() if _section(field) is None}
    inner = {name: field for name, field in known.items() if name not in plain}
    yield f"## {_title(path)}\n"
    rows = [_row(name, field, told[name]) for name, field in plain.items()]
    rows += [_pointer((*path, name), field, told[name]) for name, field in inner.items()]
    yield table(_COLUMNS, rows)
    for name, field in inner.items():
        section = _section(field)
        if section is not None and section is not PolicyConfig and isinstance(told[name], dict):
            mark = "[]" if _many(field) else ""
            yield from _sections((*path, name + mark), section, told[name])


def _title(path: tuple[str, ...]) -> str:
    return "The top" if not path else f"`{'.'.join(path)}`"


def _pointer(path: tuple[str, ...], field: FieldInfo, told: Any) -> tuple[str, ...]:
    """A section's row where it is a key: its prose, or where its own keys stand."""
    kind = "list of sections" if _many(field) else "section"
    needed = "needed" if field.is_required() else ""
    return f"`{path[-1]}`", kind, needed, told if isinstance(told, str) else "its keys stand below"


def _row(name: str, field: FieldInfo, told: str) -> tuple[str, ...]:
    default = "needed" if field.is_required() else value_words(field.get_default(call_default_factory=True))
    return f"`{name}`", type_words(field.annotation) + _range(field), default, told


def _range(field: FieldInfo) -> str:
    """`, ≥ 0 ≤ 1`, from the field's own bounds and from those of its type."""
    bounds = [*field.metadata, *_nested(field.annotation)]
    words = [
        f"{sign} {getattr(bound, kind.__name__.lower()):,}"
        for bound in _flat(bounds)
        for kind, sign in _SIGNS.items()
        if isinstance(bound, kind)
    ]
    least = [bound.min_length for bound in bounds if isinstance(bound, MinLen) and bound.min_length > 1]
    told = [" ".join(words)] * bool(words) + [f"{length} characters or more" for length in least]
    return "".join(f", {word}" for word in told)


def _nested(annotation: Any) -> list[Any]:
    """What `Annotated` says of the type, through unions and all."""
    found = list(getattr(annotation, "__metadata__", ()))
    for inner in get_args(annotation):
        found += _nested(inner)
    return found


def _flat(bounds: list[Any]) -> Iterator[Any]:
    for bound in bounds:
        yield from getattr(bound, "metadata", [bound])


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The section that a field holds, alone or several of them; None for plain values."""
    for each in (field.annotation, *get_args(field.annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def _many(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is tuple


def _policies() -> Iterator[str]:
    names = registry.names()
    complete("policies", names, MEANINGS["policies"])
    for name in names:
        told = MEANINGS["policies"][name]
        kind = registry.settings_of(name)
        hints, known = get_type_hints(kind), {registry.written(field.name): field for field in fields(kind)}
        complete(f"policies.{name}", known, told)
        yield f"## `policy.{name}`\n"
        yield table(
            _COLUMNS,
            [
                (f"`{key}`", type_words(hints[field.name]), _default(field.default), told[key])
                for key, field in known.items()
            ],
        )


def _default(value: Any) -> str:
    return "needed" if value is MISSING else value_words(value)


def _environment() -> str:
    known = {_variable(name, field): field for name, field in Environment.model_fields.items()}
    complete("environment", known, MEANINGS["environment"])
    rows = [_row(name, field, MEANINGS["environment"][name]) for name, field in known.items()]
    return "## Environment\n\n" + table(("variable", *_COLUMNS[1:]), rows)


def _variable(name: str, field: FieldInfo) -> str:
    if isinstance(field.validation_alias, str):
        return field.validation_alias
    return f"{Environment.model_config['env_prefix']}{name}".upper()
