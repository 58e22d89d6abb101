"""Escalating streams with slow, broken and disconnecting clients against a real server, on loopback and bounded.

What must be true afterwards: nothing hangs, every complete request is in SQL exactly once, no file handle and no
reservation is left behind, the budget has spent what the rows cost, the server is still ready, and it ends when it is
told to.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import socket
import sqlite3
import struct
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from cascade.simulated.problems import problems

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter
    from collections.abc import Awaitable, Callable

ROOT = Path(__file__).parents[1]
#: Beyond small's reach, most beyond medium's: the streams escalate.
BEYOND_SMALL = 0.55
HARD = [problem.question for problem in problems(11, 400) if problem.difficulty > BEYOND_SMALL]
#: Handles that may come and go, such as a keep-alive connection that is just closing.
SPARE_HANDLES = 2
#: The store's pool opens connections as they are needed and keeps them: so many at most, a file and its log each.
STORE_HANDLES = 40
READY_S, END_S = 60, 30


@dataclass
class Soak:
    """What was done and what is to be found in SQL."""

    port: int
    random: random.Random
    expected: set[str] = field(default_factory=set)
    allowed: set[str] = field(default_factory=set)
    kinds: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


async def patient(soak: Soak, reader: StreamReader, name: str) -> None:
    """Reads to the end."""
    text = await reader.read()
    if b"data: [DONE]" not in text and b'"error"' not in text:
        soak.faults.append(f"{name}: a stream that ended without [DONE] and without an error: {text[-200:]!r}")


async def slow(soak: Soak, reader: StreamReader, name: str) -> None:
    """Reads a few bytes at a time, with pauses."""
    text = b""
    while part := await reader.read(256):
        text += part
        await asyncio.sleep(soak.random.uniform(0, 0.01))
    if b"[DONE]" not in text and b'"error"' not in text:
        soak.faults.append(f"{name}: a slow client's stream was cut: {text[-200:]!r}")


async def leaves(soak: Soak, reader: StreamReader, name: str) -> None:  # noqa: ARG001 - one signature for all
    """Goes away after some bytes of the answer."""
    await reader.read(soak.random.choice([1, 100, 400]))


async def silent(soak: Soak, reader: StreamReader, name: str) -> None:  # noqa: ARG001 - one signature for all
    """Waits for a first byte, reads no more for a while, and goes away."""
    await reader.read(1)
    await asyncio.sleep(soak.random.uniform(0.2, 1.0))


#: How a client behaves once it has asked; the header it sends; whether it resets the connection instead of closing it.
KINDS: dict[str, tuple[Callable[[Soak, StreamReader, str], Awaitable[None]], str, bool]] = {
    "patient": (patient, "hold", False),
    "patient, optimistic": (patient, "optimistic", False),
    "patient, adaptive": (patient, "adaptive", False),
    "slow": (slow, "hold", False),
    "slow, direct": (slow, "direct", False),
    "leaves": (leaves, "hold", False),
    "leaves, optimistic": (leaves, "optimistic", False),
    "resets": (leaves, "direct", True),
    "silent, then resets": (silent, "hold", True),
}
#: Clients that break before their request is complete, or at once after it; what they leave behind is their own risk.
BROKEN = ("half a body", "half a head", "no JSON", "at once")
FAULTS = (
    {},
    {},
    {},
    {"small": "cut_stream"},
    {"medium": "server_error"},
    {"small": {"fault": "slow_tokens", "seconds": 0.01}},
)


async def one(soak: Soak, number: int, bar: asyncio.Semaphore, kind: str | None = None) -> None:
    """One client from its connection to its end; of a kind that chance chooses, where none is given."""
    async with bar:
        kind = kind or soak.random.choice([*KINDS, *KINDS, *BROKEN])
        soak.kinds[kind] += 1
        name = f"c{number}"
        reader, writer = await asyncio.open_connection("127.0.0.1", soak.port)
        try:
            if kind in BROKEN:
                await breaks(soak, kind, name, reader, writer)
            else:
                await behaves(soak, kind, name, reader, writer)
        except ConnectionError:
            if kind in {"patient", "slow"}:
                soak.faults.append(f"{name}: the server closed on a {kind} client")
        finally:
            writer.close()


async def behaves(soak: Soak, kind: str, name: str, reader: StreamReader, writer: StreamWriter) -> None:
    """Ask in full, then do as this kind does."""
    act, mode, resets = KINDS[kind]
    writer.write(request(name, mode, soak.random))
    await writer.drain()
    first = await reader.read(1)
    if not first:
        soak.faults.append(f"{name}: not a byte for a {kind} client")
    soak.expected.add(name)
    await act(soak, reader, name)
    if resets:
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def breaks(soak: Soak, kind: str, name: str, reader: StreamReader, writer: StreamWriter) -> None:
    """Break off before the request is whole, send what is none, or go without waiting for a byte."""
    whole = request(name, "hold", soak.random)
    head = whole.index(b"\r\n\r\n") + 4
    sent = {"half a body": whole[: head + 20], "half a head": whole[: head // 2], "at once": whole}
    writer.write(sent.get(kind, whole[:head] + b"{" * (len(whole) - head)))
    await writer.drain()
    if kind == "no JSON":
        await reader.read()
    soak.allowed.add(name)


def request(name: str, mode: str, chance: random.Random) -> bytes:
    """A raw streamed chat request; one connection a request, so that its end is the answer's."""
    body = {
        "model": "auto",
        "stream": True,
        "messages": [{"role": "user", "content": chance.choice(HARD)}],
        "simulate": chance.choice(FAULTS),
    }
    content = json.dumps(body).encode()
    lines = (
        "POST /v1/chat/completions HTTP/1.1",
        "host: soak",
        "connection: close",
        "content-type: application/json",
        f"content-length: {len(content)}",
        f"x-gearbox-stream: {mode}",
        f"x-gearbox-tags: soak={name}",
        f"x-gearbox-session: s{chance.randrange(20)}",
    )
    return "\r\n".join([*lines, "", ""]).encode() + content


