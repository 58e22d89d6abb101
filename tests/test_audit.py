"""The audit finds what it looks for."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: In two parts, so that the audit of this repository does not find it here.
PLANTED = 'aws_access_key = "AKIA' + 'QWERTYUIOPASDFGH"\n'


@pytest.fixture
def audit(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("audit", ROOT / "scripts" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    return module


def test_a_secret_is_found_until_it_is_accepted(audit, monkeypatch, tmp_path):
    monkeypatch.setattr(audit, "written", lambda: ["settings.py"])
    (tmp_path / "settings.py").write_text("nothing = 1\n")
    assert list(audit.secrets(accept=True)) == []
    (tmp_path / "settings.py").write_text(PLANTED)
    assert [fault.split(":")[:2] for fault in audit.secrets(accept=False)] == [["settings.py", "1"]]
    assert list(audit.secrets(accept=True)) == []
    assert list(audit.secrets(accept=False)) == []


def test_a_package_of_another_version_than_the_pinned_one_is_named(audit, monkeypatch):
    monkeypatch.setattr(audit, "needed", lambda: {"httpx", "pytest"})
    monkeypatch.setattr(audit, "pins", lambda: {"httpx": "0.0.1"})
    told = list(audit.unpinned())
    assert [line.split()[0] for line in told] == ["httpx", "pytest"]
    assert "0.0.1 is pinned" in told[0]
    assert "no version is pinned" in told[1]


@pytest.mark.parametrize(
    ("licence", "fine"),
    [
        ("MIT", True),
        ("Apache-2.0 AND (MIT OR BSD-3-Clause)", True),
        ("GPL-3.0-or-later", False),
        ("MIT AND AGPL-3.0-only", False),
        ("", False),
    ],
)
def test_a_licence_that_is_not_permissive_is_named(audit, monkeypatch, licence, fine):
    monkeypatch.setattr(audit, "needed", lambda: {"pytest"})
    monkeypatch.setattr(audit, "licence_of", lambda _: licence)
    assert (list(audit.unfree()) == []) is fine
