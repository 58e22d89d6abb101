"""Clients that work unchanged: each example runs as a process of its own against a real server."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from client_folders import EXAMPLES, node_modules, python

#: Example -> what its output must tell, and how many requests it makes.
PYTHON = {
    "with_openai.py": (["plain: ", "answered by medium for 0.0", "streamed: ", "typed: Sum(answer=", "async: ['"], 8),
    "with_langchain.py": (
        [
            "plain: ",
            "streamed: ",
            "typed: Sum(answer=",
            "tools: ['get_weather']",
            "answer: According to the tool: 7 deg",
        ],
        5,
    ),
    "with_pydantic_ai.py": (
        ["plain: ", "tools: According to the tool: 7 degrees in Paris. after 2 requests", "typed: "],
        4,
    ),
    "with_instructor.py": (["TOOLS: Sum(answer=", "JSON_SCHEMA: Sum(answer="], 2),
    "with_litellm.py": (["plain: ", "streamed: "], 2),
}
NODE = ["plain: ", "answered by medium for 0.0", "streamed: ", "tools: According to the tool: 7 degrees in Paris"]
#: The first run installs the clients; later ones find them in the user's cache.
pytestmark = pytest.mark.timeout(1000)


def run(gearbox, *command, **more):
    """Run a client; its output. Nothing of our own environment that could point it elsewhere is handed on."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "OPENAI_BASE_URL": f"{gearbox.url}/v1", "OPENAI_API_KEY": "any", **more}
    done = subprocess.run(
        [str(word) for word in command], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def requests_in(gearbox):
    return gearbox.sql("SELECT count(*) AS n FROM inference WHERE error_type IS NULL")[0]["n"]


@pytest.mark.parametrize("name", PYTHON)
def test_a_python_client_works_unchanged(gearbox, name):
    words, requests = PYTHON[name]
    before = requests_in(gearbox)
    said = run(gearbox, python(), "-W", "ignore", EXAMPLES / name)
    assert [word for word in words if word not in said] == [], said
    assert requests_in(gearbox) - before == requests


def test_openai_node_works_unchanged(gearbox):
    folder = node_modules()
    if folder is None:
        pytest.skip("node or npm is not installed here")
    said = run(gearbox, "node", EXAMPLES / "openai-node.mjs", NODE_MODULES_FOLDER=str(folder))
    assert [word for word in NODE if word not in said] == [], said


def test_every_example_is_run_and_told():
    files = {path.name for path in EXAMPLES.iterdir() if path.suffix in {".py", ".mjs"}}
    assert files == {*PYTHON, "openai-node.mjs"}
    readme = Path(EXAMPLES / "README.md").read_text()
    assert [name for name in files if f"`{name}`" not in readme] == []
