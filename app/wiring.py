"""The composition root: the one place where every part is made and joined."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx
import structlog
from httpx_aiohttp import AiohttpTransport

from app.config import verifiers
from app.edge.aliases import ModelNames
from app.edge.key_desk import KeyDesk
from app.edge.live import Desk
from app.edge.reports import Extras
from app.observe.metrics import Metrics
from app.observe.request_log import RequestLog
from app.services import Services
from app.store import follow, open_history, open_index, watch
from app.wiring_money import open_money
from cascade.caller import Caller, RetrySettings
from cascade.checks.command import AT_ONCE
from cascade.checks.examiner import Examiner
from cascade.deployments import Deployments
from cascade.embeddings.call import Embeddings
from cascade.embeddings.local import LocalEmbeddings
from cascade.embeddings.remote import RemoteEmbeddings
from cascade.engine import Engine
from cascade.generator import Generator
from cascade.judge import AnswerJudge, JudgeSettings
from cascade.knowledge import Knowledge
from cascade.policies import registry
from cascade.runner import Runner
from cascade.simulated import SimulatedUpstream
from cascade.upstreams import litellm_adapter
from cascade.upstreams.http_reply import InProcessTransport
from cascade.upstreams.litellm_adapter import LiteLLM
from cascade.upstreams.openai_compat import OpenAICompatible
from router.conversations import Conversations
from router.embedding import DEFAULT_MODEL, SentenceTransformerEmbedder
from router.embedding_remote import OpenAIEmbedder
from router.endpoints import Secret
from router.errors import StoreUnavailable
from router.pricing import Price, Rates, per_mtok
from router.starter import Starter
from storage.reports.reports import Reports
from storage.reports.reports import Tier as ReportedTier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from app.config.plan import Plan
    from app.config.settings import Config
    from app.observe.tracing import Tracing
    from cascade.embeddings.call import EmbeddingSource
    from router.domain import Tier
    from router.endpoints import Endpoint
    from router.ports import ChatModel, Embedder, History, Observer

_log = structlog.get_logger("gearbox.start")

#: Connections to upstreams, all deployments together.
MAX_CONNECTIONS = 1000

#: The simulated tiers' address; nothing is resolved, the transport answers in process.
SIMULATED_BASE = "http://simulated.invalid/v1"


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
    embedder = given or await _embedder(config, stack)
    neighbours = await open_index(config, sql, embedder, stack)
    starter = Starter(embedder, neighbours, config.history.scope)
    await follow(config, sql, neighbours, starter, stack, away=history.away)
    knowledge = await _knowledge(plan, history, starter)
    caller = open_caller(plan, stack, tracing)
    tiers = {tier.name: tier for tier in ladder.tiers}
    judge = AnswerJudge(caller, JudgeSettings(config.judge.max_tokens, config.judge.fail == "open"))
    metrics = Metrics(plan.environment.prometheus_folder)
    money = await open_money(plan, stack, metrics)
    look_at_gauges = watch(history, neighbours, metrics, stack)
    observers: list[Observer] = [
        metrics,
        RequestLog(prompts=config.server.log_prompts),
        *([tracing] if tracing else []),
    ]
    engine = Engine(
        ladder.tiers,
        plan.policy,
        starter,
        Runner(tiers, Generator(caller), judge, _examiner(config, stack)),
        history,
        observers,
        knowledge=knowledge,
        conversations=await _conversations(config, history),
        judge_fails_open=config.judge.fail == "open",
        ledger=money.ledger,
        default_output_tokens=config.limits.default_max_output_tokens,
        cache=money.cache,
        optimistic_from=config.stream.optimistic_from,
    )
    desk = Desk(engine, config.server.linger_s, money.shared)
    stack.push_async_callback(desk.drain)
    return Services(
        engine=engine,
        desk=desk,
        embeddings=Embeddings(_embedding_source(config, embedder, stack), engine, ladder.tiers),
        history=history,
        reports=Reports(sql.engine, second_best(ladder.tiers)),
        starter=starter,
        keys=money.keys,
        admin=KeyDesk(money.directory, money.bank, money.keys.refresh),
        names=ModelNames(registry.names(), tuple(tiers), ladder.aliases),
        ladder=ladder.tiers,
        metrics=metrics,
        extras=Extras(config.server.extras.usage_cost, config.server.extras.gearbox_object),
        max_body_bytes=int(config.server.max_body_mb * 1024 * 1024),
        hold_status_s=config.server.hold_status_s,
        checks={"store": history.ready, "embedding": embedder.ping},
        notes=lambda: {**history.notes(), **money.notes()},
        look_at_gauges=look_at_gauges,
        close=stack.aclose,
        started_at=time.time(),
    )


def open_caller(plan: Plan, stack: AsyncExitStack, tracing: Tracing | None = None) -> Caller:
    """What makes paid calls to the ladder's tiers."""
    config = plan.config
    deployments = Deployments(cooldown_failures=config.retries.cooldown_failures, cooldown_s=config.retries.cooldown_s)
    models = _traced(_models(plan.ladder.endpoints, stack), plan, tracing)
    return Caller(models, deployments, _retry(config))


