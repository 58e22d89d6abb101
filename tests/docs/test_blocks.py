"""Every command and every block of code in README and docs is run, or says why not."""

from __future__ import annotations

import os
import shlex
from contextlib import ExitStack

import pytest
import structlog
from pages import PAGES, ROOT, blocks, every_block
from reader import Reader, commands, shown
from told import ids, same

#: Programs of the reader's own machine; everything else that a block calls has to be in the clone.
READERS_OWN = frozenset(
    {"curl", "docker", "export", "kubectl", "openssl", "pip", "promtool", "psql", "python", "source"}
)
RUN = [page for page in PAGES if any(block.why_not_run is None for block in blocks(page))]


@pytest.fixture
def reader(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.endswith("_API_KEY") or name.startswith("GEARBOX_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("GEARBOX_LOOK_AROUND", "false")
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.chdir(tmp_path)
    with structlog.testing.capture_logs(), ExitStack() as stack:
        yield Reader(tmp_path, stack)


@pytest.mark.parametrize("page", RUN)
def test_a_page_does_what_it_says(page, reader):
    for block in blocks(page):
        if block.why_not_run is None and block.kind != "mermaid":
            try:
                reader.follow(block)
            except Exception as error:
                raise AssertionError(f"{block}: {error}") from error


def first_words(block):
    for command in commands(block.text) if block.kind == "bash" else [each for each, _ in shown(block.text)]:
        words = shlex.split(command)
        while words and "=" in words[0]:
            words.pop(0)
        yield from words[:1]


@pytest.mark.parametrize("block", every_block("bash", "console"), ids=str)
def test_a_command_is_there(block):
    for word in first_words(block):
        name = word.removeprefix(".venv/bin/")
        declared = f"\n{name} = " in (ROOT / "pyproject.toml").read_text()
        assert word in READERS_OWN or declared or os.access(ROOT / word, os.X_OK), word


@pytest.mark.parametrize("block", every_block("python"), ids=str)
def test_python_compiles(block):
    compile(block.text, str(block), "exec")


def test_a_block_that_is_not_run_says_why():
    assert all(len(block.why_not_run.split()) > 2 for block in every_block() if block.why_not_run is not None)


def test_every_block_names_its_kind():
    assert [str(block) for block in every_block() if not block.kind] == []


@pytest.mark.parametrize(
    ("shown_text", "came", "right"),
    [
        ("a  b\n", "a b", True),
        ("a b", "a c", False),
        ("a …", "a c", True),
        ("a\n…\nd", "a\nb\nc\nd", True),
        ("a\n…\nd", "a\nb\nc", False),
        ('{"a": 1}', '{"a": 1, "b": 2}', True),
        ('{"a": 1}', '{"a": 2}', False),
        ('{"a": [1]}', '{"a": [1, 2]}', False),
        ('{"p_valid": 0.1}', '{"p_valid": 0.2}', True),
        ('{"p_valid": 0.1}', "{}", False),
        ("0" * 32, "f" * 32, True),
        ('HTTP/1.1 200 OK\na: 1\n\n{"b": 2}', 'HTTP/1.1 200 OK\nz: 0\na: 1\n\n{"b": 2, "c": 3}', True),
        ('HTTP/1.1 200 OK\na: 1\n\n{"b": 2}', 'HTTP/1.1 200 OK\na: 2\n\n{"b": 2}', False),
    ],
)
def test_what_is_shown_is_compared(shown_text, came, right):
    assert same(shown_text, came) is right


def test_an_id_of_a_page_is_the_one_that_came_in_its_place():
    assert ids(f"x {'0' * 32}", f"x {'f' * 32}") == {"0" * 32: "f" * 32}
