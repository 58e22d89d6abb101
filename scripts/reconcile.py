"""What clients were told + late costs = SQL = Prometheus = FOCUS file, over two workers. Run by scripts/reconcile."""

from __future__ import annotations

import argparse
import csv
import os
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import yaml
from reconcile_traffic import Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "edge"))
#: Requests that do not cost what their calls do. A late verdict that met a busy database leaves its cost alone behind.
_UNEVEN = """
    SELECT i.id, i.cost_nanousd AS cost, i.late_cost_nanousd AS late, coalesce(sum(a.cost_nanousd), 0) AS calls
    FROM inference i LEFT JOIN attempt a ON a.inference_id = i.id
    GROUP BY i.id HAVING calls NOT IN (cost, cost + late)
"""
#: How long the last late verdicts may take.
SETTLE_S = 60.0


@dataclass(frozen=True)
class Books:
    """The same money in four places, nano-dollars; `late` of SQL is in no answer."""

    told: int
    late: int
    sql: int
    prometheus: int
    focus: int
    requests: int

    @property
    def agree(self) -> bool:
        """Whether all of them name one sum."""
        return len({self.told + self.late, self.sql, self.prometheus, self.focus}) == 1

    def __str__(self) -> str:
        lines = (
            f"clients were told        {self.told:>16,}",
            f"+ late costs             {self.late:>16,}",
            f"= what they add up to    {self.told + self.late:>16,}",
            f"SQL                      {self.sql:>16,}",
            f"Prometheus               {self.prometheus:>16,}",
            f"FOCUS file               {self.focus:>16,}",
        )
        return "\n".join(f"{line} nano-dollars" for line in lines)


def drive(url: str, seconds: float, clients: int) -> list[Client]:
    """Clients that ask for so long, all at once; what they were told is in them."""
    asking = [Client(url, number) for number in range(clients)]
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=each.ask_until, args=(end,)) for each in asking]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return asking


def books(url: str, database: Path, focus: Path, clients: Sequence[Client]) -> Books:
    """Read all of them, once nothing moves any more.

    Args:
        url: the server's.
        database: its SQLite file.
        focus: where the FOCUS file was written, after `settle`.
        clients: what they were told.
    """
    with closing(sqlite3.connect(database)) as connection:
        requests, cost, late = connection.execute(
            "SELECT count(*), coalesce(sum(cost_nanousd), 0), coalesce(sum(late_cost_nanousd), 0) FROM inference"
        ).fetchone()
    with focus.open(newline="") as file:
        billed = sum(Decimal(row["BilledCost"]) for row in csv.DictReader(file))
    told = sum(sum(each.told.nanousd.values()) for each in clients)
    return Books(told, late, cost + late, counted(url), int(billed * 10**9), requests)


def counted(url: str) -> int:
    """Prometheus' sum over all tiers and purposes: each counter holds whole nano-dollars, divided at the scrape."""
    text = httpx.get(f"{url}/metrics", timeout=20).text
    values = re.findall(r"^gearbox_cost_usd_total\{[^}]*\} (\S+)$", text, re.MULTILINE)
    return sum(round(float(value) * 1e9) for value in values)


def settle(url: str) -> None:
    """Wait until the last late verdict is counted: nothing has moved for two seconds.

    Raises:
        TimeoutError: it still moves.
    """
    end, before, since = time.monotonic() + SETTLE_S, -1, time.monotonic()
    while time.monotonic() - since < 2.0:  # noqa: PLR2004 - seconds of silence
        now = counted(url)
        if now != before:
            before, since = now, time.monotonic()
        if time.monotonic() > end:
            raise TimeoutError("late verdicts are still coming in")
        time.sleep(0.2)


def export(config: Path, out: Path) -> None:
    """`gearbox costs focus` of everything there is."""
    command = [sys.executable, "-m", "app", "costs", "focus", "--since", "1d", "--out", out, "--config", config]
    subprocess.run(command, check=True, cwd=ROOT)  # noqa: S603 - our own arguments


@contextmanager
def served(config: Path, workers: int) -> Iterator[str]:
    """A real `gearbox serve --workers N`; yields its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "app", "serve", "--config", config, "--port", port, "--workers", str(workers)]
    environment = {**os.environ, "GEARBOX_LOG_LEVEL": "error"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - likewise
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_ready(url, process)
        yield url
    finally:
        process.terminate()
        process.wait(60)


def _wait_ready(url: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/health/ready", timeout=5).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.3)
    raise SystemExit("reconcile: the server did not start")


def main() -> int:
    """Serve, drive, compare."""
    from edge_server import config  # noqa: PLC0415 - the path comes first

    options = argparse.ArgumentParser(prog="scripts/reconcile", description=__doc__)
    options.add_argument("--minutes", type=float, default=0.5)
    options.add_argument("--clients", type=int, default=6)
    options.add_argument("--workers", type=int, default=2)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        database, file, focus = (Path(scratch) / name for name in ("gearbox.db", "gearbox.yaml", "focus.csv"))
        patient = {"timeouts": {"first_token_s": 30, "total_s": 60}, "policy": {}}
        store = {"store": {"url": f"sqlite+aiosqlite:///{database}"}}
        file.write_text(yaml.safe_dump({**config(), **patient, **store}))
        with served(file, asked.workers) as url:
            clients = drive(url, asked.minutes * 60, asked.clients)
            settle(url)
            export(file, focus)
            found = books(url, database, focus, clients)
        return report(found, clients, database)


def report(found: Books, clients: Sequence[Client], database: Path) -> int:
    """Print the books and every request in which they disagree; 1 where they do."""
    kinds: dict[str, int] = {}
    for client in clients:
        for kind, many in client.told.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + many
    print(", ".join(f"{many} {kind}" for kind, many in sorted(kinds.items())))
    print(f"{found.requests:,} requests in SQL\n{found}")
    wrong = differences(clients, database)
    for line in wrong[:20]:
        print(line)
    return 0 if found.agree and not wrong else 1


def differences(clients: Sequence[Client], database: Path) -> list[str]:
    """Requests whose client was told another sum than SQL holds, or none, and those whose calls cost another one."""
    with closing(sqlite3.connect(database)) as connection:
        stored = dict(connection.execute("SELECT id, cost_nanousd FROM inference"))
        uneven = connection.execute(_UNEVEN).fetchall()
    told = {id_: cost for client in clients for id_, cost in client.told.nanousd.items()}
    silent = [f"{id_}: nothing was told, SQL has {stored.get(id_)}" for c in clients for id_ in c.told.silent]
    alone = {id_: cost for id_, cost in told.items() if not id_.endswith("+")}
    unlike = [(id_, cost, stored.get(id_, 0)) for id_, cost in alone.items() if cost != stored.get(id_, 0)]
    silent += [f"{id_}: {cost} + {late} in its row, {calls} in its calls" for id_, cost, late, calls in uneven]
    return silent + [f"{id_}: told {cost}, SQL has {kept}" for id_, cost, kept in unlike]


if __name__ == "__main__":
    sys.exit(main())
