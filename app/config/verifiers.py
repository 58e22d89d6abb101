"""`verifiers:` of the configuration -> the verifiers that run, and what is wrong with them as they are written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.checks.command import CommandCheck
from cascade.checks.endpoint import EndpointCheck
from cascade.checks.examiner import Verifier
from cascade.checks.json_schema import SchemaCheck
from cascade.checks.match import Match
from cascade.checks.pattern import PatternCheck
from cascade.verifiers import CHECKS
from router.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator, Sequence

    import httpx

    from app.config.settings import VerifierConfig
    from cascade.checks.said import Look

#: kind -> the key that it needs; `_FURTHER` are those it may have.
_NEEDS = {"json_schema": "schema", "regex": "pattern", "command": "command", "http": "url"}
_FURTHER = {"regex": ("expect",), "http": ("headers",)}
_FIELDS = {"schema": "schema_"}


def build(
    configured: Sequence[VerifierConfig], client: httpx.AsyncClient, turns: asyncio.Semaphore
) -> tuple[Verifier, ...]:
    """Make them.

    Args:
        configured: checked by `faults`.
        client: for those that ask an endpoint; closed by whoever made it.
        turns: bounds how many commands run at once.
    """
    return tuple(
        Verifier(
            each.name,
            _kind(each, client, turns),
            Match(each.match.tag, each.match.model, each.match.schema_),
            each.replaces_judge,
            each.timeout_s,
        )
        for each in configured
    )


def faults(configured: Sequence[VerifierConfig]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Everything wrong with them that needs two keys at a time: (path, what and how to mend it)."""
    names = [each.name for each in configured]
    for place, each in enumerate(configured):
        if each.name in names[:place]:
            yield ("verifiers", place, "name"), f'a verifier named "{each.name}" stands above already'
        if each.name in CHECKS:
            yield ("verifiers", place, "name"), f'"{each.name}" is the name of a check of our own: choose another'
        wrong = list(_misplaced(each))
        for key, message in wrong:
            yield ("verifiers", place, key), message
        if not wrong:
            yield from ((("verifiers", place, key), message) for key, message in _broken(each))


def _misplaced(each: VerifierConfig) -> Iterator[tuple[str, str]]:
    """Keys that its kind needs, and keys that only other kinds have."""
    needed = _NEEDS[each.kind]
    if getattr(each, _FIELDS.get(needed, needed)) is None:
        yield "kind", f"a verifier of kind {each.kind} needs `{needed}`, add it"
    others = {key for kind in _NEEDS if kind != each.kind for key in (_NEEDS[kind], *_FURTHER.get(kind, ()))}
    for key in sorted(others):
        if _FIELDS.get(key, key) in each.model_fields_set:
            yield key, f"belongs to another kind of verifier than {each.kind}: remove it"


def _broken(each: VerifierConfig) -> Iterator[tuple[str, str]]:
    """A schema or pattern that is none."""
    try:
        if each.kind == "json_schema":
            SchemaCheck(each.schema_ or {})
        if each.kind == "regex":
            PatternCheck(each.pattern or "", each.expect, each.timeout_s)
    except ConfigError as error:
        yield error.param or "kind", error.message


def _kind(each: VerifierConfig, client: httpx.AsyncClient, turns: asyncio.Semaphore) -> Look:
    match each.kind:
        case "json_schema":
            return SchemaCheck(each.schema_ or {})
        case "regex":
            return PatternCheck(each.pattern or "", each.expect, each.timeout_s)
        case "command":
            return CommandCheck(each.command or (), turns)
        case "http":
            headers = {name: value.get_secret_value() for name, value in each.headers.items()}
            return EndpointCheck(each.url or "", headers, client)
