"""Resident memory over many pass-through requests through one process.

Everything that a process may keep for each request (rows, ids, conversations, connections, chunks of streams) would
show as a slope. Warm-up ends after a tenth of the requests: allocator, caches and pools have their size by then. Prints
a Markdown table, and fails where the end is more than `ALLOWED` times the warm-up. Run by `scripts/bench memory`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from bench_http import BODY, CONNECTIONS, gearbox, upstream

ALLOWED = 1.05
STEPS = 10
#: One request in so many streams; so many questions and conversations come back again and again.
EVERY_STREAM, QUESTIONS, SESSIONS = 4, 50_000, 1_000
_KIB = 1024


@dataclass(frozen=True, slots=True)
class Reading:
    """One row of the table."""

    requests: int
    seconds: float
    resident_mb: float
    handles: int


def main() -> int:
    """Measure, print, and say whether it grew."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--requests", type=int, default=200_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder, upstream() as (port, _), gearbox(Path(folder), port) as (proxy, pid):
        readings = asyncio.run(measured(proxy, pid, given.requests))
    warm, end = readings[0].resident_mb, readings[-1].resident_mb
    print(f"\n{end / warm - 1:+.1%} from the warm-up to the end; allowed {ALLOWED - 1:+.0%}")
    return 0 if end <= warm * ALLOWED else 1


async def measured(proxy: int, pid: int, requests: int) -> list[Reading]:
    """A reading after each step; each is printed as it is made."""
    print("| requests | seconds | resident MB | file handles |\n|---|---|---|---|")
    started, readings, share = time.monotonic(), [], requests // STEPS
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as session:
        for step in range(STEPS):
            await rounds(session, proxy, range(step * share, (step + 1) * share))
            reading = Reading((step + 1) * share, time.monotonic() - started, resident_mb(pid), handles(pid))
            readings.append(reading)
            row = f"| {reading.requests:,} | {reading.seconds:.0f} | {reading.resident_mb:.1f} | {reading.handles} |"
            print(row, flush=True)
    return readings


async def rounds(session: aiohttp.ClientSession, proxy: int, numbers: range) -> None:
    """These requests, CONNECTIONS at a time."""
    url, left = f"http://127.0.0.1:{proxy}/v1/chat/completions", iter(numbers)

    async def client() -> None:
        for number in left:
            question = f"What is {number % QUESTIONS} + 25?"
            body = BODY | {"messages": [{"role": "user", "content": question}], "stream": not number % EVERY_STREAM}
            async with session.post(url, json=body, headers={"x-gearbox-session": f"s{number % SESSIONS}"}) as response:
                response.raise_for_status()
                await response.read()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))


def handles(pid: int) -> int:
    """How many files and connections the process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def resident_mb(pid: int) -> float:
    """What the process holds in memory, as Linux counts it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / _KIB
    raise SystemExit(f"process {pid} has ended")


if __name__ == "__main__":
    sys.exit(main())
