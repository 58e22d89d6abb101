"""A short soak: every kind of client a few times against one server, and afterwards everything is as flat as before."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from contextlib import asynccontextmanager
from functools import partial

import uvicorn
import yaml
from edge_server import WordEmbedder, plan_of

from app.main import create_app
from app.wiring import open_services
from router.catalog import Catalog
from scripts.soak_streams import BROKEN, END_S, KINDS, Soak, handles, one, settings, settled

ROUNDS = 3


@asynccontextmanager
async def serving(folder):
    """The soak's own configuration, served on this event loop, so that its tasks can be counted."""
    plan = plan_of(yaml.safe_load(settings(folder)), folder / "soak.db", Catalog.load())
    app = create_app(partial(open_services, plan, embedder=WordEmbedder()))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none"))
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not running.done()
            await asyncio.sleep(0.01)
        yield listener.getsockname()[1]
        server.should_exit = True
        await running


async def as_few_tasks(before):
    async with asyncio.timeout(END_S):
        while len(asyncio.all_tasks()) > before:  # noqa: ASYNC110 - nobody tells when a task has gone
            await asyncio.sleep(0.05)


async def test_slow_broken_and_disconnecting_clients_leave_nothing_behind(tmp_path):
    async with serving(tmp_path) as port:
        soak, bar, before = Soak(port, random.Random(1)), asyncio.Semaphore(8), len(asyncio.all_tasks())
        await one(soak, -1, bar, "patient")  # connections and threads that stay are there from now on
        await as_few_tasks(before)
        open_before = handles(os.getpid())
        kinds = [*KINDS, *BROKEN] * ROUNDS
        async with asyncio.timeout(60):
            await asyncio.gather(*(one(soak, number, bar, kind) for number, kind in enumerate(kinds)))
        await settled(soak, tmp_path / "soak.db", os.getpid(), open_before)
        await as_few_tasks(before)
    assert soak.faults == []
    assert set(soak.kinds) == {*KINDS, *BROKEN}
