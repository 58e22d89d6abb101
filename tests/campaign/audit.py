"""What must be true at the end, asked of SQL, the journals, the processes and the log.

The law of this file: each check returns the breaches that it found, in words; nothing is tolerated that is not named.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

#: Seconds after which what a dead worker had reserved counts as spent, and a margin for the reaper's turn.
LEASE_S = 30 + 15
#: File handles that may come with an outage and stay: the pools to PostgreSQL and Redis keep what a crowd opened.
POOL_HANDLES = 90
#: What a worker may grow after its warm-up in some minutes of learning; `scripts/bench memory` measures the long run.
MAY_GROW = 1.15
#: The codes of a refusal for the store's sake.
NO_STORE = frozenset({"store_unavailable", "journal_unwritable"})
#: What the store knows of the campaign's requests.
ROWS = """
    SELECT id, key_id, team, tags->>'campaign' AS number, cost_nanousd, late_cost_nanousd, http_status,
           (SELECT coalesce(sum(a.cost_nanousd), 0)::bigint FROM attempt a WHERE a.inference_id = i.id) AS calls_nanousd
    FROM inference i WHERE tags ? 'campaign'
"""


@dataclass(frozen=True)
class Usage:
    """One process at one time."""

    handles: int
    resident_mb: float


def usage(pid: int) -> Usage:
    status = Path(f"/proc/{pid}/status").read_text()
    resident_kb = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return Usage(len(list(Path(f"/proc/{pid}/fd").iterdir())), resident_kb / 1024)


def survivors(world) -> dict[str, int]:
    """Name -> process, of all that live from the start to the end."""
    return {
        f"{replica.name} {role}": pid
        for replica in world.replicas
        for role, pid in (("supervisor", replica.process.pid), ("worker", replica.survivor))
    }


def told_properly(book, kills) -> list[str]:
    """No client saw anything but an answer, a proper error, or its connection cut by a kill."""
    found = [f"{each.stage} {each.number}: {each.wrong}" for each in book.told if each.wrong]
    for each in book.told:
        died = any(kill.replica == each.replica and each.began <= kill.at <= each.ended for kill in kills)
        if each.end == "cut" and not died:
            found.append(f"{each.stage} {each.number}: its connection was cut ({each.code}) and no worker was killed")
    return found


def answers_flow(book) -> list[str]:
    """A store that is away refuses nobody whose key has no budget, and Redis alone refuses nobody at all."""
    return [
        f"{each.stage} {each.number}: {each.key} was refused ({each.kind})"
        for each in book.told
        if each.code in NO_STORE and (each.key == "open" or each.stage.startswith("Redis"))
    ]


def stored_once(book, rows) -> list[str]:
    """What was answered is there exactly once, at the price that was told; nothing is there twice or unasked."""
    by_number, found = defaultdict(list), []
    for row in rows:
        by_number[int(row["number"])].append(row)
    for each in book.told:
        mine, name = by_number.pop(each.number, []), f"{each.stage} {each.number} ({each.kind}, {each.id})"
        if len(mine) > 1:
            found.append(f"{name}: {len(mine)} rows")
        if each.end in {"answer", "error"}:
            found += [f"{name}: {wrong}" for wrong in _compared(each, mine)]
    return found + [f"{number}: in SQL and never asked" for number in by_number]


def _compared(told, rows) -> list[str]:
    if not rows:
        # Refused before a run began: nothing was spent and nothing told; an answer, or a price, has a row.
        return ["answered and not stored"] if told.end == "answer" or told.cost_nanousd is not None else []
    (row, *_) = rows
    if row["id"] != told.id:
        return [f"stored as {row['id']}"]
    if told.cost_nanousd is not None and row["cost_nanousd"] != told.cost_nanousd:
        return [f"told {told.cost_nanousd} nano-dollars, stored {row['cost_nanousd']}"]
    return []


def prices_add_up(rows) -> list[str]:
    """A request's price is the sum of its calls'; a late cost that was journalled is kept without its call."""
    return [
        f"{row['id']}: {row['cost_nanousd']} + {row['late_cost_nanousd']} late, its calls {row['calls_nanousd']}"
        for row in rows
        if row["calls_nanousd"] not in {_spent(row), row["cost_nanousd"]}
    ]


def caps_held(book, rows) -> list[str]:
    """No request spent more than its own cap, late costs included."""
    caps = {each.number: each.cap_nanousd for each in book.told if each.cap_nanousd is not None}
    return [
        f"{row['id']}: spent {spent} of a cap of {cap} nano-dollars"
        for row in rows
        if (cap := caps.get(int(row["number"]))) is not None and (spent := _spent(row)) > cap
    ]


def budgets_held(rows, budgets) -> list[str]:
    """Settled spend and the ledger's books are within each budget, and the books hold no less than what the rows say.

    They may hold more: what a killed worker or an emptied Redis held counts as spent.
    """
    found = []
    for budget in budgets:
        spent = sum(spent_by(budget, rows))
        booked, limit = budget["spent_nanousd"], budget["limit_nanousd"]
        if limit is not None and max(spent, booked) > limit:
            found.append(f"{budget['id']}: {spent} spent, {booked} booked of {limit} nano-dollars")
        if booked < spent:
            found.append(f"{budget['id']}: booked {booked} nano-dollars, less than the {spent} of its rows")
    return found


def spent_by(budget, rows) -> list[int]:
    """What each request that a budget counts has cost."""
    return [_spent(row) for row in rows if budget["owner"] in {row["key_id"], row["team"]}]


def nothing_reserved(reservations, budgets) -> list[str]:
    """No reservation is left open after the lease time."""
    found = [
        f"reserved: {row['amount_nanousd']} of {row['budget_id']} by {row['worker']}"
        for row in reservations
        if row["amount_nanousd"]
    ]
    left = [f"{row['id']}: {row['reserved_nanousd']} reserved" for row in budgets if row["reserved_nanousd"]]
    return found + left


def journals_empty(world) -> list[str]:
    """Everything that was journalled is in the database."""
    return [
        f"{path}: {path.stat().st_size} bytes"
        for replica in world.replicas
        for path in replica.journal.iterdir()
        if path.stat().st_size
    ]


def flat(before: dict[str, Usage], after: dict[str, Usage]) -> list[str]:
    """Processes that live through everything hold no more than they did."""
    found = []
    for name, first in before.items():
        last = after[name]
        spare = POOL_HANDLES if name.endswith("worker") else 2
        if last.handles > first.handles + spare:
            found.append(f"{name}: {first.handles} file handles before, {last.handles} after")
        if last.resident_mb > first.resident_mb * MAY_GROW:
            found.append(f"{name}: {first.resident_mb:.0f} MB before, {last.resident_mb:.0f} MB after")
    return found


def no_tracebacks(world) -> list[str]:
    """A fault of ours leaves a traceback."""
    found = []
    for replica in world.replicas:
        lines = replica.log.splitlines()
        places = [place for place, line in enumerate(lines) if "Traceback" in line]
        found += [f"{replica.name}: {' | '.join(lines[max(place - 1, 0) : place + 40])[:4000]}" for place in places[:5]]
    return found


async def settled(world, book) -> list[str]:
    """Wait until backlogs, reservations and journals are gone, no longer than a lease lasts; what is left."""
    end, left = time.monotonic() + LEASE_S, ["not looked at"]
    while left and time.monotonic() < end:
        await asyncio.sleep(0.5)
        left = nothing_reserved(await world.reservations(), await world.budgets()) + journals_empty(world)
        left += stored_once(book, await world.sql(ROWS))
    return left


def _spent(row) -> int:
    return row["cost_nanousd"] + row["late_cost_nanousd"]


def summary(rows) -> str:
    """What is in SQL, in one line."""
    statuses = Counter(row["http_status"] for row in rows)
    return f"{len(rows)} rows, {sum(map(_spent, rows)) / 1e9:.6f} USD, by status {json.dumps(dict(statuses))}"
