"""The part of the composition root that deals with money and sharing: keys, ledger, limits, cache, joins, Redis."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from app.config.digest import digest
from app.edge.auth import KeyRing, static_caller
from app.edge.sharing import SharedRuns
from app.store import patience_s
from cascade.cached import ResponseCache
from router.budgets import BudgetTerms, Period, Scope
from router.errors import ConfigError, StoreUnavailable
from router.pricing import usd_to_nanousd
from storage.engine import create_engine, sqlite_file
from storage.money.bank_redis import RedisBank
from storage.money.bank_sql import SqlBank
from storage.money.keys import SqlDirectory
from storage.money.ledger import LeasedLedger, LedgerSettings
from storage.money.ledger_failover import FailoverLedger
from storage.money.limits import MemoryLimiter, RedisLimiter
from storage.money.limits_sql import SqlLimiter
from storage.money.store_id import store_id
from storage.money.workers import SqlWorkers
from storage.sharing.cache import MemoryCache, RedisCache
from storage.sharing.joins import MemoryJoins, RedisJoins
from storage.sharing.joins_sql import SqlJoins
from storage.sharing.redis_away import MODE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AsyncExitStack

    from app.config.plan import Plan
    from app.config.settings import BudgetConfig, Config
    from app.observe.metrics import Metrics
    from router.ports import Cache, Joins, Ledger, Limiter
    from storage.money.workers import Peer
    from storage.sharing.redis_link import RedisLink

_log = structlog.get_logger("gearbox.start")

#: Seconds between two signs of life.
_RENEW_S = 10.0
#: Seconds between two tries to reach a database that was away at the start, and two looks at Redis.
_RETRY_S = 1.0
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Money:
    """What the rest is joined with. `notes` says what Gearbox goes on without."""

    keys: KeyRing
    directory: SqlDirectory
    bank: SqlBank
    ledger: Ledger
    shared: SharedRuns
    cache: ResponseCache | None
    notes: Callable[[], Mapping[str, str]]


async def open_money(plan: Plan, stack: AsyncExitStack, metrics: Metrics) -> Money:
    """Make it all; the store's tables are up to date already, or the database is away.

    Raises:
        ConfigError: other workers on this store disagree, or would need Redis; or Redis turns us away.
    """
    config, worker = plan.config, uuid.uuid4().hex
    engine = create_engine(config.store.url.get_secret_value())
    stack.push_async_callback(engine.dispose)
    bank, directory = SqlBank(engine, pools=config.redis.url is None), SqlDirectory(engine)
    link = await _link(config, stack)
    await _settle_in(_Newcomer(plan, worker, bank, directory, link), stack)
    keys = await KeyRing.open(config.keys, config.master_key, directory, configured_budgets(config))
    stack.push_async_callback(keys.aclose)
    ledger = await _ledger(config, bank, worker, link)
    stack.push_async_callback(ledger.aclose)
    limiter, joins, cache = _shared(plan, bank, link)
    if link is not None:
        watching = asyncio.create_task(_watch(link, metrics), name="gearbox-redis")
        stack.push_async_callback(_ended, watching)
    return Money(
        keys=keys,
        directory=directory,
        bank=bank,
        ledger=ledger,
        shared=SharedRuns(limiter, joins, plan.ladder.tiers),
        cache=_response_cache(plan, cache),
        notes=lambda: {"redis": MODE} if link is not None and link.away else {},
    )


def configured_budgets(config: Config) -> list[BudgetTerms]:
    """The budgets of gearbox.yaml: of its keys, of teams, of all."""
    found = [
        _terms(Scope.KEY, static_caller(key, place).key_id, each)
        for place, key in enumerate(config.keys, start=1)
        for each in key.budgets
    ]
    shared = [
        _terms(Scope.GLOBAL if each.team is None else Scope.TEAM, each.team or "", each) for each in config.budgets
    ]
    return [*found, *shared]


def agreed(plan: Plan) -> str:
    """The digest of what workers that share a ledger must agree on: models, prices, keys and budgets, no secret."""
    callers = [static_caller(key, place) for place, key in enumerate(plan.config.keys, start=1)]
    parts = (plan.ladder.tiers, callers, configured_budgets(plan.config), plan.config.limits)
    return digest(parts)


def _terms(scope: Scope, owner: str, each: BudgetConfig) -> BudgetTerms:
    limit = None if each.usd is None else usd_to_nanousd(each.usd)
    soft = None if each.soft_usd is None else usd_to_nanousd(each.soft_usd)
    return BudgetTerms(scope, owner, Period(each.per), limit, soft)


async def _link(config: Config, stack: AsyncExitStack) -> RedisLink | None:
    if config.redis.url is None:
        return None
    from storage.sharing.redis_link import RedisLink  # noqa: PLC0415 - heavy: the client brings OpenTelemetry along

    link = RedisLink(config.redis.url.get_secret_value())
    stack.push_async_callback(link.aclose)
    await link.greet()
    return link


async def _ledger(config: Config, bank: SqlBank, worker: str, link: RedisLink | None) -> Ledger:
    settings = LedgerSettings(ahead_nanousd=usd_to_nanousd(config.ledger.ahead_usd))
    if link is None:
        return LeasedLedger(bank, worker, settings)
    pool = RedisBank(bank, link)
    with suppress(StoreUnavailable):  # away at the start as at any other time
        await pool.join()
    return FailoverLedger(LeasedLedger(pool, worker, settings), LeasedLedger(bank, f"{worker}:sql", settings))


def _shared(plan: Plan, bank: SqlBank, link: RedisLink | None) -> tuple[Limiter, Joins, Cache]:
    """Through Redis; without it, or while it is away, through SQL; while that is away, too, each worker by itself."""
    patience = patience_s(plan.config.store)
    joins: Joins = SqlJoins(bank.engine, MemoryJoins(), patience)
    limiter: Limiter = MemoryLimiter() if single(plan) else SqlLimiter(bank.engine, MemoryLimiter(), patience)
    if link is None:
        return limiter, joins, MemoryCache(int(plan.config.cache.max_mb * _MB))
    return RedisLimiter(link, limiter), RedisJoins(link, joins), RedisCache(link)


def single(plan: Plan) -> bool:
    """Whether this process expects to be alone on its store; it may then count in memory what others cannot see."""
    return plan.environment.workers == 0 and sqlite_file(plan.config.store.url.get_secret_value()) is not None


def _response_cache(plan: Plan, cache: Cache) -> ResponseCache | None:
    wanted = plan.config.cache
    if wanted.ttl_s is None:
        return None
    return ResponseCache(cache, wanted.ttl_s, wanted.shared, answered_by(plan))


def answered_by(plan: Plan) -> str:
    """The digest of all that is configured and can change an answer: models and where they are, who checks and judges.

    Policies' settings come with each request. Secrets are masked, so that a new key for the same model changes nothing.
    """
    ladder, config = plan.ladder, plan.config
    return digest((ladder.tiers, ladder.endpoints, config.verifiers, config.judge))


# other workers


@dataclass(frozen=True, slots=True)
class _Newcomer:
    """A worker that is about to share a store with others."""

    plan: Plan
    worker: str
    bank: SqlBank
    directory: SqlDirectory
    link: RedisLink | None

    async def enter(self) -> None:
        """Meet the others, set the configured budgets, and learn the store's name.

        Raises:
            ConfigError: the others disagree, or Redis is needed.
            StoreUnavailable: the database is away.
        """
        workers = SqlWorkers(self.bank)
        peers = await workers.enter(self.worker, agreed(self.plan))
        try:
            _check_agreement(self.plan, peers)
            if peers and self.link is None and single(self.plan):
                await _check_alone(self.plan, self.directory, peers)
        except ConfigError:
            await workers.leave(self.worker)
            raise
        await self.directory.budgets.configure(configured_budgets(self.plan.config))
        if self.link is not None:
            self.link.name(await store_id(self.bank.engine))

    async def stay(self, *, entered: bool) -> None:
        """Give signs of life; enter once the database is there where it was away, at the start or for too long."""
        while True:
            await asyncio.sleep(_RENEW_S if entered else _RETRY_S)
            try:
                if entered:
                    entered = await SqlWorkers(self.bank).renew(self.worker)
                else:
                    await self.enter()
                    entered = True
            except StoreUnavailable as error:
                _log.warning("no sign of life could be given", why=error.message)
            except ConfigError as error:  # too late to refuse: requests are being served
                _log.error("this worker should not share its store", why=error.message)
                entered = True

    async def leave(self) -> None:
        """It is gone."""
        with suppress(StoreUnavailable):
            await SqlWorkers(self.bank).leave(self.worker)


async def _settle_in(newcomer: _Newcomer, stack: AsyncExitStack) -> None:
    entered = True
    try:
        await newcomer.enter()
    except StoreUnavailable as error:
        _log.warning("budgets and other workers are not known until the database is there", why=error.message)
        entered = False
    stack.push_async_callback(newcomer.leave)
    staying = asyncio.create_task(newcomer.stay(entered=entered), name="gearbox-worker")
    stack.push_async_callback(_ended, staying)


def _check_agreement(plan: Plan, peers: Sequence[Peer]) -> None:
    others = sorted({peer.host for peer in peers if peer.config != agreed(plan)})
    if not others:
        return
    words = (
        f"the workers {', '.join(others)} share this store with other tiers, prices, keys or budgets: they would count "
        "different things into one ledger"
    )
    if plan.config.ledger.mixed_configs == "refuse":
        raise ConfigError(
            f"{words}. Stop them first, give all the same gearbox.yaml, or allow it while you change over: "
            "ledger: {mixed_configs: warn}"
        )
    _log.warning(words)


async def _check_alone(plan: Plan, directory: SqlDirectory, peers: Sequence[Peer]) -> None:
    """This process counts rates in memory, and so does the other: each key would be let in several times as often."""
    callers = [static_caller(key, place) for place, key in enumerate(plan.config.keys, start=1)]
    limited = [caller.key_id for caller in callers if caller.limits.any]
    limited += [record.id for record in await directory.all() if record.limits.any and record.revoked_at is None]
    if limited:
        raise ConfigError(
            f"{len(peers) + 1} workers share this store and keys have rate limits ({', '.join(limited[:3])}): each "
            "would allow them in full: start them as one, gearbox serve --workers 2, or use redis: {url: redis://...}"
        )


async def _watch(link: RedisLink, metrics: Metrics) -> None:
    """Ask Redis itself now and then, so that its coming back is seen without traffic."""
    while True:
        with suppress(StoreUnavailable):
            await link.ping()
        metrics.redis_away.set(float(link.away))
        await asyncio.sleep(_RETRY_S)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
