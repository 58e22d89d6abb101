"""The pages that users read, and their blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
#: README and all of docs/, by their names from the top.
PAGES = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]
_BLOCK = re.compile(
    r"(?:<!-- (?P<mark>not run: (?P<why>[^\n]+?)|served) -->\n)?"
    r"^```(?P<kind>\w*)[^\n]*\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """One block: its page and line, and whether it is run; `served` = the configuration of the page's own server."""

    page: str
    line: int
    kind: str
    text: str
    why_not_run: str | None = None
    served: bool = False

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: str, *kinds: str) -> list[Block]:
    """The page's blocks of these kinds, or of all."""
    return list(_blocks(page, (ROOT / page).read_text(encoding="utf-8"), kinds))


def every_block(*kinds: str) -> list[Block]:
    """Those of all pages."""
    return [block for page in PAGES for block in blocks(page, *kinds)]


def _blocks(page: str, text: str, kinds: tuple[str, ...]) -> Iterator[Block]:
    for found in _BLOCK.finditer(text):
        if not kinds or found["kind"] in kinds:
            line = text[: found.start("kind")].count("\n") + 1
            yield Block(page, line, found["kind"], found["text"], found["why"], served=found["mark"] == "served")
