"""What is known of a request before anyone is asked: its nearest past questions. And how an outcome joins them.

The law of this file: evidence helps and never fails a request. Where the embedding model or the index is away, the
evidence is empty and says why; no prompt text is ever logged.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import structlog

from router.domain import Evidence
from router.errors import GearboxError
from router.labels import by_model

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray

    from router.domain import Label, Request
    from router.ports import Embedder, Neighbours

    Embed: TypeAlias = Callable[[str], Awaitable[NDArray[np.float32]]]

#: The scope of a history that all teams share.
EVERYONE = "*"
#: How many questions without labels are remembered, for the feedback that may still come.
UNLABELLED = 2048
#: What a broken model, index or network raises: our own errors, torch's and FAISS's, numpy's, the system's.
_FAULTS = (GearboxError, RuntimeError, ValueError, OSError)


@dataclass(frozen=True, slots=True)
class Start:
    """The evidence, and the question's unit vector (d,) for the index and the store; None = it was not embedded."""

    evidence: Evidence
    vector: NDArray[np.float32] | None = None


class Starter:
    """Request -> Evidence, and Outcome -> history.

    Args:
        embedder: text -> unit vector.
        neighbours: the index.
        scope: "team" = a team learns from its own questions only; "global" = all learn from all.
    """

    def __init__(self, embedder: Embedder, neighbours: Neighbours, scope: Literal["team", "global"] = "team") -> None:
        self._embedder = embedder
        self._neighbours = neighbours
        self._scope = scope
        self._unlabelled: OrderedDict[str, NDArray[np.float32]] = OrderedDict()

    @property
    def model(self) -> str:
        """The embedding model: another one is another index."""
        return self._embedder.model

    def scope_of(self, team: str) -> str:
        """The index's scope for a team's questions."""
        return EVERYONE if self._scope == "global" else team

    async def evidence(self, request: Request, k: int, embed: Embed | None = None) -> Start:
        """The k nearest past questions; k = 0 embeds nothing. Never raises for a fault of the model or the index.

        `embed` embeds instead of the model itself: whoever pays for it (GearboxError where it is not paid).
        """
        if k <= 0:
            return Start(Evidence())
        if not request.question.strip():
            return Start(Evidence(note="the request holds no text to compare with past questions"))
        try:
            vector = await (embed or self._embedder.embed)(request.question)
        except _FAULTS as error:
            return Start(_without("the question could not be embedded", request, error))
        try:
            return Start(await self._near(vector, k, self.scope_of(request.caller.team)), vector)
        except _FAULTS as error:
            return Start(_without("past questions could not be searched", request, error), vector)

    async def learn(
        self,
        id: str,  # noqa: A002 - the row's id
        vector: NDArray[np.float32] | None,
        labels: Sequence[Label],
        request: Request,
    ) -> None:
        """Add a question to the index, seen by the next request; without labels it only waits for feedback.

        Nothing is learnt from a request that was not embedded or that asked for `x-gearbox-store: off`.
        """
        if vector is None or not request.wishes.store:
            return
        if labels:
            self._unlabelled.pop(id, None)
            await self._add(id, vector, labels, request.caller.team)
            return
        self._unlabelled[id] = vector
        while len(self._unlabelled) > UNLABELLED:
            self._unlabelled.popitem(last=False)

    async def relearn(self, id: str, labels: Sequence[Label], team: str) -> None:  # noqa: A002 - the row's id
        """Replace a question's labels after feedback; `team` is the team that asked the question."""
        vector = self._unlabelled.pop(id, None)
        if vector is not None:
            await self._add(id, vector, labels, team)
            return
        try:
            await self._neighbours.relabel(id, by_model(labels), self.scope_of(team))
        except _FAULTS as error:
            _not_learnt(id, error)

    async def _add(self, id: str, vector: NDArray[np.float32], labels: Sequence[Label], team: str) -> None:  # noqa: A002 - the row's id
        """The store has it already and the feed brings it later: an index that is away costs no answer."""
        try:
            await self._neighbours.add(id, vector, by_model(labels), self.scope_of(team))
        except _FAULTS as error:
            _not_learnt(id, error)

    async def _near(self, vector: NDArray[np.float32], k: int, scope: str) -> Evidence:
        found = await self._neighbours.search(vector, k, scope)
        return Evidence(neighbours=found, history_size=await self._neighbours.size(scope))


def _not_learnt(request_id: str, error: Exception) -> None:
    structlog.get_logger().warning("starter.not_learnt", request=request_id, error=type(error).__name__)


def _without(what: str, request: Request, error: Exception) -> Evidence:
    """Empty evidence that says why, logged; the error's own text only where it is ours."""
    kind = type(error).__name__
    detail = error.message if isinstance(error, GearboxError) else kind
    structlog.get_logger().warning("starter.no_evidence", request=request.id, what=what, error=kind, detail=detail)
    return Evidence(note=f"{what} ({kind}): started without evidence")
