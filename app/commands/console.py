"""Where commands print their tables: a console that never cuts an amount of money short.

On a terminal that is narrower than a table, rich would shorten the cells; here the terminal breaks the line instead.
"""

from __future__ import annotations

from rich.console import Console

#: What the widest table of money needs.
LEAST_WIDTH = 110


def wide_console() -> Console:
    """A console at least as wide as the tables."""
    console = Console(highlight=False)
    console.width = max(console.width, LEAST_WIDTH)
    return console
