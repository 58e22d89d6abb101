"""What one policy has learnt so far in a replay: the twin of the live index and of the Starter.

The law of this file: a question joins only with labels, and is seen by the next one, as live; no event loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cascade.knowledge import Knowledge
from cascade.lab.actions import NotRecorded
from cascade.policies.policy import WantsSkills
from router.domain import Evidence, Neighbour
from router.labels import by_model, labels
from router.starter import EVERYONE

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from cascade.lab.similar import Ranking, Similar
    from cascade.policies.policy import Policy
    from cascade.recordings import Query
    from router.domain import Deliver, Run


@dataclass(frozen=True, slots=True)
class Seen:
    """What stored requests really saw, by their id.

    `evidence` holds those that were compared with past questions, `vectors` the unit vectors of those whose question is
    known as one, made by `embedding_model` (None = there are none).
    """

    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    vectors: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    embedding_model: str | None = None


class Memory:
    """One policy's history within one replay.

    Args:
        similar: which queries of the stream are near which; None = no policy wants to know.
        knowledge: margins and skills, nothing seen yet; None = no policy wants any.
        seen: what each query saw when it was really asked, instead of what is learnt here.
    """

    def __init__(self, similar: Similar | None, knowledge: Knowledge | None = None, seen: Seen | None = None) -> None:
        self._similar = similar
        self._knowledge = knowledge or Knowledge.of(())
        self._seen = seen
        self._learnt: dict[int, tuple[str, Mapping[str, float]]] = {}

    def evidence(self, query_id: str, k: int) -> Evidence:
        """The k nearest questions learnt so far, nearest first.

        Raises:
            NotRecorded: what was really seen counts, and this query was compared with nothing when it was asked.
        """
        if k > 0 and self._seen is not None:
            return _first(self._seen.evidence, query_id, k)
        if k <= 0 or self._similar is None:
            return Evidence()
        place = self._similar.place(query_id)
        if place is None:
            return Evidence(note="the request holds no text to compare with past questions")
        near = tuple(Neighbour(self._learnt[at][0], near, self._learnt[at][1]) for near, at in self._nearest(place, k))
        return Evidence(near, len(self._learnt))

    def known(self, query: Query, policy: Policy) -> Evidence:
        """Everything this policy sees before its first decision.

        Raises:
            NotRecorded: what was really seen counts, and this policy wants to see what nobody kept.
        """
        if self._seen is not None and isinstance(policy, WantsSkills) and policy.profile:
            vector = self._seen.vectors.get(query.id)
            if vector is None:
                raise NotRecorded("neither an embedding nor a text of the question is kept")
            evidence = self._seen.evidence.get(query.id, Evidence())
        else:
            vector = None if self._similar is None else self._similar.vector(query.id)
            evidence = self.evidence(query.id, policy.neighbours)
        return self._knowledge.enriched(evidence, policy, vector, EVERYONE, query.messages)

    def take(self, run: Run, delivered: Deliver, policy: Policy) -> None:
        """Take over a finished run: what it teaches of the question, and of margins and costs."""
        direct = policy.name.startswith("always:")
        self.learn(run, delivered, direct=direct)
        self._knowledge.learn(run, policy, by_model(labels(run, delivered, direct=direct)), EVERYONE)

    def learn(self, run: Run, delivered: Deliver, *, direct: bool) -> None:
        """Take over what a finished run teaches of its question."""
        place = None if self._similar is None else self._similar.place(run.id)
        learnt = by_model(labels(run, delivered, direct=direct))
        if place is not None and learnt:
            self._learnt[place] = (run.id, learnt)

    def _nearest(self, place: int, k: int) -> Ranking:
        """The first k that were learnt; where too few of the kept ones were, all that were learnt are looked at."""
        if self._similar is None:
            return []
        found = [ranked for ranked in self._similar.earlier(place) if ranked[1] in self._learnt][:k]
        if len(found) < min(k, len(self._learnt)):
            return self._similar.among(place, list(self._learnt), k)
        return found


def _first(seen: Mapping[str, Evidence], query_id: str, k: int) -> Evidence:
    """The k nearest of those that the query saw; more than were stored cannot be had."""
    evidence = seen.get(query_id)
    if evidence is None:
        raise NotRecorded("it was asked without a look at past questions")
    return Evidence(evidence.neighbours[:k], evidence.history_size, evidence.note)
