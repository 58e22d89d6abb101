"""`gearbox doctor`: everything that can be checked before traffic comes, each finding with its fix."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import httpx
from rich.console import Console
from rich.table import Table

from app.config import plan as plans
from app.config.environment import Environment
from cascade.knowledge import Knowledge
from router.embedding import DEFAULT_MODEL, SentenceTransformerEmbedder
from router.errors import ConfigError, GearboxError
from router.index import FaissNeighbours
from router.margins_state import NEWEST
from storage.history.store import SqlHistory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from app.config.plan import Plan
    from router.endpoints import Endpoint

#: Seconds that an upstream has to list its models.
PROBE_S = 5.0
_UNAUTHORIZED = frozenset({401, 403})
State: TypeAlias = Literal["ok", "note", "fault"]
Check: TypeAlias = "Callable[[Plan], AsyncIterator[Finding]]"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at, how it stands, and what to do about it."""

    what: str
    state: State
    words: str


def examine(config: Path | None) -> int:
    """Check everything and print it; the exit code is the number of faults, 1 at most."""
    console = Console(highlight=False)
    try:
        environment, variables = Environment.read()
        plan = plans.read(config, environment, variables)
    except ConfigError as error:
        _print(console, [Finding("config", "fault", error.message)])
        return 1
    findings = asyncio.run(_all(plan))
    _print(console, findings)
    return 1 if any(finding.state == "fault" for finding in findings) else 0


async def _all(plan: Plan) -> list[Finding]:
    found = [Finding("config", "ok", f"read; the ladder comes from {plan.ladder.source}")]
    for check in _CHECKS:
        found += [finding async for finding in check(plan)]
    return found


async def _keys(plan: Plan) -> AsyncIterator[Finding]:
    if plan.config.keys:
        yield Finding("keys", "ok", f"{len(plan.config.keys)} static keys")
    else:
        yield Finding("keys", "note", "none: any caller is served, on loopback only. Fix: add `keys:` to gearbox.yaml")


async def _prices(plan: Plan) -> AsyncIterator[Finding]:
    for tier in plan.ladder.tiers:
        unpriced = [deployment.model for deployment in tier.deployments if deployment.price is None]
        if unpriced:
            yield Finding(
                "prices", "fault", f"{tier.name}: no price for {', '.join(unpriced)}. Fix: add `price:` to it"
            )
            return
    yield Finding("prices", "ok", "every deployment has one")


async def _ladder(plan: Plan) -> AsyncIterator[Finding]:
    for note in plan.ladder.notes:
        yield Finding("priors" if "prior" in note else "ladder", "note", note)
    if not plan.ladder.notes:
        yield Finding("priors", "ok", ", ".join(f"{t.name} {t.prior_accuracy:.2f}" for t in plan.ladder.tiers))


async def _store_and_index(plan: Plan) -> AsyncIterator[Finding]:
    try:
        history = await SqlHistory.open(plan.config.store.url.get_secret_value())
    except GearboxError as error:
        yield Finding("store", "fault", f"{error.message}. Fix: start the database, or mend `store.url`")
        return
    try:
        yield Finding("store", "ok", "reachable, tables up to date")
        count = 0
        async for batch in history.questions(plan.config.embedding.model):
            count += len(batch)
        yield Finding("index", "ok", f"{count} past questions of {plan.config.embedding.model} would be loaded")
        yield await _log_probabilities(plan, history)
    finally:
        await history.aclose()


async def _log_probabilities(plan: Plan, history: SqlHistory) -> Finding:
    """Whether `two-tier` can read how sure its small tier is: by what is known of the model and by what it has done."""
    policy = plan.policy("two-tier")
    knowledge = Knowledge.of([policy])
    async for batch in history.pasts(knowledge.margin_policies, NEWEST):
        knowledge.load(batch)
    named = policy.settings["small"]
    small = next((tier for tier in plan.ladder.tiers if tier.name == named), plan.ladder.tiers[0])
    lacking = [
        deployment.model
        for deployment in small.deployments
        if "logprobs" in deployment.facts.lacks or deployment.model in knowledge.margins.lacking
    ]
    if not lacking:
        return Finding("two-tier", "ok", f"nothing says that {small.name} gives no log-probabilities")
    fallback = policy.settings["fallback"]
    fix = "Fix: another model for that tier, or choose `policy.two-tier.fallback` (judge, agreement)"
    words = f"{small.name} ({', '.join(lacking)}) gives no log-probabilities: its fallback is {fallback}. {fix}"
    return Finding("two-tier", "note", words)


async def _embedding(plan: Plan) -> AsyncIterator[Finding]:
    wanted = plan.config.embedding
    if wanted.api_base is not None:
        yield Finding("embedding", "note", f"{wanted.model} is asked at {wanted.api_base}; each question is paid for")
        return
    embedder = SentenceTransformerEmbedder(wanted.model)
    try:
        vector = await embedder.embed("How do I reset my password?")
        neighbours = FaissNeighbours(len(vector))
        await neighbours.add("probe", vector, {}, "doctor")
        near = await neighbours.search(vector, 1, "doctor")
        await neighbours.aclose()
        verified = ", weights verified" if wanted.model == DEFAULT_MODEL else ""
        yield Finding(
            "embedding", "ok", f"{wanted.model}: {len(vector)} dimensions{verified}; FAISS finds {len(near)} of 1"
        )
    except GearboxError as error:
        yield Finding("embedding", "fault", error.message)
    finally:
        await embedder.aclose()


async def _upstreams(plan: Plan) -> AsyncIterator[Finding]:
    async with httpx.AsyncClient(timeout=PROBE_S) as client:
        for name, endpoint in plan.ladder.endpoints.items():
            yield await _upstream(client, name, endpoint)


async def _upstream(client: httpx.AsyncClient, name: str, endpoint: Endpoint) -> Finding:
    what = f"upstream {name}"
    if endpoint.kind == "simulated":
        return Finding(what, "note", "simulated: no model is asked. Fix: set OPENAI_API_KEY, or write gearbox.yaml")
    if endpoint.kind != "openai" or endpoint.api_base is None:
        return Finding(what, "note", f"spoken to through {endpoint.kind}; not probed, since any call may cost money")
    key = endpoint.api_key.get_secret_value() if endpoint.api_key else None
    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        response = await client.get(f"{endpoint.api_base}/models", headers=headers)
    except httpx.HTTPError as error:
        return Finding(what, "fault", f"no connection ({type(error).__name__}). Fix: check api_base and the network")
    if response.status_code in _UNAUTHORIZED:
        return Finding(what, "fault", f"its key is refused ({response.status_code}). Fix: check api_key of {name}")
    if not response.is_success:
        return Finding(what, "note", f"answers {response.status_code} to /models; it may still answer chats")
    return Finding(what, "ok", "reachable, key accepted")


_CHECKS: tuple[Check, ...] = (_keys, _prices, _ladder, _store_and_index, _embedding, _upstreams)
_MARKS: dict[State, str] = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "fault": "[red]fault[/]"}


def _print(console: Console, findings: list[Finding]) -> None:
    table = Table("check", "", "finding", box=None, pad_edge=False)
    for finding in findings:
        table.add_row(finding.what, _MARKS[finding.state], finding.words)
    console.print(table)
