"""The lab's commands, run as a user runs them, over the repository's own recording and a store of real traffic."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext

import httpx
import pytest
import structlog
from lab_support import QUESTIONS, TIERS, FakeEmbedder

from app.cli import main
from app.config import plan as plans
from app.config.environment import Environment, Variables
from app.main import create_app
from app.wiring import open_services
from router.embedding import SentenceTransformerEmbedder


@pytest.fixture(autouse=True)
def _no_model(monkeypatch, tmp_path):
    """The commands embed with the fake, and keep nothing in the user's cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(
        SentenceTransformerEmbedder, "embed_many", lambda _, texts, **__: FakeEmbedder().embed_many(texts)
    )


@pytest.fixture
def gearbox(monkeypatch, capsys):
    """Runs a command; (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["gearbox", *map(str, arguments)])
        capsys.readouterr()
        try:
            main()
            code = 0
        except SystemExit as ended:
            code = ended.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    yield run
    structlog.reset_defaults()  # a command's log goes to its stderr, which ends with the test


@pytest.fixture
def told(gearbox):
    """Runs a command that must succeed and print JSON."""

    def run(*arguments):
        code, out, err = gearbox(*arguments)
        assert code == 0, err
        return json.loads(out)

    return run


@pytest.fixture(scope="session")
def traffic(tmp_path_factory):
    """A folder with a gearbox.yaml and a store: 27 routed requests, one direct, one without text, feedback on three."""
    folder = tmp_path_factory.mktemp("traffic")
    config = folder / "gearbox.yaml"
    config.write_text(
        f"tiers:\n{TIERS}policy: {{default: llm-at}}\nstore: {{url: 'sqlite+aiosqlite:///{folder}/gearbox.db'}}\n"
    )
    asyncio.run(_asked(config))
    return config


async def _asked(config):
    plan = plans.read(config, Environment(), Variables({}))
    async with open_services(plan, embedder=FakeEmbedder()) as services:
        app = create_app(lambda: nullcontext(services))
        app.state.services = services
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gearbox") as http:
            ids = [(await _ask(http, text))["gearbox"]["id"] for text in QUESTIONS]
            await _ask(http, "What is 1 + 1?", model="large")
            await _ask(http, "What is 2 + 2?", headers={"x-gearbox-store": "off"})
            for request_id, valid in zip(ids, (True, True, False), strict=False):
                (await http.post("/v1/feedback", json={"id": request_id, "valid": valid})).raise_for_status()


async def _ask(http, text, model="llm-at", headers=None):
    body = {"model": model, "messages": [{"role": "user", "content": text}]}
    reply = await http.post("/v1/chat/completions", json=body, headers=headers)
    reply.raise_for_status()
    return reply.json()
