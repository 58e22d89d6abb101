from __future__ import annotations

from pathlib import Path

from fidelity_page import page
from fidelity_table import KINDS, TABLE

FILE = Path(__file__).parents[2] / "docs" / "fidelity.md"


def test_the_page_is_current():
    assert FILE.read_text(encoding="utf-8") == page(), "run scripts/fidelity"


def test_every_cell_says_something():
    assert all(set(row.cells) == set(KINDS) for row in TABLE)
    assert len({row.name for row in TABLE}) == len(TABLE)
