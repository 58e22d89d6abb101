"""docs/fidelity.md of the table. Pure."""

from __future__ import annotations

from fidelity_table import KINDS, TABLE, Cell

HEAD = """\
# What becomes of each chat parameter

Written by `scripts/fidelity` from `tests/support/fidelity_table.py`; the same table is checked on the wire by
`tests/fidelity`, cell by cell: whole and streamed, answered by the first tier and after an escalation.

- **yes**: it arrives as the client sent it.
- **translated**: it arrives under the vendor's own name, given beside it.
- **no**: the vendor cannot be told. It is left out, and the decision says so (`dropped` of the call in
  `GET /v1/decisions/{id}`).
- **refused**: a 400 that names it, before anything is spent; another tier that can do it is used where there is one.

`model` is always the tier's own. `stream` is passed on; `stream_options.include_usage` is always asked for upstream,
because usage is how a call is billed, and hidden from clients who did not ask. Unknown fields of requests and answers
are carried along wherever the vendor's dialect has room for them.
"""
PLACES = ("whole, first tier", "whole, after an escalation", "streamed, first tier", "streamed, after an escalation")


def page() -> str:
    """The whole file: one overview, then every cell by kind."""
    parts = [HEAD, "## Overview\n", _table(("parameter", *KINDS), [_overview(row) for row in TABLE])]
    for kind in KINDS:
        rows = [(f"`{row.name}`", *(_word(row.cells[kind]) for _ in PLACES), _how(row.cells[kind])) for row in TABLE]
        parts += [f"## {kind}\n", _table(("parameter", *PLACES, "how"), rows)]
    return "\n".join(parts)


def _overview(row) -> tuple[str, ...]:
    return (f"`{row.name}`", *(_word(row.cells[kind]) for kind in KINDS))


def _word(cell: Cell) -> str:
    return cell.word


def _how(cell: Cell) -> str:
    return f"`{cell.note}`" if cell.word == "translated" else cell.note


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
