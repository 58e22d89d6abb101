from __future__ import annotations

import httpx
import openai
import pytest
from edge_server import plan_of, serving
from loopback import Loopback
from two_tiers import config, variables
from vendor import Vendor

from router.catalog import Catalog


@pytest.fixture(scope="session")
def upstream():
    vendor = Vendor()
    with Loopback(vendor.app) as server:
        yield vendor, server.url


@pytest.fixture
def vendor(upstream):
    vendor, _ = upstream
    vendor.reset()
    vendor.verdict = "yes"
    return vendor


@pytest.fixture(scope="session")
def gearbox(upstream, tmp_path_factory):
    _, url = upstream
    database = tmp_path_factory.mktemp("endpoints") / "gearbox.db"
    with serving(plan_of(config(url), database, Catalog.load(), variables(url)), database) as running:
        yield running


@pytest.fixture(scope="session")
def client(gearbox):
    with openai.OpenAI(base_url=f"{gearbox.url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


@pytest.fixture(scope="session")
def http(gearbox):
    with httpx.Client(base_url=gearbox.url, timeout=20) as client:
        yield client
