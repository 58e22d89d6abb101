"""One worker's clients, all spending one budget until it is spent; prints what each call cost. Run by a test.

Arguments: the store's URL, Redis's URL or "-", the budget, how many clients.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys

from router.errors import QuotaSpent, RateLimited, StoreUnavailable
from storage.engine import create_engine
from storage.money.bank_redis import RedisBank
from storage.money.bank_sql import SqlBank
from storage.money.ledger import LeasedLedger, LedgerSettings
from storage.money.ledger_failover import FailoverLedger
from storage.sharing.redis_link import RedisLink

WORST = 1_000
TTL_S = 3.0
SETTINGS = LedgerSettings(ahead_nanousd=5_000, tick_s=0.1, renew_s=0.5, idle_s=0.3, late_s=2.0)


async def client(ledger, budget, dice):
    while True:
        try:
            hold = await ledger.reserve([budget], WORST, 5.0)
        except RateLimited:
            say("busy")
            continue
        except StoreUnavailable:
            say("away")
            await asyncio.sleep(0.05)
            continue
        except QuotaSpent:
            say("spent")
            return
        await asyncio.sleep(dice.uniform(0.001, 0.02))
        cost = dice.randint(WORST // 2, WORST)
        say(str(cost))
        ledger.settle(hold, cost)


def say(word):
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


async def main(store, redis, budget, clients):
    engine = create_engine(store)
    bank, worker = SqlBank(engine, ttl_s=TTL_S, pools=redis == "-"), f"w-{os.getpid()}"
    ledger = LeasedLedger(bank, worker, SETTINGS)
    link = None
    if redis != "-":
        link = RedisLink(redis)
        link.name("test")
        pool = RedisBank(bank, link, ttl_s=TTL_S)
        ledger = FailoverLedger(LeasedLedger(pool, worker, SETTINGS), ledger)
    say("ready")
    await asyncio.to_thread(sys.stdin.readline)
    dice = random.Random(os.getpid())
    await asyncio.gather(*(client(ledger, budget, dice) for _ in range(int(clients))))
    await ledger.aclose()
    if link is not None:
        await link.aclose()
    await engine.dispose()


asyncio.run(main(*sys.argv[1:]))
