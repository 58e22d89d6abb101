"""A recording asked through the live server, one request at a time: what it decided, to be compared with a replay."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from contextlib import contextmanager, nullcontext

import httpx
import uvicorn
import yaml

from app.config import plan as plans
from app.config.environment import Environment, Variables
from app.main import create_app
from app.serving.upstream_server import handler_app
from app.wiring import open_services
from cascade.upstreams.recorded import RecordedUpstream


def live_decisions(recording, folder, embedder, queries, policy="llm-at"):
    """(start tier, attempts with verdicts, served tier, nano-dollars) of each query, through HTTP on both sides."""
    with upstream(recording) as port:
        config = folder / "gearbox.yaml"
        config.write_text(yaml.safe_dump(configuration(recording, port, folder)))
        return asyncio.run(_asked(config, embedder, queries, policy))


def replayed_decisions(row):
    """The same of a replay."""
    return [
        (
            story.attempts[0].tier,
            ",".join(f"{attempt.tier}:{attempt.verdict}" for attempt in story.attempts),
            story.served.tier,
            story.generate_nanousd + story.judge_nanousd,
        )
        for story in row.stories
    ]


def configuration(recording, port, folder):
    """The ladder of the recording over its upstream."""
    tiers = [
        {
            "name": name,
            "deployments": [
                {"model": f"openai/{name}", "api_base": f"http://127.0.0.1:{port}/v1", "api_key": "none", "hints": True}
            ],
            "price": {
                "input_usd_per_mtok": recording.models[name].price.base.input / 1e9,
                "output_usd_per_mtok": recording.models[name].price.base.output / 1e9,
            },
            "prior_accuracy": recording.models[name].prior_accuracy,
        }
        for name in recording.ladder()
    ]
    # Second opinions are drawn by a request's id, which is not the same live and in a replay.
    policy = {"auto": {"second_opinions": 0}}
    return {"tiers": tiers, "policy": policy, "store": {"url": f"sqlite+aiosqlite:///{folder}/gearbox.db"}}


@contextmanager
def upstream(recording):
    """`gearbox upstream` in a thread; its port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    app = handler_app(RecordedUpstream(recording))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield port
    finally:
        server.should_exit = True
        thread.join(10)


async def _asked(config, embedder, queries, policy):
    plan = plans.read(config, Environment(), Variables({}))
    async with open_services(plan, embedder=embedder) as services:
        app = create_app(lambda: nullcontext(services))
        app.state.services = services
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gearbox", timeout=60) as http:
            return [await _decision(http, query, policy) for query in queries]


async def _decision(http, query, policy):
    body = {"model": policy, "messages": list(query.messages), "metadata": {"recording_id": query.id}}
    reply = await http.post("/v1/chat/completions", json=body)
    reply.raise_for_status()
    told = reply.headers
    cost = round(float(told["x-gearbox-cost-usd"]) * 1e9)
    return told["x-gearbox-start-tier"], told["x-gearbox-attempts"], told["x-gearbox-tier"], cost
