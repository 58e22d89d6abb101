"""Throughput over loopback: which transport carries the fast path, and what the proxy costs on top of it.

Every figure is requests per second at 32 connections, the variants taken in turn within one run, so that the ratios
hold on a noisy machine. Prints a Markdown table. Run by `scripts/bench http`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

CONNECTIONS = 32
#: How long a server may take to start, where the machine does much else.
READY_S = 600
BODY = {"model": "small", "messages": [{"role": "user", "content": "What is 17 + 25?"}]}
REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "bench",
    "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "The answer is 42."}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 13, "completion_tokens": 6, "total_tokens": 19},
}
UPSTREAM = f"""
import asyncio, sys
body = {json.dumps(REPLY)!r}.encode()
head = b"HTTP/1.1 200 OK\\r\\ncontent-type: application/json\\r\\ncontent-length: %d\\r\\n\\r\\n" % len(body)
class Server(asyncio.Protocol):
    def connection_made(self, transport): self.transport, self.seen = transport, b""
    def data_received(self, data):
        self.seen += data
        while (end := self.seen.find(b"\\r\\n\\r\\n")) >= 0:
            head_in = self.seen[:end].lower()
            lengths = [l.split(b":")[1] for l in head_in.split(b"\\r\\n") if l.startswith(b"content-length")]
            length = int(lengths[0]) if lengths else 0
            if len(self.seen) < end + 4 + length: return
            self.seen = self.seen[end + 4 + length:]
            self.transport.write(head + body)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(sys.argv[1]))
    await server.serve_forever()
asyncio.run(main())
"""
CONFIG = """
tiers:
  - name: small
    deployments: [{{model: openai/bench, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}]
    price: {{input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.4}}
    prior_accuracy: 0.9
  - name: large
    deployments: [{{model: openai/bench-large, api_base: "http://127.0.0.1:{port}/v1", api_key: none}}]
    price: {{input_usd_per_mtok: 5, output_usd_per_mtok: 20}}
    prior_accuracy: 0.95
store: {{url: "sqlite+aiosqlite:///{folder}/bench.db"}}
"""


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--requests", type=int, default=600)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, upstream() as (port, _), gearbox(Path(folder), port) as (proxy, _):
        asyncio.run(compare(port, proxy, given.rounds, given.requests))


async def compare(port: int, proxy: int, rounds: int, requests: int) -> None:
    """All variants in turn, several times; medians and ratios."""
    direct, through = f"http://127.0.0.1:{port}/v1/chat/completions", f"http://127.0.0.1:{proxy}/v1/chat/completions"
    async with httpx_client() as plain, httpx_client(AiohttpTransport()) as fast, aiohttp.ClientSession() as raw:
        variants: dict[str, Callable[[], Awaitable[None]]] = {
            "upstream, httpx's own transport": lambda: by_httpx(plain, direct),
            "upstream, httpx over aiohttp (the fast path)": lambda: by_httpx(fast, direct),
            "upstream, aiohttp itself": lambda: by_aiohttp(raw, direct),
            "Gearbox, model: small (pass-through, stored in SQLite)": lambda: by_aiohttp(raw, through),
        }
        seen: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(rounds):
            for name, ask in variants.items():
                seen[name].append(await rate(ask, requests))
    base = statistics.median(seen["upstream, httpx's own transport"])
    print(f"| variant | requests/s (median of {rounds}) | min-max | ratio |")
    print("|---|---|---|---|")
    for name, rates in seen.items():
        middle = statistics.median(rates)
        print(f"| {name} | {middle:.0f} | {min(rates):.0f}-{max(rates):.0f} | {middle / base:.2f} |")


async def rate(ask: Callable[[], Awaitable[None]], requests: int) -> float:
    """Requests per second at CONNECTIONS in flight."""

    async def worker(count: int) -> None:
        for _ in range(count):
            await ask()

    await worker(5)
    started = time.perf_counter()
    await asyncio.gather(*(worker(requests // CONNECTIONS) for _ in range(CONNECTIONS)))
    return requests // CONNECTIONS * CONNECTIONS / (time.perf_counter() - started)


async def by_httpx(client: httpx.AsyncClient, url: str) -> None:
    """One request."""
    response = await client.post(url, json=BODY)
    response.raise_for_status()


async def by_aiohttp(session: aiohttp.ClientSession, url: str) -> None:
    """One request."""
    async with session.post(url, json=BODY) as response:
        response.raise_for_status()
        await response.read()


@contextlib.asynccontextmanager
async def httpx_client(transport: httpx.AsyncBaseTransport | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """A client with enough connections."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(transport=transport, limits=limits, timeout=30) as client:
        yield client


@contextlib.contextmanager
def upstream() -> Iterator[tuple[int, int]]:
    """A server that answers at once, in a process of its own: its port and process id."""
    port = free_port()
    with process([sys.executable, "-c", UPSTREAM, str(port)], port) as pid:
        yield port, pid


@contextlib.contextmanager
def gearbox(folder: Path, upstream_port: int) -> Iterator[tuple[int, int]]:
    """The proxy before that upstream: its port and process id."""
    config, port = folder / "gearbox.yaml", free_port()
    config.write_text(CONFIG.format(port=upstream_port, folder=folder))
    command = [sys.executable, "-m", "app", "serve", "--config", str(config), "--port", str(port)]
    with process(command, port) as pid:
        yield port, pid


@contextlib.contextmanager
def process(command: list[str], port: int) -> Iterator[int]:
    """A command that listens on a port, ended afterwards; its id."""
    started = subprocess.Popen(command, stderr=subprocess.DEVNULL, env={**os.environ, "GEARBOX_LOG_LEVEL": "error"})  # noqa: S603
    try:
        wait_for(f"http://127.0.0.1:{port}/health/ready")
        yield started.pid
    finally:
        started.terminate()
        started.wait(30)


def wait_for(url: str) -> None:
    """Wait until a server is ready, its embedding model loaded; it would compete for the processor."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url).is_success:
                return
        time.sleep(0.2)
    raise SystemExit(f"{url} did not answer in time")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    main()
