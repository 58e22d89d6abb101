"""`gearbox demo` keeps its word: real requests, every line told as it comes, a total, and what to type next."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

from edge_server import WordEmbedder
from rich.console import Console
from typer.testing import CliRunner

from app import cli
from app.commands import demo


def folders():
    return set(Path(tempfile.gettempdir()).glob("gearbox-demo-*"))


async def told(width=110):
    out = io.StringIO()
    code = await demo.ride(Console(file=out, width=width, highlight=False, color_system=None), WordEmbedder())
    return code, out.getvalue()


async def test_a_dozen_questions_a_total_and_the_next_command():
    before = folders()
    code, text = await told()
    assert code == 0
    lines = re.findall(
        r"^.+ (small|medium|large) +((?:small|medium|large) \w.*?) +(yes|no) +(\d\.\d{6}) +([+-]\d\.\d{6})$",
        text,
        re.MULTILINE,
    )
    assert len(lines) == demo.QUESTIONS
    assert sum(line[2] == "yes" for line in lines) >= 10
    spent = sum(float(line[3]) for line in lines)
    total = float(re.search(r"right for (\d\.\d{6}) USD", text)[1])
    assert abs(total - spent) < 2e-5
    assert "OPENAI_API_KEY=sk-... gearbox serve" in text.rstrip().splitlines()[-1]
    assert folders() == before


async def test_a_narrow_terminal_cuts_the_question_and_no_number():
    _, text = await told(width=80)
    assert len(re.findall(r"[+-]\d\.\d{6}$", text, re.MULTILINE)) == demo.QUESTIONS


def test_the_command_is_there():
    shown = CliRunner().invoke(cli.app, ["--help"]).output
    assert re.search(r"demo\s+Show what it does", shown)
