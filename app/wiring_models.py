"""The part of the composition root that deals with models: those that answer, and those that embed."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import httpx
import structlog
from httpx_aiohttp import AiohttpTransport

from cascade.caller import Caller, RetrySettings
from cascade.deployments import Deployments
from cascade.embeddings.local import LocalEmbeddings
from cascade.embeddings.questions import PaidQuestions
from cascade.embeddings.remote import RemoteEmbeddings
from cascade.embeddings.sources import EmbeddingSources
from cascade.simulated import SimulatedUpstream
from cascade.upstreams import litellm_adapter
from cascade.upstreams.bounded import bound
from cascade.upstreams.http_reply import InProcessTransport
from cascade.upstreams.litellm_adapter import LiteLLM
from cascade.upstreams.openai_compat import OpenAICompatible
from cascade.upstreams.streamed import MAX_REPLY_BYTES
from router.embedding import DEFAULT_MODEL, SentenceTransformerEmbedder
from router.embedding_remote import OpenAIEmbedder
from router.endpoints import EmbeddingEndpoint, Secret
from router.pricing import Price, Rates, per_mtok

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from app.config.plan import Plan
    from app.config.settings import Config, EmbeddingConfig
    from app.observe.tracing import Tracing
    from cascade.embeddings.call import EmbeddingSource
    from router.endpoints import Endpoint
    from router.ports import ChatModel, Embedder

#: Connections to upstreams, all deployments together.
MAX_CONNECTIONS = 1000

#: The simulated tiers' address; nothing is resolved, the transport answers in process.
SIMULATED_BASE = "http://simulated.invalid/v1"
_log = structlog.get_logger("gearbox.start")


def open_caller(plan: Plan, stack: AsyncExitStack, tracing: Tracing | None = None) -> Caller:
    """What makes paid calls to the ladder's tiers."""
    config = plan.config
    deployments = Deployments(cooldown_failures=config.retries.cooldown_failures, cooldown_s=config.retries.cooldown_s)
    models = _traced(_models(plan.ladder.endpoints, stack), plan, tracing)
    return Caller(models, deployments, _retry(config))


def _traced(models: dict[str, ChatModel], plan: Plan, tracing: Tracing | None) -> dict[str, ChatModel]:
    """The same models, with spans around their calls where somebody wants spans."""
    if tracing is None:
        return models
    tiers = {deployment.id: tier.name for tier in plan.ladder.tiers for deployment in tier.deployments}
    endpoints = plan.ladder.endpoints
    return {name: tracing.model(model, tiers.get(name, ""), endpoints[name]) for name, model in models.items()}


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


async def open_embedder(config: Config, stack: AsyncExitStack) -> Embedder:
    """What embeds our own questions."""
    wanted = config.embedding
    if wanted.api_base is not None:
        client = httpx.AsyncClient(timeout=30, event_hooks={"response": [partial(bound, most=MAX_REPLY_BYTES)]})
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


def paid_questions(wanted: EmbeddingConfig, embedder: Embedder) -> PaidQuestions | None:
    """Who is paid for embedding our own questions; None = it costs nothing."""
    if not isinstance(embedder, OpenAIEmbedder) or wanted.input_usd_per_mtok == 0:
        return None
    if wanted.input_usd_per_mtok is None:
        _log.warning(
            "embedding questions is not counted, and left out under caps and budgets: set "
            "embedding.input_usd_per_mtok (0 = it is free)"
        )
        return PaidQuestions(embedder, None)
    return PaidQuestions(embedder, Price(Rates(per_mtok(wanted.input_usd_per_mtok), 0)))


def open_embeddings(plan: Plan, embedder: Embedder, stack: AsyncExitStack) -> EmbeddingSources:
    """Who embeds for clients: the models configured by name, and for the rest the one that embeds our own questions."""
    named = {}
    if plan.embeddings:
        client = _embedding_client(stack)
        named = {each.name: RemoteEmbeddings(each, client) for each in plan.embeddings}
    return EmbeddingSources(_own_embeddings(plan.config.embedding, embedder, stack), named)


def _own_embeddings(wanted: EmbeddingConfig, embedder: Embedder, stack: AsyncExitStack) -> EmbeddingSource:
    if wanted.api_base is None:
        return LocalEmbeddings(embedder)
    key = None if wanted.api_key is None else Secret(wanted.api_key.get_secret_value())
    usd = wanted.input_usd_per_mtok
    price = None if usd is None else Price(Rates(per_mtok(usd), 0))
    endpoint = EmbeddingEndpoint(wanted.model, wanted.model, wanted.api_base.rstrip("/"), key, price)
    return RemoteEmbeddings(endpoint, _embedding_client(stack))


def _embedding_client(stack: AsyncExitStack) -> httpx.AsyncClient:
    client = httpx.AsyncClient(transport=AiohttpTransport(), timeout=None)  # noqa: S113 - one limit over the whole call
    stack.push_async_callback(client.aclose)
    return client


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
