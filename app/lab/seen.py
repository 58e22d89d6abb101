"""Stored traffic for policies that look at more than neighbours: `skills` wants each question's vector.

The law of this file: stored embeddings first; a question that has none of the configured model is embedded from its
text, by a local model alone (nothing is paid for a rehearsal); one without text stays without, and is counted.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from app.lab.progress import note, progress_bar
from app.lab.store import stored
from app.lab.stored import history_of
from app.money import span
from cascade.lab.embeddings import CachedEmbedder
from cascade.policies.policy import WantsSkills
from router.embedding import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from app.config.plan import Plan
    from app.lab.stored import History
    from cascade.lab.memory import Seen
    from cascade.policies.policy import Policy
    from router.domain import Tier


def routed(
    plan: Plan, tiers: Sequence[Tier], policies: Iterable[Policy], since: str | None, team: str | None = None
) -> History:
    """What was routed since then, with what these policies want to see of it.

    Raises:
        ConfigError: `since` is no time, or the store cannot be read.
    """
    vectors = any(isinstance(policy, WantsSkills) and policy.profile for policy in policies)
    rows = asyncio.run(stored(plan, span.since(since, datetime.now(UTC)), team, vectors=vectors))
    model = plan.config.embedding.model if vectors else None
    history = history_of(rows, tiers, direct=False, embedding_model=model)
    return replace(history, seen=_completed(history, plan)) if vectors else history


def _completed(history: History, plan: Plan) -> Seen:
    """With the questions embedded that were stored without a vector of this model."""
    seen, wanted = history.seen, plan.config.embedding
    texts = {id_: text for id_, text in history.texts.items() if id_ not in seen.vectors}
    if not texts:
        return seen
    if wanted.api_base is not None:
        note(f"{len(texts):,} questions have no stored embedding and are not sent to {wanted.api_base} to get one")
        return seen
    embedder = CachedEmbedder(SentenceTransformerEmbedder(wanted.model))
    with progress_bar() as tell:
        made = embedder.vectors(list(texts.values()), lambda done, total: tell("embedding", done, total))
    return replace(seen, vectors={**seen.vectors, **{id_: made[text] for id_, text in texts.items()}})
