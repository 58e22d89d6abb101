"""`gearbox demo`: a real server on a loopback port, simulated tiers, a dozen questions of rising difficulty.

The law of this file: nothing is pretended. The questions go over HTTP through the same application that `serve` runs,
and every number printed comes from its responses. It needs no key, spends nothing, and leaves no file behind.
"""

from __future__ import annotations

import asyncio
import socket
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from app.config import ladder
from app.config.environment import Environment
from app.config.plan import Plan
from app.config.settings import Config, StoreConfig
from app.main import create_app
from app.observe.logs import configure
from app.wiring import open_services
from cascade.simulated.problems import problems
from router import __version__
from router.answers import agrees, final_answer
from router.catalog import Catalog
from router.errors import ConfigError
from router.pricing import nanousd_to_usd, usd_to_nanousd

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from cascade.simulated.problems import Problem
    from router.ports import Embedder

QUESTIONS = 12
_SEED = 7
_STARTUP_S = 60.0
_MARKS = {"valid": "[green]yes[/]", "invalid": "[red]no[/]", "unjudged": "[dim]unjudged[/]"}
#: Heading and width of each column; the question gets what is left of the line.
_COLUMNS = {"starts at": 9, "what the judge said": 26, "right": 5, "paid USD": 9, "saved USD": 9}


@dataclass(slots=True)
class Totals:
    """Sums over all requests; nano-dollars."""

    cost_nanousd: int = 0
    baseline_nanousd: int = 0
    right: int = 0
    asked: int = 0


def demo() -> int:
    """Run it; 1 where a request failed."""
    configure("error", "console")
    return asyncio.run(ride(Console(highlight=False)))


async def ride(console: Console, embedder: Embedder | None = None) -> int:
    """Serve, ask, print; 1 where a request failed.

    Args:
        console: where it is told.
        embedder: instead of the built-in model.
    """
    console.print(f"[bold]Gearbox {__version__}[/] demo: a real server, [bold]simulated[/] tiers, no key needed.")
    with tempfile.TemporaryDirectory(prefix="gearbox-demo-") as folder:
        async with (
            _serving(Path(folder), embedder) as base,
            httpx.AsyncClient(base_url=base, timeout=_STARTUP_S) as client,
        ):
            with console.status("loading the embedding model, which finds similar past questions"):
                await _ready(client)
            totals = await _ask_all(client, console)
    _conclude(totals, console)
    return 0 if totals.asked == QUESTIONS else 1


@asynccontextmanager
async def _serving(folder: Path, embedder: Embedder | None) -> AsyncIterator[str]:
    """Serve on a free loopback port until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        app = create_app(partial(open_services, _plan(folder), embedder=embedder))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, server_header=False, ws="none"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started and not serving.done():  # noqa: ASYNC110 - uvicorn has a flag and no event
                await asyncio.sleep(0.01)
            if serving.done():
                raise ConfigError("the demo's server did not start; run it with GEARBOX_LOG_LEVEL=info gearbox serve")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def _plan(folder: Path) -> Plan:
    """What `gearbox serve` does without a file and without a key, with a store that goes with its folder."""
    store = StoreConfig.model_validate({"url": f"sqlite+aiosqlite:///{folder / 'demo.db'}"})
    return Plan(Config(store=store), ladder.simulated(Catalog.load()), Environment())


async def _ready(client: httpx.AsyncClient) -> None:
    async with asyncio.timeout(_STARTUP_S):
        while (await client.get("/health/ready")).status_code != httpx.codes.OK:  # noqa: ASYNC110 - over HTTP
            await asyncio.sleep(0.1)


async def _ask_all(client: httpx.AsyncClient, console: Console) -> Totals:
    """Ask one question after the other, and print each line as soon as it is answered."""
    totals = Totals()
    _print(console, "[bold]question[/]", *(f"[bold]{name}[/]" for name in _COLUMNS))
    for problem in problems(_SEED, QUESTIONS):
        reply = await client.post("/v1/chat/completions", json=_body(problem))
        if reply.status_code == httpx.codes.OK:
            _print(console, *_row(problem, reply.json(), totals))
        else:
            _print(console, _plain(problem.question), f"[red]HTTP {reply.status_code}[/]")
    return totals


def _print(console: Console, *cells: str) -> None:
    """One line of the table; a table of its own, so that it is there at once, in a pipe too."""
    question = max(console.width - sum(_COLUMNS.values()) - len(_COLUMNS) - 1, 16)
    columns = [Column(width=width, no_wrap=True, overflow="ellipsis") for width in (question, *_COLUMNS.values())]
    line = Table(*columns, box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    line.add_row(*cells)
    console.print(line)


def _body(problem: Problem) -> dict[str, Any]:
    return {"model": "auto", "messages": [{"role": "user", "content": problem.question}]}


def _row(problem: Problem, body: dict[str, Any], totals: Totals) -> tuple[str, ...]:
    told = body["gearbox"]
    answer = body["choices"][0]["message"]["content"] or ""
    right = agrees(final_answer(answer), final_answer(f"The answer is {problem.answer}."))
    totals.asked += 1
    totals.right += right
    totals.cost_nanousd += usd_to_nanousd(told["cost"])
    totals.baseline_nanousd += usd_to_nanousd(told["baseline"])
    return (
        _plain(problem.question),
        told["start_tier"],
        _judged(told["attempts"]),
        "[green]yes[/]" if right else "[red]no[/]",
        f"{told['cost']:.6f}",
        f"{told['saved']:+.6f}",
    )


def _judged(attempts: str) -> str:
    """`small:invalid,medium:valid` -> small no, medium yes; an answer that nobody judged says so."""
    pairs = [attempt.partition(":") for attempt in attempts.split(",")]
    return ", ".join(f"{tier} {_MARKS.get(verdict, verdict)}" for tier, _, verdict in pairs)


def _plain(question: str) -> str:
    """On one line, its brackets not taken for markup."""
    return escape(" ".join(question.split()))


def _conclude(totals: Totals, console: Console) -> None:
    cost, baseline = nanousd_to_usd(totals.cost_nanousd), nanousd_to_usd(totals.baseline_nanousd)
    share = 0 if not totals.baseline_nanousd else round(100 * (1 - totals.cost_nanousd / totals.baseline_nanousd))
    console.print(
        f"\n[bold]{totals.right} of {totals.asked} right for {cost:.6f} USD[/]; the top tier alone would have cost "
        f"{baseline:.6f} USD: [bold]{share} % saved[/], judges included. (Simulated models, made-up prices.)"
    )
    console.print("\nNext, with your own models:\n    [bold]OPENAI_API_KEY=sk-... gearbox serve[/]", soft_wrap=True)
