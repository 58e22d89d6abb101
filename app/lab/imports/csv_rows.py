"""A CSV file with a header -> objects with their lines, as `lines.py` makes them of JSON.

The law of this file: it knows CSV and places, nothing of what the columns mean. An empty cell is null, as PostgreSQL's
`COPY ... CSV` writes it; every other cell is text.
"""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from cascade.recordings.fields import Fields, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: A cell may hold a whole conversation; Python's csv stops at 128 KiB unless it is told otherwise.
_LONGEST_CELL = 1 << 30


def header_of(text: str) -> list[str]:
    """The column names in the first line; one name where there are no commas."""
    return next(csv.reader(io.StringIO(text[: text.find("\n") + 1] or text)), [])


def read_rows(path: Path, text: str) -> list[Fields]:
    """Every row; its line is the one it begins on, since a quoted cell may hold line ends.

    Raises:
        ConfigError: a column twice, a row of another width, or quotes that do not close, with the line.
    """
    columns = header_of(text)
    twice = next((name for place, name in enumerate(columns) if name in columns[:place]), None)
    if twice is not None:
        raise Place(path, 1).fault(f"the column {twice!r} stands there twice")
    found = []
    for place, cells in _rows(path, text):
        if len(cells) != len(columns):
            raise place.fault(f"this row has {len(cells)} cells, the header {len(columns)}")
        found.append(Fields({name: cell or None for name, cell in zip(columns, cells, strict=True)}, place))
    return found


def _rows(path: Path, text: str) -> Iterator[tuple[Place, list[str]]]:
    """The rows after the header, with their places."""
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    place = Place(path, 1)
    try:
        next(reader)
        place = Place(path, reader.line_num + 1)
        for cells in reader:
            if cells:
                yield place, cells
            place = Place(path, reader.line_num + 1)
    except csv.Error as error:
        raise place.fault(f"this is not CSV ({error})") from None
