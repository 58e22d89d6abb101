"""Whether what a page shows of an output is what came: pure.

Ids differ each time and are matched with each other; `…` stands for anything, on a line of its own for any lines. Of
JSON and of headers a page may show a part; what a clock or a history of its own decides is only looked for.
"""

from __future__ import annotations

import json
import re
from typing import Any

ID = re.compile(r"\b[0-9a-f]{32}\b")
_DAY = re.compile(r"\b20\d\d-\d\d-\d\d\b")
#: There, and not the same twice: times, and estimates that depend on what was asked before.
_VARYING = frozenset(
    {"id", "x-request-id", "created", "overhead_ms", "x-gearbox-overhead-ms", "p_valid", "x-gearbox-p-valid"}
)


def same(shown: str, came: str) -> bool:
    """Whether a page may show this of that output."""
    shown, came = _plain(shown), _plain(came)
    if came.startswith("HTTP/"):
        return _reply(shown, came)
    try:
        return _part(json.loads(shown), json.loads(came))
    except json.JSONDecodeError:
        return re.fullmatch(_pattern(shown), f"{came}\n") is not None


def ids(shown: str, came: str) -> dict[str, str]:
    """The page's ids -> those that came in their place, in the order in which they first appear."""
    return dict(zip(dict.fromkeys(ID.findall(shown)), dict.fromkeys(ID.findall(came)), strict=False))


def _plain(text: str) -> str:
    """Without what depends on a terminal's width or on the day: spaces as one, no empty line, one date."""
    lines = (re.sub(r"\s+", " ", line).strip() for line in text.strip().split("\n"))
    return _DAY.sub("2026-01-01", "\n".join(line for line in lines if line))


def _pattern(shown: str) -> str:
    """What a text has to be, each of its lines ended."""
    lines = (
        r"(?:[^\n]*\n)*" if line == "…" else re.escape(line).replace("…", r"[^\n]*") + "\n"
        for line in shown.split("\n")
    )
    return ID.sub("[0-9a-f]{32}", "".join(lines))


def _reply(shown: str, came: str) -> bool:
    """A status line and headers, of which some are shown, then JSON."""
    (shown_head, shown_body), (head, body) = shown.split("\n{", 1), came.split("\n{", 1)
    there = dict(line.split(": ", 1) for line in head.split("\n")[1:])
    wanted = dict(line.split(": ", 1) for line in shown_head.split("\n")[1:])
    same_status = shown_head.split("\n")[0] == head.split("\n")[0]
    return same_status and _part(wanted, there) and _part(json.loads("{" + shown_body), json.loads("{" + body))


def _part(shown: Any, came: Any) -> bool:
    if isinstance(shown, dict):
        return isinstance(came, dict) and all(
            name in came and (name in _VARYING or _part(value, came[name])) for name, value in shown.items()
        )
    if isinstance(shown, list):
        same_length = isinstance(came, list) and len(shown) == len(came)
        return same_length and all(_part(one, other) for one, other in zip(shown, came, strict=True))
    if isinstance(shown, str) and isinstance(came, str):
        return re.fullmatch(re.escape(shown).replace("…", ".*"), came, re.DOTALL) is not None
    return bool(shown == came)
