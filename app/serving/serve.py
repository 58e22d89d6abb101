"""`gearbox serve`: read the plan, say what will be served, serve it."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import uvicorn
from rich.console import Console
from rich.table import Table

from app.config import plan as plans
from app.config.environment import Environment
from app.main import create_app
from app.observe.logs import configure
from app.serving.lifecycle import Lifecycle, Server
from app.serving.protocol import BoundedProtocol
from app.serving.workers import Supervisor, bind
from app.wiring import open_services
from cascade.knowledge import Knowledge
from router import __version__
from router.errors import ConfigError
from router.pricing import nanousd_to_usd
from storage.engine import shown_url

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from app.config.environment import Variables
    from app.config.plan import Plan
    from app.observe.tracing import Tracing
    from app.services import Services
    from router.pricing import Price


def serve(
    config: Path | None, host: str | None, port: int | None, *, workers: int | None, open_to_anyone: bool
) -> None:
    """Serve until stopped: in this process, or with `workers` in so many others.

    Raises:
        ConfigError: whatever keeps this from being served, before anything is opened.
    """
    plan, variables = _plan(config)
    environment = plan.environment
    address, number = host or environment.host, environment.port if port is None else port
    check_exposure(address, has_keys=bool(plan.config.keys or plan.config.master_key), open_to_anyone=open_to_anyone)
    check_profile(plan)
    announce(plan, address, number, Console(stderr=True, highlight=False))
    count = environment.workers if workers is None else workers
    if not count:
        _run(plan, variables, host=address, port=number)
        return
    edge = plan.config.server
    with bind(address, number) as listener:
        Supervisor(partial(_work, config, count), count, listener, edge.drain_s + edge.shutdown_s + edge.linger_s).run()


def _plan(config: Path | None) -> tuple[Plan, Variables]:
    environment, variables = Environment.read()
    configure(environment.log_level, environment.log_format)
    return plans.read(config, environment, variables), variables


def _work(config: Path | None, workers: int, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """One worker of several: everything is read anew, so that a rolling restart brings changes in."""
    try:
        plan, variables = _plan(config)
        environment = plan.environment.model_copy(update={"workers": workers})
        _run(replace(plan, environment=environment), variables, on_start, sockets=[listener])
    except ConfigError as error:
        sys.exit(f"gearbox: {error.message}")


def _run(
    plan: Plan,
    variables: Variables,
    on_start: Callable[[], None] = lambda: None,
    sockets: list[socket.socket] | None = None,
    **where: Any,
) -> None:
    """Serve in this process until it is told to end."""
    lifecycle, tracing = Lifecycle(), tracing_of(plan, variables)
    settings = uvicorn.Config(
        create_app(partial(_services, plan, tracing), lifecycle, tracing=tracing),
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whoever forwards a request has no say in what we think of it
        timeout_graceful_shutdown=plan.config.server.shutdown_s,
        timeout_keep_alive=75,
        **where,
    )
    Server(settings, lifecycle, plan.config.server.drain_s, on_start).run(sockets)


@asynccontextmanager
async def _services(plan: Plan, tracing: Tracing | None) -> AsyncIterator[Services]:
    """The services, and the last spans on their way before uvicorn raises the signal again that ended it."""
    async with open_services(plan, tracing=tracing) as services:
        yield services
    if tracing is not None:
        await asyncio.to_thread(tracing.close)


def tracing_of(plan: Plan, variables: Variables) -> Tracing | None:
    """Where spans go; None, and nothing imported, where no endpoint is configured."""
    endpoint = plan.config.server.otlp_endpoint or variables.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint is None:
        return None
    from app.observe.tracing import Tracing  # noqa: PLC0415 - only who traces pays for the import

    return Tracing(endpoint)


def check_profile(plan: Plan) -> None:
    """Read the configured skill profile, so that a broken one is a message now and no failed start.

    Raises:
        ConfigError: it is missing, broken, or made with another embedding model.
    """
    Knowledge.of([plan.policy("skills")], plan.config.embedding.model)


def check_exposure(host: str, *, has_keys: bool, open_to_anyone: bool) -> None:
    """Refuse to let strangers spend money by accident.

    Raises:
        ConfigError: no keys are configured and the address is not loopback.
    """
    if has_keys or open_to_anyone or is_loopback(host):
        return
    raise ConfigError(
        f"refusing to listen on {host} without keys: anyone who reaches it could spend your money. Add `keys:` to "
        "gearbox.yaml, listen on 127.0.0.1, or say --open-to-anyone"
    )


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def announce(plan: Plan, host: str, port: int, console: Console) -> None:
    """Say what is served, and the three lines a user needs next."""
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    console.print(f"[bold]Gearbox {__version__}[/] on {base}")
    console.print(f"Ladder from {plan.ladder.source}:")
    console.print(_ladder_table(plan))
    store = shown_url(plan.config.store.url.get_secret_value())
    for note in plan.ladder.notes:
        console.print(f"[yellow]note:[/] {note}", soft_wrap=True)
    console.print(f"Store: {store} · embedding: {plan.config.embedding.model} · index: {plan.config.index.kind}")
    if plan.embeddings:
        console.print(f"/v1/embeddings: {', '.join(each.name for each in plan.embeddings)}", markup=False)
    for line in next_lines(base, simulated=_is_simulated(plan)):
        console.print(line, soft_wrap=True, markup=False)


def next_lines(base: str, *, simulated: bool) -> tuple[str, ...]:
    """What to type next."""
    question = '{"model": "auto", "messages": [{"role": "user", "content": "What is 17 + 25?"}]}'
    curl = f"curl:   curl {base}/chat/completions -H 'content-type: application/json' -d '{question}'"
    python = f'python: OpenAI(base_url="{base}", api_key="any").chat.completions.create(model="auto", ...)'
    if not simulated:
        return curl, python, f"config: every model name your clients send can stay as it is: OPENAI_BASE_URL={base}"
    key = (
        "key:    these tiers are SIMULATED, no API key was found; OPENAI_API_KEY=sk-... gearbox serve answers for real"
    )
    return curl, python, key


def _is_simulated(plan: Plan) -> bool:
    return any(endpoint.kind == "simulated" for endpoint in plan.ladder.endpoints.values())


def _ladder_table(plan: Plan) -> Table:
    table = Table("tier", "model", "USD per Mtok in", "out", "prior", "judged by", box=None, pad_edge=False)
    top = plan.ladder.tiers[-1]
    for tier in plan.ladder.tiers:
        models = ", ".join(sorted(tier.models))
        judge = "nobody" if tier is top else tier.judge
        table.add_row(tier.name, models, *_rates(tier.deployments[0].price), f"{tier.prior_accuracy:.2f}", judge)
    return table


def _rates(price: Price | None) -> tuple[str, str]:
    if price is None:
        return "?", "?"
    return f"{nanousd_to_usd(price.base.input):g}", f"{nanousd_to_usd(price.base.output):g}"
