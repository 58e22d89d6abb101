"""`kill -9` in the middle: nothing that was answered is missing, and what follows is decided as if nothing had been."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from edge_server import Gearbox, plan_of, serving
from serve_until_killed import learning
from test_request_headers import chat

from cascade.simulated.problems import problems

HERE = Path(__file__).parent
TOLD = ("x-gearbox-start-tier", "x-gearbox-attempts", "x-gearbox-p-valid", "x-gearbox-cost-usd")
#: Easy and hard ones mixed, in an order that is always the same.
QUESTIONS = [problem.question for place in range(8) for problem in problems(5, 40)[place::8]]


@contextlib.contextmanager
def own_process(database):
    environment = {**os.environ, "PYTHONPATH": f"{HERE}{os.pathsep}{HERE.parent.parent}"}
    command = [sys.executable, str(HERE / "serve_until_killed.py"), str(database)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        try:
            url = next(line.strip() for line in process.stdout if line.startswith("http"))
            yield process, Gearbox(url, database)
        finally:
            process.kill()


def decided(http, questions):
    """(id, what was decided) of each question, one after the other."""
    replies = [chat(http, question=question, stream=False) for question in questions]
    return [(reply.headers["x-request-id"], [reply.headers.get(name) for name in TOLD]) for reply in replies]


@pytest.fixture
def uninterrupted(catalog, tmp_path):
    database = tmp_path / "whole.db"
    with (
        serving(plan_of(learning(), database, catalog), database) as gearbox,
        httpx.Client(base_url=gearbox.url) as http,
    ):
        return [told for _, told in decided(http, QUESTIONS)]


def test_a_server_killed_in_the_middle_goes_on_as_if_it_had_not_been(uninterrupted, tmp_path):
    database = tmp_path / "killed.db"
    with own_process(database) as (process, gearbox), httpx.Client(base_url=gearbox.url, timeout=30) as http:
        before = decided(http, QUESTIONS[:20])
        under_way = threading.Thread(target=asked_in_vain, args=(http,))
        under_way.start()
        process.kill()
        process.wait()
        under_way.join()
    stored = {row["id"] for row in gearbox.sql("SELECT id FROM inference")}
    assert {request_id for request_id, _ in before} <= stored
    with own_process(database) as (_, gearbox), httpx.Client(base_url=gearbox.url, timeout=30) as http:
        after = decided(http, QUESTIONS[20:])
    assert [told for _, told in before + after] == uninterrupted
    assert {told[0] for told in uninterrupted} >= {"small", "medium"}, "the starts are to depend on what was learnt"


def asked_in_vain(http):
    with contextlib.suppress(httpx.HTTPError):
        chat(http, simulate={"small": "timeout"})
