"""docs/reference/errors.md: every error code that a client can get, with its status and its cure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from reference_words import MEANINGS, complete, head, table

from app.edge.errors import status_of
from router import errors
from router.errors import GearboxError, UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).parents[1]
_ANSWER = '{"error": {"message": "…", "type": "…", "param": null, "code": "…"}}'
#: Never told to a client: they stop a start, or are turned into something else before the edge.
_INSIDE = (errors.ConfigError, errors.Refused, errors.Forfeited)


def page() -> str:
    """The whole page."""
    told = MEANINGS["errors"]
    classes = dict(_classes(GearboxError))
    raised = {code: each for code, each in told.items() if "raised" in each}
    complete("errors", {None, *classes, *_literal()}, told)
    for code, each in raised.items():
        if f'"{code}"' not in (ROOT / each["raised"]).read_text():
            raise SystemExit(f"scripts/meanings.yaml, errors: {each['raised']} does not raise {code}")
    rows = [(_code(code), _statuses(classes.get(code, {}), each), each["cure"]) for code, each in told.items()]
    start = head(
        "Errors",
        f"Always OpenAI's shape, all four keys: `{_ANSWER}`. `type` is OpenAI's word for the kind, `code` is below.",
        'An error after the first streamed byte is `data: {"error": …, "gearbox": …}`, with what was spent on it; then'
        " the stream ends without `[DONE]`. An upstream's own 400, 413 or 422 about the request passes through with its"
        " body; 500 is a fault of ours, with a traceback in the log under the request's id.",
    )
    return "\n".join([start, table(("code", "status", "cure"), rows)])


def _classes(kind: type[GearboxError]) -> Iterator[tuple[str, Mapping[int, str]]]:
    """(code, its statuses) of the tree's leaves that reach clients; a code may stand at several."""
    found: dict[str, dict[int, str]] = {}
    for each in _tree(kind):
        if each.code is not None and not issubclass(each, _INSIDE):
            found.setdefault(each.code, {})[_status(each)] = each.__name__
    yield from found.items()


def _literal() -> Iterator[str]:
    """Codes that stand as words in the code, beside the classes' own."""
    for room in ("app", "cascade"):
        for file in (ROOT / room).rglob("*.py"):
            yield from re.findall(r'\bcode="([a-z_]+)"', text := file.read_text())
            yield from re.findall(r'\b40\d: "([a-z_]+)"', text)


def _tree(kind: type[GearboxError]) -> Iterator[type[GearboxError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from _tree(each)


def _status(kind: type[GearboxError]) -> int:
    if issubclass(kind, UpstreamRejected):
        return status_of(kind("", status=400, body={}))
    return status_of(kind(""))


def _statuses(found: Mapping[int, str], told: Mapping[str, object]) -> str:
    return ", ".join(str(status) for status in found) or str(told.get("status", 400))


def _code(code: str | None) -> str:
    return "null" if code is None else f"`{code}`"
