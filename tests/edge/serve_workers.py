"""Several workers as `gearbox serve --workers` has them, over simulated tiers: `serve_workers.py DATABASE N DRAIN_S`.

Prints its port, then serves. A file `broken` beside the database keeps new workers from starting.
"""

from __future__ import annotations

import multiprocessing
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import uvicorn
from edge_server import WordEmbedder, config, plan_of

from app.config.environment import Environment
from app.main import create_app
from app.observe.logs import configure
from app.serving.lifecycle import Lifecycle, Server
from app.serving.workers import Supervisor, bind
from app.wiring import open_services
from router.catalog import Catalog

EDGE = {"hold_status_s": 5, "drain_s": float(sys.argv[3]), "shutdown_s": 20}


def work(database, listener, on_start):
    if (database.parent / "broken").exists():
        sys.exit("broken")
    patient = config(server=EDGE, timeouts={"first_token_s": 30, "total_s": 30})
    plan = plan_of(patient, database, Catalog.load())
    assert plan.environment == Environment()
    plan = replace(plan, environment=Environment(workers=int(sys.argv[2])))
    configure("error", "console")  # nobody reads our standard output, and a full pipe would stop us
    lock = multiprocessing.get_context("spawn").RLock()  # a semaphore of the system's, as tqdm makes one
    lifecycle = Lifecycle()
    app = create_app(partial(open_services, plan, embedder=WordEmbedder()), lifecycle)
    settings = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=EDGE["shutdown_s"])
    with lock:
        Server(settings, lifecycle, EDGE["drain_s"], on_start).run(sockets=[listener])


if __name__ == "__main__":
    with bind("127.0.0.1", 0) as listener:
        print(listener.getsockname()[1], flush=True)  # noqa: T201 - its only way to say where it is
        Supervisor(partial(work, Path(sys.argv[1])), int(sys.argv[2]), listener, 25).run()
