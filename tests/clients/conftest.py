from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "edge"))

from edge_server import config, plan_of, serving

from router.catalog import Catalog


@pytest.fixture(scope="session")
def gearbox(tmp_path_factory):
    """A real server over the simulated tiers; clients in processes of their own talk to it."""
    database = tmp_path_factory.mktemp("clients") / "gearbox.db"
    patient = {"timeouts": {"first_token_s": 20, "total_s": 30}}
    with serving(plan_of(config(**patient), database, Catalog.load()), database) as running:
        yield running
