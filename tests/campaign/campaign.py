"""The fault campaign: real servers, many clients, and everything that can be killed, stopped, paused or emptied.

Stages, each under load with upstream faults mixed in; then everything is compared (`audit`). Any breach is an exit
code of 1. Run by scripts/campaign; `--quick` is the minute that the test suite runs. The same seed asks the same
questions in the same order of each client; what meets which outage is up to the machine.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import time
from dataclasses import dataclass, field, replace

import audit
from breakage import Killer, everything_at_once, postgres_outages, redis_outages
from replicas import running_world
from traffic import Book, Clients

from cascade.quotes import Means, Size, quote
from router.domain import Deployment
from router.pricing import Price, Rates, per_mtok

PRICES_USD = {"small": (0.05, 0.4), "medium": (0.5, 4.0), "large": (5.0, 40.0)}
#: Keys by the budget that bounds them. `open`: none; `tight`: reached under way; `pair-a`, `pair-b`: their team's.
KEYS = ("open", "rich", "tight", "pair-a", "pair-b")
TIGHT_USD, PAIR_USD, RICH_USD, ALL_USD = 0.05, 0.2, 100, 0.01
#: One question that costs the same each time, slow enough that all who ask at once are in flight together. Its tier
#: alone has patient time-outs (no hang is mixed into it): a slow machine must not turn its one answer into a time-out.
FIRST_TIER = "medium"
FIRST = {
    "model": FIRST_TIER,
    "messages": [{"role": "user", "content": "What is 17 + 25?"}],
    "max_tokens": 50,
    "simulate": {FIRST_TIER: {"fault": "slow_first_token", "seconds": 1.0}},
}
PATIENT = {"first_token_s": 30, "total_s": 30}


@dataclass(frozen=True)
class Scale:
    """How large a campaign is."""

    workers: int
    clients: int
    kills: int
    crowd: int
    crowd_usd: float
    firsts: int
    outage_s: float
    rounds: int


QUICK = Scale(workers=2, clients=12, kills=2, crowd=32, crowd_usd=0.02, firsts=1, outage_s=1.5, rounds=1)
FULL = Scale(workers=4, clients=48, kills=100, crowd=256, crowd_usd=0.1, firsts=10, outage_s=5.0, rounds=2)


@dataclass
class Report:
    """The table that is printed, and every breach."""

    rows: list[tuple[str, str]] = field(default_factory=list)
    breaches: list[str] = field(default_factory=list)

    def add(self, what: str, numbers: str) -> None:
        self.rows.append((what, numbers))
        say(f"| {what} | {numbers} |")

    def check(self, what: str, found: list[str]) -> None:
        self.add(what, "yes" if not found else f"NO: {len(found)} breaches")
        self.breaches += [f"{what}: {each}" for each in found]


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's output


def first_nanousd() -> int:
    """The worst case of `FIRST`, in nano-dollars: what a budget for exactly one of them is."""
    price_in, price_out = PRICES_USD[FIRST_TIER]
    place = Deployment("d", f"simulated/{FIRST_TIER}", Price(Rates(per_mtok(price_in), per_mtok(price_out))))
    offer = quote(Size.of(FIRST), place, Means(None, budgeted=True))
    assert offer is not None
    return offer.worst_nanousd


def configuration(size: Scale) -> dict:
    """Short time-outs, so that a hang is over soon; no cool-down, or the mixed-in faults would stop everybody."""
    own = {"tight": TIGHT_USD, "rich": RICH_USD, "crowd": size.crowd_usd}
    own |= {f"first-{number}": first_nanousd() / 1e9 for number in range(size.firsts)}
    names = [*KEYS, *(name for name in own if name not in KEYS)]
    return {
        "tiers": [
            {
                "name": name,
                "deployments": [{"model": f"simulated/{name}", "timeouts": PATIENT if name == FIRST_TIER else {}}],
                "price": {"input_usd_per_mtok": price_in, "output_usd_per_mtok": price_out},
            }
            for name, (price_in, price_out) in PRICES_USD.items()
        ],
        "keys": [
            {
                "key": name,
                "id": name,
                "team": f"team-{name.partition('-')[0]}",
                "budgets": [{"per": "total", "usd": own[name]}] if name in own else [],
            }
            for name in names
        ],
        "budgets": [{"team": "team-pair", "per": "total", "usd": PAIR_USD}],
        "policy": {"llm-at": {"cold_start": 10**6}},
        "judge": {"max_tokens": 256},
        "server": {"hold_status_s": 0.3, "linger_s": 1, "shutdown_s": 20},
        "retries": {"attempts": 2, "backoff_s": 0.05, "cooldown_s": 0},
        "timeouts": {"first_token_s": 1.5, "total_s": 3},
        "store": {"start_wait_s": 5},
    }


class Campaign:
    """The stages, in order."""

    def __init__(self, world, size: Scale, seed: int) -> None:
        self.world = world
        self.size = size
        self.book = Book()
        self.clients = Clients(world, self.book, seed)
        self.killer = Killer(world)
        self.report = Report()

    async def run(self) -> Report:
        world, size = self.world, self.size
        await self.under_load("warm-up", asyncio.sleep(size.outage_s * 2))
        before = await self.survivors()
        await self.under_load(f"kill -9, {size.kills} times", self.killer.kill(size.kills))
        await world.wait(world.complete, "every killed worker is replaced")
        for number in range(1, size.rounds + 1):
            await self.under_load(f"Redis paused, emptied ({number})", redis_outages(world, size.outage_s))
            await self.under_load(f"PostgreSQL stopped, paused ({number})", postgres_outages(world, size.outage_s))
        await self.under_load("both away, workers killed", everything_at_once(world, self.killer, size.outage_s))
        await world.wait(world.complete, "every killed worker is replaced")
        await self.crowd()
        await self.firsts()
        await self.all_together()
        await self.judge(before)
        return self.report

    async def under_load(self, stage: str, breaking) -> None:
        over = asyncio.create_task(breaking)
        began = time.monotonic()
        await self.clients.crowd(stage, self.size.clients, list(KEYS), lambda _: not over.done())
        await over
        self.told(stage, time.monotonic() - began)

    async def crowd(self) -> None:
        """Everybody on one key with a small budget, until each was told that it is spent."""
        stage = f"{self.size.crowd} clients, one key of {self.size.crowd_usd} USD"
        began = time.monotonic()
        await self.clients.crowd(stage, self.size.crowd, ["crowd"], _until_spent, leaving=0, faults=False)
        self.told(stage, time.monotonic() - began)

    async def firsts(self) -> None:
        """Eight at once, and a budget that pays for exactly one."""
        for number in range(self.size.firsts):
            stage = f"8 at once, money for one ({number + 1})"
            fixed = {"body": FIRST, "leaving": 0, "pause_s": 0}
            await self.clients.crowd(stage, 8, [f"first-{number}"], lambda last: last is None, **fixed)
            found = self.book.counts(stage)
            refused = found["429 insufficient_quota"] + found["429 rate_limit_exceeded"]
            if (found["answer"], refused) != (1, 7):
                self.report.breaches.append(f"{stage}: {dict(found)}")
            self.told(stage)

    async def all_together(self) -> None:
        """A global budget comes, bounds every key, and goes."""
        stage = f"a global budget of {ALL_USD} USD"
        made = await self.world.admin("PUT", "budgets", per="total", usd=ALL_USD)
        await asyncio.sleep(3)  # every worker looks for changes every other second
        await self.clients.crowd(stage, self.size.clients, ["open"], _until_spent, leaving=0, faults=False)
        numbers = {each.number for each in self.book.of(stage)}
        rows = [row for row in await self.world.sql(audit.ROWS) if int(row["number"]) in numbers]
        spent = sum(row["cost_nanousd"] + row["late_cost_nanousd"] for row in rows)
        self.told(stage)
        self.report.check(f"{stage}: {spent / 1e9:.6f} USD spent", [] if spent <= ALL_USD * 1e9 else ["overspent"])
        await self.world.admin("DELETE", f"budgets/{made['id']}")

    def told(self, stage: str, seconds: float | None = None) -> None:
        took = "" if seconds is None else f" in {seconds:.0f} s"
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(self.book.counts(stage).items()))
        self.report.add(stage, f"{len(self.book.of(stage))} requests{took}: {counts}")

    async def survivors(self) -> dict[str, audit.Usage]:
        return {name: audit.usage(pid) for name, pid in audit.survivors(self.world).items()}

    async def judge(self, before) -> None:
        """Everything that must be true."""
        report, world, book = self.report, self.world, self.book
        left = await audit.settled(world, book)
        rows, budgets = await world.sql(audit.ROWS), await world.budgets()
        after = await self.survivors()
        for name, first in before.items():
            last = after[name]
            told = f"{first.handles} -> {last.handles} handles, {first.resident_mb:.0f} -> {last.resident_mb:.0f} MB"
            report.add(name, told)
        for budget in budgets:
            spent, limit = budget["spent_nanousd"] / 1e9, (budget["limit_nanousd"] or 0) / 1e9
            if not budget["owner"].startswith("first"):
                paid = sum(audit.spent_by(budget, rows)) / 1e9
                report.add(f"budget {budget['id']}", f"{paid:.6f} of {limit:g} USD spent, {spent:.6f} booked")
        report.add("stored", audit.summary(rows))
        report.check("nothing reserved, journalled or unstored is left", left)
        report.check("only answers, proper errors, and cuts by a kill", audit.told_properly(book, self.killer.kills))
        report.check("answers flow while the store is away", audit.answers_flow(book))
        report.check("every answer stored exactly once, at the price told", audit.stored_once(book, rows))
        report.check("prices are the sums of their calls", audit.prices_add_up(rows))
        report.check("every request's cap held", audit.caps_held(book, rows))
        report.check("every budget held, and booked in full", audit.budgets_held(rows, budgets))
        report.check("survivors' handles and memory are flat", audit.flat(before, after))
        report.check("no fault of ours in the logs", audit.no_tracebacks(world))
        report.check("both replicas are ready", [] if await world.ready() else ["not ready"])


def _until_spent(last) -> bool:
    return last is None or last.code != "insufficient_quota"


async def main(size: Scale, seed: int) -> int:
    began = time.monotonic()
    say("| stage or claim | numbers |\n|---|---|")
    master_key = secrets.token_hex(16)
    async with running_world(configuration(size), 2, size.workers, master_key) as world:
        report = await Campaign(world, size, seed).run()
    for breach in report.breaches[:40]:
        say(f"BREACH {breach}")
    say(f"{time.monotonic() - began:.0f} s, {len(report.breaches)} breaches")
    return 1 if report.breaches else 0


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true", help="a minute instead of a quarter of an hour")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--kills", type=int, help="instead of the scale's own number")
    given = options.parse_args()
    scale = QUICK if given.quick else FULL
    sys.exit(asyncio.run(main(replace(scale, kills=given.kills or scale.kills), given.seed)))
