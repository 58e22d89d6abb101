"""The site: every page has its place, every warning is an error, and nothing comes from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from pages import ROOT


class _Loader(yaml.SafeLoader):
    """mkdocs' own tags mean nothing here."""


SITE = yaml.load((ROOT / "mkdocs.yml").read_text(), _Loader)


def entries(nav):
    for each in nav:
        for value in each.values() if isinstance(each, dict) else [each]:
            yield from entries(value) if isinstance(value, list) else [value]


def test_every_page_has_its_place():
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert sorted(entries(SITE["nav"])) == sorted(pages)


def test_a_warning_is_an_error():
    assert SITE["strict"] is True
    # What mkdocs is told not to say, it does not count either.
    assert "--quiet" not in re.findall(r"mkdocs\" build.*", (ROOT / "scripts" / "docs").read_text())[0]
    assert set(SITE["validation"].values()) == {"warn"}


def test_nothing_is_fetched_from_elsewhere():
    assert SITE["theme"]["font"] is False
    assert not any("social" in str(plugin) for plugin in SITE["plugins"])
    for page in Path(ROOT / "docs").rglob("*.md"):
        assert not re.search(r"!\[[^\]]*\]\(https?:|```mermaid", page.read_text()), page
