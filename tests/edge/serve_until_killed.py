"""A server in a process of its own: `python serve_until_killed.py DATABASE`; prints its address, then serves."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edge_server import config, plan_of, serving

from router.catalog import Catalog


def learning() -> dict:
    """Starts that follow from what was learnt."""
    return config(policy={"llm-at": {"threshold": 0.62}})


if __name__ == "__main__":
    database = Path(sys.argv[1])
    with serving(plan_of(learning(), database, Catalog.load()), database) as gearbox:
        print(gearbox.url, flush=True)  # noqa: T201 - its only way to say where it is
        time.sleep(600)