def settings(folder: Path) -> str:
    """Simulated tiers with a real pace of events, short time-outs, and a status that is not held back for long."""
    prices = {"small": (0.05, 0.4), "medium": (0.5, 2.0), "large": (5.0, 20.0)}
    tiers = [
        {
            "name": name,
            "deployments": [{"model": f"simulated/{name}"}],
            "price": {"input_usd_per_mtok": price_in, "output_usd_per_mtok": price_out},
        }
        for name, (price_in, price_out) in prices.items()
    ]
    return yaml.safe_dump(
        {
            "tiers": tiers,
            "policy": {"llm-at": {"cold_start": 10**6}},
            "budgets": [{"per": "total", "usd": 1000}],
            "store": {"url": f"sqlite+aiosqlite:///{folder / 'soak.db'}"},
            "server": {"hold_status_s": 0.05, "linger_s": 1},
            "retries": {"attempts": 2, "backoff_s": 0.01, "cooldown_s": 0},
            "timeouts": {"first_token_s": 5, "total_s": 10},
        }
    )


async def status(port: int) -> int:
    """The status of /health/ready; 0 = nobody listens yet."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except ConnectionError:
        return 0
    writer.write(b"GET /health/ready HTTP/1.1\r\nhost: soak\r\nconnection: close\r\n\r\n")
    line = (await reader.read()).partition(b"\r\n")[0].split()
    writer.close()
    return int(line[1]) if len(line) > 1 else 0


async def ready(port: int) -> None:
    """Wait until the server is."""
    async with asyncio.timeout(READY_S):
        while await status(port) != 200:  # noqa: ASYNC110, PLR2004 - over HTTP
            await asyncio.sleep(0.1)


def handles(pid: int) -> int:
    """How many file handles the process holds, the store's pool apart; 0 where the system does not say."""
    return sum(not _is_store(name) for name in _handles(pid))


def store_handles(pid: int) -> int:
    """How many the store's pool holds."""
    return sum(_is_store(name) for name in _handles(pid))


def _is_store(name: str) -> bool:
    return "soak.db" in name


def _handles(pid: int) -> list[str]:
    """What each handle is, as Linux names it."""
    found = []
    for link in Path(f"/proc/{pid}/fd").glob("*"):
        with contextlib.suppress(OSError):  # closed meanwhile
            found.append(str(link.readlink()))
    return found


def stored(database: Path) -> Counter[str]:
    """Tag -> how many rows."""
    with sqlite3.connect(database) as connection:
        rows = connection.execute("SELECT json_extract(tags, '$.soak') FROM inference").fetchall()
    connection.close()
    return Counter(row[0] for row in rows)


