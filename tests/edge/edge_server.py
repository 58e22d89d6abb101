"""A real server for tests: uvicorn in a thread on a loopback port, simulated tiers, a SQLite file of its own."""

from __future__ import annotations

import hashlib
import re
import socket
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import uvicorn
import yaml

from app.config import embeddings, ladder
from app.config import file as config_file
from app.config.environment import Environment, Variables
from app.config.plan import Plan
from app.config.rules import Policies
from app.main import create_app
from app.serving.protocol import BoundedProtocol
from app.wiring import open_services
from cascade.policies import registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from router.catalog import Catalog

#: Within the reach of every tier, of medium and large, of large alone, and of none.
EASY = "What is 17 + 25?"
EASY_ANSWER = "42"
_PRICES = {"small": (0.05, 0.4), "medium": (0.5, 4.0), "large": (5.0, 40.0)}


class WordEmbedder:
    """The port `Embedder` without a model: words hashed into a few dimensions; the same text is the same vector."""

    model = "words"
    dimensions = 64

    async def embed(self, text: str) -> np.ndarray:
        vector = np.zeros(self.dimensions, dtype=np.float32)
        for word in re.findall(r"\w+", text.lower()) or ["?"]:
            digest = hashlib.sha256(word.encode()).digest()
            vector[digest[0] % self.dimensions] += 1.0 if digest[1] % 2 else -1.0
        length = float(np.linalg.norm(vector))
        if length == 0:
            vector[0], length = 1.0, 1.0
        return vector / np.float32(length)

    async def ping(self) -> None:
        """Always there."""


def config(**overrides: Any) -> dict[str, Any]:
    """A configuration over simulated tiers that starts every request at the lowest one and waits for nothing."""
    tiers = [
        {
            "name": name,
            "deployments": [{"model": f"simulated/{name}"}],
            "price": {"input_usd_per_mtok": price_in, "output_usd_per_mtok": price_out},
            "prior_accuracy": prior,
        }
        for (name, (price_in, price_out)), prior in zip(_PRICES.items(), (0.5, 0.7, 0.9), strict=True)
    ]
    return {
        "tiers": tiers,
        "aliases": {"gpt-4o": "llm-at", "gpt-*": "llm-at"},
        "policy": {"default": "llm-at", "llm-at": {"cold_start": 10**9}},
        "retries": {"attempts": 2, "backoff_s": 0.01, "max_retry_after_s": 0.05, "cooldown_s": 0},
        "timeouts": {"first_token_s": 1.0, "total_s": 2.0},
        "server": {"hold_status_s": 5},
        **overrides,
    }


def plan_of(
    settings: dict[str, Any], database: Path, catalog: Catalog, environment: Mapping[str, str] | None = None
) -> Plan:
    """The plan that `gearbox serve` would make of this file."""
    variables = Variables(environment or {})
    text = yaml.safe_dump({**settings, "store": {"url": f"sqlite+aiosqlite:///{database}"}})
    policies = Policies(registry.names(), registry.validate)
    today = datetime.now(UTC).date()
    loaded = config_file.read(text, "gearbox.yaml", variables, catalog, policies, today)
    embedders = embeddings.from_config(loaded, variables, catalog)
    return Plan(loaded.config, ladder.from_config(loaded, variables, catalog), Environment(), embedders)


@dataclass(frozen=True)
class Gearbox:
    """One running server."""

    url: str
    database: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.removeprefix("http://").partition(":")
        return host, int(port)

    def sql(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask its database."""
        with sqlite3.connect(self.database) as connection:
            connection.row_factory = sqlite3.Row
            found = [dict(row) for row in connection.execute(query, values)]
        connection.close()
        return found

    def row(self, request_id: str) -> dict[str, Any]:
        """The one row of a request."""
        (row,) = self.sql("SELECT * FROM inference WHERE id = ?", request_id.removeprefix("chatcmpl-"))
        return row

    def calls(self, request_id: str) -> list[dict[str, Any]]:
        """A request's calls, in order."""
        return self.sql("SELECT * FROM attempt WHERE inference_id = ? ORDER BY position", request_id)

    def wait_for_row(self, query: str, *values: Any, seconds: float = 5.0) -> dict[str, Any]:
        """The first row of a query, once there is one."""
        end = time.monotonic() + seconds
        while not (found := self.sql(query, *values)):
            assert time.monotonic() < end, f"no row came: {query} {values}"
            time.sleep(0.02)
        return found[0]


@contextmanager
def serving(plan: Plan, database: Path, embedder: Any = None, tracing: Any = None) -> Iterator[Gearbox]:
    """Serve until the block ends."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    app = create_app(
        partial(open_services, plan, embedder=embedder or WordEmbedder(), tracing=tracing), tracing=tracing
    )
    server = uvicorn.Server(
        uvicorn.Config(
            app, http=BoundedProtocol, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=5
        )
    )
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    end = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        assert time.monotonic() < end, "the server took too long to start"
        time.sleep(0.01)
    try:
        yield Gearbox(f"http://127.0.0.1:{listener.getsockname()[1]}", database)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        assert not thread.is_alive(), "the server did not stop"
