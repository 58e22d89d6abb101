"""`gearbox import history`: past questions into the store, so that the first requests are no cold start.

Nothing is spent for it and nothing is counted as spent: the rows carry labels and embeddings, no calls.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import httpx

from app.lab.imports.entry import labels
from app.lab.imports.sources import read
from app.lab.progress import note, progress_bar
from app.lab.store import opened, read_plan
from app.lab.stored import IMPORTED
from app.observe.logs import configure
from cascade.lab.embeddings import CachedEmbedder
from router.domain import Caller, Deliver, Outcome, Request, Run
from router.embedding import SentenceTransformerEmbedder
from router.embedding_remote import OpenAIEmbedder
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from app.config.plan import Plan
    from app.config.settings import EmbeddingConfig
    from app.lab.imports.entry import Entry
    from app.lab.imports.sources import Source

#: Outcomes that are written at once.
_GROUP = 256
_EMBED_TIMEOUT_S = 60


def run(path: Path, *, team: str, split: str | None, assume_correct: bool, config: Path | None) -> None:
    """Read, embed, store.

    Raises:
        ConfigError: whatever is wrong with the source (file and line) or the configuration.
    """
    configure("warning", "console")
    plan = read_plan(config)
    source = read(path, plan.ladder.tiers, split=split, assume_correct=assume_correct)
    if not source.entries:
        why = f" ({_passed_over(source)})" if source.passed_over else ""
        raise ConfigError(f"{path}: {source.kind}, and none of its rows has a question to learn from{why}")
    with progress_bar() as tell:
        vectors = _embedded(plan, source.entries, tell)
        # Entries without a time keep their order: each is a microsecond younger than the one before it.
        first = datetime.now(UTC) - timedelta(microseconds=len(source.entries))
        outcomes = [
            _outcome(entry, plan, vectors[entry.question], team, entry.at or first + timedelta(microseconds=place))
            for place, entry in enumerate(source.entries)
        ]
        asyncio.run(_record(plan, outcomes, tell))
    taught = sum(bool(outcome.labels) for outcome in outcomes)
    note(f"{path}: {source.kind}; {len(outcomes):,} questions stored, {taught:,} of them with labels to learn from")
    if source.passed_over:
        note(f"{sum(source.passed_over.values()):,} rows were passed over: {_passed_over(source)}")
    if taught < len(outcomes):
        note("questions without labels wait for feedback; --assume-correct takes what was served as right")
    note("a server that is running sees them after its next start")


def _passed_over(source: Source) -> str:
    return ", ".join(f"{count:,} {why}" for why, count in source.passed_over.items())


def _embedded(
    plan: Plan, entries: Sequence[Entry], tell: Callable[[str, int, int], None]
) -> Mapping[str, NDArray[np.float32]]:
    wanted = plan.config.embedding
    texts = list(dict.fromkeys(entry.question for entry in entries))
    if wanted.api_base is not None:
        note(f"{len(texts):,} questions are sent to {wanted.api_base} to be embedded")
        return asyncio.run(_embedded_remotely(wanted, texts, tell))
    embedder = CachedEmbedder(SentenceTransformerEmbedder(wanted.model))
    return embedder.vectors(texts, lambda done, total: tell("embedding", done, total))


async def _embedded_remotely(
    wanted: EmbeddingConfig, texts: Sequence[str], tell: Callable[[str, int, int], None]
) -> Mapping[str, NDArray[np.float32]]:
    """One after another: a history is imported once, and nobody waits for it."""
    found = {}
    key = wanted.api_key.get_secret_value() if wanted.api_key else ""
    async with httpx.AsyncClient(timeout=_EMBED_TIMEOUT_S) as client:
        embedder = OpenAIEmbedder(wanted.api_base or "", key, wanted.model, client)
        for number, text in enumerate(texts, 1):
            found[text] = await embedder.embed(text)
            tell("embedding", number, len(texts))
    return found


def _outcome(entry: Entry, plan: Plan, vector: NDArray[np.float32], team: str, at: datetime) -> Outcome:
    tiers = plan.ladder.tiers
    request = Request(
        id=entry.id,
        received_at=at.timestamp(),
        body={},
        policy=IMPORTED,
        question=entry.question,
        caller=Caller(key_id=IMPORTED, team=entry.team or team),
    )
    return Outcome(
        request=request,
        run=Run(tiers, tiers[-1].name, id=entry.id),
        delivered=Deliver(None, "read in by gearbox import history"),
        settings={},
        labels=labels(entry, tiers),
        baseline_nanousd=None,
        started_at=at.timestamp(),
        latency_s=0.0,
        overhead_s=0.0,
        vector=vector,
        embedding_model=plan.config.embedding.model,
        client=IMPORTED,
    )


async def _record(plan: Plan, outcomes: Sequence[Outcome], tell: Callable[[str, int, int], None]) -> None:
    async with opened(plan) as history:
        for start in range(0, len(outcomes), _GROUP):
            group = outcomes[start : start + _GROUP]
            await asyncio.gather(*(history.record(outcome) for outcome in group))
            tell("storing", start + len(group), len(outcomes))
