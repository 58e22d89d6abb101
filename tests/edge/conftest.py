from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx
import openai
import pytest
from edge_server import config, plan_of, serving

from router.catalog import Catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edge_server import Gearbox


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.load()


@pytest.fixture(scope="session")
def gearbox(catalog, tmp_path_factory) -> Iterator[Gearbox]:
    """One server for all tests that neither change what is learnt nor count everything there is."""
    database = tmp_path_factory.mktemp("edge") / "gearbox.db"
    with serving(plan_of(config(), database, catalog), database) as running:
        yield running


@pytest.fixture
def serve(catalog, tmp_path) -> Iterator[Callable[..., Gearbox]]:
    """Starts a server of one's own: `serve(judge={"fail": "closed"})`."""
    with ExitStack() as stack:

        def start(embedder=None, **overrides) -> Gearbox:
            database = tmp_path / "gearbox.db"
            return stack.enter_context(serving(plan_of(config(**overrides), database, catalog), database, embedder))

        yield start


@pytest.fixture(scope="session")
def client(gearbox) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{gearbox.url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def http(gearbox) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=gearbox.url, timeout=20) as client:
        yield client
