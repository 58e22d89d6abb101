"""What mkdocs does beside its plugins: pages that are files of the repository's top get links that fit in the site.

BENCHMARKS.md and CHANGELOG.md are included as they are. A link of theirs into docs/ becomes one inside the site; one to
any other file of the repository keeps its words alone, since the site has no such page.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from re import Match

_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")
#: page -> the file that it shows
_TOP_FILES = {"benchmarks.md": "BENCHMARKS.md", "changelog.md": "CHANGELOG.md"}


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """The page's text; a file of the top with its links turned."""
    del config, files
    name = _TOP_FILES.get(page.file.src_uri)
    if name is None:
        return markdown
    with open(name, encoding="utf-8") as file:  # noqa: PTH123 - mkdocs runs in the repository's top
        return _LINK.sub(_turned, file.read())


def _turned(link: Match[str]) -> str:
    words, target = link.groups()
    return f"[{words}]({target.removeprefix('docs/')})" if target.startswith("docs/") else words