def open_money(database: Path) -> str:
    """What is wrong with the budget of all; "" = nothing is reserved, and it has spent what the rows cost."""
    with sqlite3.connect(database) as connection:
        reserved, spent = connection.execute("SELECT sum(reserved_nanousd), sum(spent_nanousd) FROM budget").fetchone()
        (cost,) = connection.execute("SELECT sum(cost_nanousd + late_cost_nanousd) FROM inference").fetchone()
    connection.close()
    return "" if (reserved, spent) == (0, cost) else f"budget: {reserved} reserved, {spent} spent, rows cost {cost}"


async def settled(soak: Soak, database: Path, pid: int, before: int) -> None:
    """Wait until everything expected is in SQL and the handles are back; what is not is a fault."""
    end = time.monotonic() + END_S
    while time.monotonic() < end:
        found = stored(database)
        if soak.expected <= set(found) and handles(pid) <= before + SPARE_HANDLES and not open_money(database):
            break
        await asyncio.sleep(0.2)
    found = stored(database)
    soak.faults += [f"{name}: not in SQL" for name in sorted(soak.expected - set(found))]
    soak.faults += [f"{name}: {count} times in SQL" for name, count in found.items() if count > 1]
    soak.faults += [f"{name}: in SQL and never asked" for name in set(found) - soak.expected - soak.allowed]
    if handles(pid) > before + SPARE_HANDLES:
        soak.faults.append(f"file handles: {before} before, {handles(pid)} after")
    soak.faults += filter(None, [open_money(database)])
    if store_handles(pid) > STORE_HANDLES:
        soak.faults.append(f"the store holds {store_handles(pid)} file handles, more than {STORE_HANDLES}")


async def ride(count: int, at_once: int, seconds: float, seed: int) -> Soak:
    """Start a server, send everybody, look at what is left, and stop the server."""
    with tempfile.TemporaryDirectory(prefix="gearbox-soak-") as temporary:
        folder = Path(temporary)
        (folder / "gearbox.yaml").write_text(settings(folder))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        soak = Soak(port, random.Random(seed))  # noqa: S311 - a soak to repeat, no secret
        words = ("-m", "app", "serve", "--config", str(folder / "gearbox.yaml"), "--port", str(port))
        log = (folder / "log").open("wb")
        server = await asyncio.create_subprocess_exec(sys.executable, *words, cwd=ROOT, stdout=log, stderr=log)
        try:
            await ready(port)
            await one(soak, -1, asyncio.Semaphore(1))  # warm: connections and threads that stay are there from now on
            await asyncio.sleep(1)
            before = handles(server.pid)
            bar = asyncio.Semaphore(at_once)
            async with asyncio.timeout(seconds):
                await asyncio.gather(*(one(soak, number, bar) for number in range(count)))
            await settled(soak, folder / "soak.db", server.pid, before)
            if await status(port) != 200:  # noqa: PLR2004 - HTTP
                soak.faults.append("the server is not ready any more")
            kept = f"the store's pool holds {store_handles(server.pid)}"
            print(f"file handles: {before} before, {handles(server.pid)} after; {kept}")
            print(open_money(folder / "soak.db") or "nothing is reserved, and the budget has spent what the rows cost")
        except TimeoutError:
            soak.faults.append(f"not done after {seconds:g} s")
        finally:
            await stopped(server, soak)
            log.close()
        soak.faults += [f"log: {line}" for line in (folder / "log").read_text().splitlines() if "Traceback" in line]
        return soak


async def stopped(server: asyncio.subprocess.Process, soak: Soak) -> None:
    """SIGTERM, and no longer than `END_S`."""
    server.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(END_S):
            await server.wait()
    except TimeoutError:
        soak.faults.append(f"the server did not end within {END_S} s of SIGTERM")
        server.kill()
        await server.wait()


def main() -> int:
    """Run it; 1 where anything was wrong."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=200)
    options.add_argument("--at-once", type=int, default=20)
    options.add_argument("--seconds", type=float, default=180)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    started = time.monotonic()
    soak = asyncio.run(ride(given.count, given.at_once, given.seconds, given.seed))
    for kind, count in sorted(soak.kinds.items()):
        print(f"{count:5} {kind}")
    print(f"{len(soak.expected)} complete requests, all in SQL" if not soak.faults else "\n".join(soak.faults))
    print(f"{time.monotonic() - started:.0f} s, {len(soak.faults)} faults")
    return 1 if soak.faults else 0


if __name__ == "__main__":
    sys.exit(main())
