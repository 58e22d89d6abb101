"""The composition root: the one place where every part is made and joined."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import httpx
import structlog

from app.config import verifiers
from app.edge.aliases import ModelNames
from app.edge.key_desk import KeyDesk
from app.edge.live import Desk
from app.edge.reports import Extras
from app.observe.metrics import Metrics
from app.observe.request_log import RequestLog
from app.services import Services
from app.store import follow, keep_on, open_history, open_index, watch
from app.wiring_models import open_caller, open_embedder, open_embeddings, paid_questions
from app.wiring_money import open_money, single
from cascade.checks.command import AT_ONCE
from cascade.checks.examiner import Examiner
from cascade.embeddings.call import Embeddings
from cascade.engine import Engine
from cascade.generator import Generator
from cascade.judge import AnswerJudge, JudgeSettings
from cascade.knowledge import Knowledge
from cascade.policies import registry
from cascade.runner import Runner
from router.conversations import Conversations
from router.errors import StoreUnavailable
from router.following_margins import MarginFollower
from router.margins_state import NEWEST, NEWEST_COSTS
from router.starter import Starter
from storage.reports.reports import Reports
from storage.reports.reports import Tier as ReportedTier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from app.config.plan import Plan
    from app.config.settings import Config
    from app.observe.tracing import Tracing
    from router.domain import Tier
    from router.ports import Embedder, History, Observer

_log = structlog.get_logger("gearbox.start")


@asynccontextmanager
async def open_services(
    plan: Plan, *, embedder: Embedder | None = None, tracing: Tracing | None = None
) -> AsyncIterator[Services]:
    """Make everything, and close it in the opposite order.

    Args:
        plan: what to serve.
        tracing: where spans go, None = nowhere; closed by whoever made it.
        embedder: instead of the configured one, and closed by whoever made it.
    """
    async with AsyncExitStack() as stack:
        yield await _services(plan, stack, embedder, tracing)


async def _services(plan: Plan, stack: AsyncExitStack, given: Embedder | None, tracing: Tracing | None) -> Services:
    config, ladder = plan.config, plan.ladder
    history, sql = await open_history(config, stack)
    embedder = given or await open_embedder(config, stack)
    neighbours = await open_index(config, sql, embedder, stack)
    starter = Starter(embedder, neighbours, config.history.scope)
    await follow(config, sql, neighbours, starter, stack, away=history.away)
    knowledge = await _knowledge(plan, history, starter, stack)
    metrics = Metrics(plan.environment.prometheus_folder)
    money = await open_money(plan, stack, metrics)
    engine = Engine(
        ladder.tiers,
        plan.policy,
        starter,
        _runner(plan, stack, tracing),
        history,
        _observers(config, metrics, tracing),
        knowledge=knowledge,
        conversations=await _conversations(plan, history),
        judge_fails_open=config.judge.fail == "open",
        ledger=money.ledger,
        default_output_tokens=config.limits.default_max_output_tokens,
        cache=money.cache,
        optimistic_from=config.stream.optimistic_from,
        questions=paid_questions(config.embedding, embedder),
    )
    desk = Desk(engine, config.server.linger_s, money.shared)
    stack.push_async_callback(desk.drain)
    return Services(
        engine=engine,
        desk=desk,
        embeddings=Embeddings(open_embeddings(plan, embedder, stack), engine, ladder.tiers),
        history=history,
        reports=Reports(sql.engine, second_best(ladder.tiers)),
        starter=starter,
        keys=money.keys,
        admin=KeyDesk(money.directory, money.bank, money.keys.refresh, money.keys.static_ids),
        names=_names(plan),
        ladder=ladder.tiers,
        metrics=metrics,
        extras=Extras(config.server.extras.usage_cost, config.server.extras.gearbox_object),
        max_body_bytes=int(config.server.max_body_mb * 1024 * 1024),
        hold_status_s=config.server.hold_status_s,
        checks={"store": history.ready, "embedding": embedder.ping},
        notes=lambda: {**history.notes(), **money.notes()},
        look_at_gauges=watch(history, neighbours, metrics, stack),
        close=stack.aclose,
        started_at=time.time(),
    )


def _runner(plan: Plan, stack: AsyncExitStack, tracing: Tracing | None) -> Runner:
    """Whoever acts: asks tiers, has answers judged, runs the operator's verifiers."""
    caller, settings = open_caller(plan, stack, tracing), plan.config.judge
    judge = AnswerJudge(caller, JudgeSettings(settings.max_tokens, settings.fail == "open"))
    tiers = {tier.name: tier for tier in plan.ladder.tiers}
    return Runner(tiers, Generator(caller), judge, _examiner(plan.config, stack))


def _observers(config: Config, metrics: Metrics, tracing: Tracing | None) -> list[Observer]:
    """Who sees every outcome."""
    return [metrics, RequestLog(prompts=config.server.log_prompts), *([tracing] if tracing else [])]


def _names(plan: Plan) -> ModelNames:
    """Every name that `model` may have."""
    tiers = tuple(tier.name for tier in plan.ladder.tiers)
    return ModelNames(registry.names(), tiers, plan.ladder.aliases, tuple(each.name for each in plan.embeddings))


async def _knowledge(plan: Plan, history: History, starter: Starter, stack: AsyncExitStack) -> Knowledge:
    """Margins as they were before the last stop, kept in step with other workers' from then on; the skill profiles."""
    knowledge = Knowledge.of([plan.policy(name) for name in registry.names()], starter.model)
    try:
        for policies, newest in ((knowledge.margin_policies, NEWEST), (knowledge.cost_policies, NEWEST_COSTS)):
            async for batch in history.pasts(policies, newest):
                knowledge.load((starter.scope_of(team), past) for team, past in batch)
    except StoreUnavailable as error:  # serving goes on without the database, and so does learning margins
        _log.warning("margins start anew", why=error.message)
    following = MarginFollower(history, knowledge, starter.scope_of, poll_s=plan.config.store.poll_s)
    keep_on(following.run(), stack)
    return knowledge


def _examiner(config: Config, stack: AsyncExitStack) -> Examiner:
    """The operator's verifiers; their endpoints get a client that knows none of the upstreams' keys."""
    client = httpx.AsyncClient()
    stack.push_async_callback(client.aclose)
    return Examiner(verifiers.build(config.verifiers, client, asyncio.Semaphore(AT_ONCE)))


async def _conversations(plan: Plan, history: History) -> Conversations:
    wanted, elsewhere = plan.config.sessions, None if single(plan) else history
    conversations = Conversations(wanted.warm_s, wanted.remembered_s, elsewhere=elsewhere)
    try:
        conversations.load(await history.turns(conversations.since))
    except StoreUnavailable as error:
        _log.warning("conversations start anew", why=error.message)
    return conversations


def second_best(ladder: Sequence[Tier]) -> ReportedTier | None:
    """The tier below the top, which savings are compared with, too; None where there is none."""
    if len(ladder) < 2:  # noqa: PLR2004 - a top and a second
        return None
    tier = ladder[-2]
    return ReportedTier(tier.name, tier.deployments[0].price)