async def _knowledge(plan: Plan, history: History, starter: Starter) -> Knowledge:
    """Margins as they were before the last stop, and the skill profiles."""
    knowledge = Knowledge.of([plan.policy(name) for name in registry.names()], starter.model)
    try:
        async for batch in history.pasts(knowledge.margin_policies):
            knowledge.load((starter.scope_of(team), past) for team, past in batch)
    except StoreUnavailable as error:  # serving goes on without the database, and so does learning margins
        _log.warning("margins start anew", why=error.message)
    return knowledge


def _examiner(config: Config, stack: AsyncExitStack) -> Examiner:
    """The operator's verifiers; their endpoints get a client that knows none of the upstreams' keys."""
    client = httpx.AsyncClient()
    stack.push_async_callback(client.aclose)
    return Examiner(verifiers.build(config.verifiers, client, asyncio.Semaphore(AT_ONCE)))


async def _conversations(config: Config, history: History) -> Conversations:
    conversations = Conversations(config.sessions.warm_s, config.sessions.remembered_s)
    try:
        conversations.load(await history.turns(conversations.since))
    except StoreUnavailable as error:
        _log.warning("conversations start anew", why=error.message)
    return conversations


def _traced(models: dict[str, ChatModel], plan: Plan, tracing: Tracing | None) -> dict[str, ChatModel]:
    """The same models, with spans around their calls where somebody wants spans."""
    if tracing is None:
        return models
    tiers = {deployment.id: tier.name for tier in plan.ladder.tiers for deployment in tier.deployments}
    endpoints = plan.ladder.endpoints
    return {name: tracing.model(model, tiers.get(name, ""), endpoints[name]) for name, model in models.items()}


def second_best(ladder: Sequence[Tier]) -> ReportedTier | None:
    """The tier below the top, which savings are compared with, too; None where there is none."""
    if len(ladder) < 2:  # noqa: PLR2004 - a top and a second
        return None
    tier = ladder[-2]
    return ReportedTier(tier.name, tier.deployments[0].price)


def _models(endpoints: Mapping[str, Endpoint], stack: AsyncExitStack) -> dict[str, ChatModel]:
    """Deployment id -> the model behind it; one client for all real endpoints, one for the simulated tiers."""
    limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
    real = httpx.AsyncClient(transport=AiohttpTransport(limits=limits), timeout=None)  # noqa: S113 - set for each call
    stack.push_async_callback(real.aclose)
    simulated = _simulated(stack)
    models: dict[str, ChatModel] = {}
    for name, endpoint in endpoints.items():
        match endpoint.kind:
            case "simulated":
                models[name] = OpenAICompatible(replace(endpoint, api_base=SIMULATED_BASE), simulated)
            case "openai":
                models[name] = OpenAICompatible(endpoint, real)
            case "litellm":
                models[name] = LiteLLM(endpoint)
    if any(endpoint.kind == "litellm" for endpoint in endpoints.values()):
        stack.push_async_callback(litellm_adapter.close)
        stack.push_async_callback(_ended, asyncio.create_task(litellm_adapter.warm()))
    return models


def _simulated(stack: AsyncExitStack) -> httpx.AsyncClient:
    client = httpx.AsyncClient(transport=InProcessTransport(SimulatedUpstream()))
    stack.push_async_callback(client.aclose)
    return client


async def _embedder(config: Config, stack: AsyncExitStack) -> Embedder:
    wanted = config.embedding
    if wanted.api_base is not None:
        client = httpx.AsyncClient(timeout=30)
        stack.push_async_callback(client.aclose)
        key = wanted.api_key.get_secret_value() if wanted.api_key else ""
        remote = OpenAIEmbedder(wanted.api_base, key, wanted.model, client)
        await remote.embed("How long are the vectors?")
        return remote
    local = SentenceTransformerEmbedder(wanted.model)
    stack.push_async_callback(local.aclose)
    if wanted.model == DEFAULT_MODEL:
        # Its dimensions are known, so the server can listen while torch loads; requests wait for it where they need it.
        warming = asyncio.create_task(local.warm())
        stack.push_async_callback(_ended, warming)
    else:
        await local.warm()
    return local


def _embedding_source(config: Config, embedder: Embedder, stack: AsyncExitStack) -> EmbeddingSource:
    """Who embeds for clients: the configured endpoint, else the model that embeds our own questions."""
    wanted = config.embedding
    if wanted.api_base is None:
        return LocalEmbeddings(embedder)
    client = httpx.AsyncClient(transport=AiohttpTransport(), timeout=None)  # noqa: S113 - one limit over the whole call
    stack.push_async_callback(client.aclose)
    key = None if wanted.api_key is None else Secret(wanted.api_key.get_secret_value())
    usd = wanted.input_usd_per_mtok
    price = None if usd is None else Price(Rates(per_mtok(usd), 0))
    return RemoteEmbeddings(wanted.api_base, key, wanted.model, price, client)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _retry(config: Config) -> RetrySettings:
    return RetrySettings(
        attempts=config.retries.attempts,
        wait_initial_s=config.retries.backoff_s,
        wait_max_s=config.retries.max_backoff_s,
        jitter_s=config.retries.backoff_s,
        longest_wait_s=config.retries.max_retry_after_s,
    )
