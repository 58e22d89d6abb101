"""Replay: policies over recorded answers in stream order, learning as they go exactly as the live server does.

The law of this file: the loop of `runner`, without I/O. The same policy objects decide; correctness scores them and
is never seen by them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from cascade.knowledge import Knowledge
from cascade.lab import actions, oracle
from cascade.lab.actions import NotRecorded
from cascade.lab.memory import Memory
from cascade.lab.score import score
from cascade.lab.similar import Similar
from cascade.lab.story import Story
from cascade.lab.stream import Oracle, Stream, stream
from router.domain import Ask, Deliver, Judge, Run
from router.errors import ConfigError
from router.questions import question_text

__all__ = ["Oracle", "Stream", "as_json", "replay", "replay_each", "stream"]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cascade.lab.embeddings import CachedEmbedder
    from cascade.lab.memory import Seen
    from cascade.lab.score import Row
    from cascade.policies.policy import Policy
    from cascade.recordings import Query, Recording

    Vectors: TypeAlias = Mapping[str, NDArray[np.float32]]
    #: Told what is being done, how much of it is done, and of how much.
    Progress: TypeAlias = Callable[[str, int, int], None]

#: A policy that takes more steps than this a tier is broken (each promises two).
_STEPS_PER_TIER = 4
_PROGRESS_EVERY = 100
#: How many of the nearest are kept for each neighbour wanted: the nearest may have taught nothing.
_KEPT_PER_NEIGHBOUR = 8


def replay(
    chosen: Stream,
    policies: Sequence[Policy | Oracle],
    embedder: CachedEmbedder | None = None,
    progress: Progress | None = None,
) -> list[Row]:
    """Run each policy over the stream, each with its own history; one row a policy.

    Args:
        chosen: the stream.
        policies: as `registry.build` makes them, or `Oracle()`.
        embedder: needed where a policy looks at neighbours.
        progress: told of every hundredth query.

    Raises:
        ConfigError: a policy looks at neighbours and there is no embedder, or names a tier that is not there.
    """
    return list(replay_each(chosen, policies, embedder, progress))


def replay_each(
    chosen: Stream,
    policies: Sequence[Policy | Oracle],
    embedder: CachedEmbedder | None = None,
    progress: Progress | None = None,
    seen: Seen | None = None,
) -> Iterator[Row]:
    """As `replay`, one row after another: who tries many policies need not keep all their stories.

    With `seen` each query sees what it saw when it was really asked, and nothing is embedded.
    """
    tell = progress or _silent
    most = max((policy.neighbours for policy in policies if not isinstance(policy, Oracle)), default=0)
    similar = (
        Similar(_embedded(chosen, embedder, tell), most * _KEPT_PER_NEIGHBOUR) if most > 0 and seen is None else None
    )
    learning = [policy for policy in policies if not isinstance(policy, Oracle)]
    made_by = seen.embedding_model if seen is not None else None if embedder is None else embedder.model
    knowledge = Knowledge.of(learning, made_by)
    for policy in policies:
        yield _row(chosen, policy, Memory(similar, knowledge.fresh(), seen), tell)


def as_json(chosen: Stream, rows: Sequence[Row]) -> dict[str, Any]:
    """The result of one recording and ladder as `gearbox replay --json` prints it."""
    return {
        "recording": chosen.recording.name,
        "ladder": chosen.ladder,
        "queries": len(chosen.queries),
        "rows": [row.as_json() for row in rows],
    }


def _embedded(chosen: Stream, embedder: CachedEmbedder | None, tell: Progress) -> Vectors:
    """Query id -> vector of what the live server would embed; none for a query without text."""
    if embedder is None:
        raise ConfigError("a policy looks at similar past questions, so this replay needs an embedding model")
    texts = {query.id: question_text(query.messages) for query in chosen.queries}
    told = {query_id: text for query_id, text in texts.items() if text.strip()}
    found = embedder.vectors(list(told.values()), lambda done, total: tell("embedding", done, total))
    return {query_id: found[text] for query_id, text in told.items()}


def _row(chosen: Stream, policy: Policy | Oracle, memory: Memory, tell: Progress) -> Row:
    stories = []
    for number, query in enumerate(chosen.queries, 1):
        stories.append(_story(chosen, query, policy, memory))
        if number % _PROGRESS_EVERY == 0 or number == len(chosen.queries):
            tell(policy.name, number, len(chosen.queries))
    settings = {} if isinstance(policy, Oracle) else policy.settings
    return score(chosen.recording, [tier.name for tier in chosen.tiers], policy.name, settings, stories)


def _story(chosen: Stream, query: Query, policy: Policy | Oracle, memory: Memory) -> Story:
    """One query under one policy; what a partial recording cannot tell is no story."""
    run = Run(chosen.tiers, chosen.tiers[-1].name, id=query.id)
    try:
        if isinstance(policy, Oracle):
            return oracle.foresee(chosen.recording, query, run)
        return _driven(chosen.recording, query, policy, run, memory)
    except NotRecorded as error:
        return Story(query, lacking=str(error))


def _driven(recording: Recording, query: Query, policy: Policy, run: Run, memory: Memory) -> Story:
    """The runner's loop over recorded answers."""
    run = Run(run.ladder, run.top, id=run.id, evidence=memory.known(query, policy))
    for _ in range(_STEPS_PER_TIER * len(run.ladder)):
        match policy.decide(run):
            case Deliver() as delivered:
                memory.take(run, delivered, policy)
                return Story(query, run, delivered)
            case Ask() as decision:
                run = actions.ask(recording, query, _has(run, decision.tier, policy), decision)
            case Judge() as decision:
                run = actions.judge(recording, query, run, decision)
    raise RuntimeError(f"the policy {policy.name} never delivers an answer to {query.id!r}")


def _has(run: Run, tier: str, policy: Policy) -> Run:
    names = [rung.name for rung in run.ladder]
    if tier not in names:
        raise ConfigError(f"the policy {policy.name} asks {tier!r}, which is not on this ladder: {', '.join(names)}")
    return run


def _silent(what: str, done: int, total: int) -> None:
    """Nobody wants to know."""
