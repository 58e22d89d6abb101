"""What is remembered of requests, and who watches them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router.domain import Afterwards, Caller, Label, Neighbour, Outcome
    from router.margins_state import Past


class Neighbours(Protocol):
    """The k nearest past questions, by cosine similarity, within a scope (a team, or one for all)."""

    async def search(self, vector: NDArray[np.float32], k: int, scope: str) -> tuple[Neighbour, ...]:
        """The nearest first; at most k."""

    async def add(self, id: str, vector: NDArray[np.float32], labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the row's id
        """Add a question with its labels (model -> correctness); seen by every search from now on."""

    async def relabel(self, id: str, labels: Mapping[str, float], scope: str) -> None:  # noqa: A002 - the row's id
        """Replace a question's labels; an unknown id is ignored (it may not be kept here)."""

    async def size(self, scope: str) -> int:
        """How many questions the scope holds."""

    async def total(self) -> int:
        """How many questions all scopes hold together; a shared index may say about how many."""

    async def load(self, batches: AsyncIterator[Sequence[StoredQuestion]], scope_of: Callable[[str], str]) -> int:
        """Take over stored questions, oldest first; those without labels are left out. How many were taken."""

    async def scopes(self) -> Sequence[str]:
        """The scopes that hold questions."""

    async def ids(self, scope: str) -> Sequence[str]:
        """The ids of a scope's questions, oldest first."""

    async def forget(self, ids: Sequence[str], scope: str) -> None:
        """Remove questions; found by no search from now on. Unknown ids are ignored."""

    async def aclose(self) -> None:
        """Give threads and connections back."""


@dataclass(frozen=True, slots=True)
class StoredQuestion:
    """One row as the index needs it at start."""

    id: str
    team: str
    vector: NDArray[np.float32]
    labels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class StoredTurn:
    """The last turn of one conversation: who answered it, how long it was (tokens) and when (seconds since the epoch).

    `id` is its request's. `rejected`: its answer was served although it was found to be wrong.
    """

    id: str
    key_id: str
    session: str
    tier: str
    model: str
    prompt_tokens: int
    completion_tokens: int
    answered_at: float
    rejected: bool


@dataclass(frozen=True, slots=True)
class Feedback:
    """A question's labels after feedback, and the team whose question it is.

    `queued`: the store is away; it is kept, and nobody knows yet whether there is such a question.
    """

    team: str
    labels: Sequence[Label]
    queued: bool = False


class Feed(Protocol):
    """What changed in a store that others write to as well, for one embedding model."""

    async def begin(self) -> None:
        """From now on `changed` tells what is labelled; call it before reading `questions`, and nothing is missed."""

    def questions(self) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question, oldest first, in batches."""

    async def changed(self) -> Sequence[StoredQuestion]:
        """Questions labelled since the last call, by feedback too, with their labels of now; empty = no more yet.

        A question may be told more than once.
        """

    async def gone(self, ids: Sequence[str]) -> Sequence[str]:
        """Those of these ids that the store has no question for any more."""


class History(Protocol):
    """The truth about what happened: SQL in production."""

    async def record(self, outcome: Outcome) -> None:
        """Store the outcome; returns once it is durable."""

    def questions(self, embedding_model: str) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question of this embedding model, oldest first, in batches."""

    def pasts(self, policies: Sequence[str], newest: int) -> AsyncIterator[Sequence[tuple[str, Past]]]:
        """(team, past) of the newest finished requests of these policies, the oldest of them first, in batches."""

    async def pasts_since(
        self, policies: Sequence[str], since: float, known: Callable[[str], bool]
    ) -> Sequence[tuple[str, Past]]:
        """(team, past) of those that began since then (seconds since the epoch) and whose ids are not known."""

    async def decision(self, id: str, caller: Caller) -> Mapping[str, Any] | None:  # noqa: A002 - the row's id
        """One request's whole story as JSON; None where this caller has no such request."""

    async def feedback(self, id: str, caller: Caller, label: float, by: str, note: str) -> Feedback | None:  # noqa: A002 - the row's id
        """Replace the pseudo-label of the tier that answered; None where there is nothing to label for this caller."""

    async def late_cost(self, id: str, nanousd: int) -> bool:  # noqa: A002 - the row's id
        """Add what was spent for a request after its answer; False where the id is unknown."""

    async def late(self, late: Afterwards) -> Sequence[Label] | None:
        """Store what came to light after the answer: calls, cost, verdict, labels; the question's labels now.

        None where the id is unknown.
        """

    async def turns(self, since: float) -> Sequence[StoredTurn]:
        """The last answered turn of each conversation that was active since then (seconds since the epoch)."""

    async def turn(self, key_id: str, session: str | None, calls: Sequence[str], since: float) -> StoredTurn | None:
        """The last answered turn since then of this key's session, or that made any of these tool calls."""

    @property
    def backlog(self) -> int:
        """How many outcomes wait to be written."""

    async def ping(self) -> None:
        """Raise StoreUnavailable where the store is away."""

    async def aclose(self) -> None:
        """Write what is queued and close."""


class Observer(Protocol):
    """Sees each finished request. Its failure is never the caller's."""

    def observe(self, outcome: Outcome) -> None:
        """Take note of one outcome."""

    def observe_late(self, late: Afterwards) -> None:
        """Take note of what was judged after its answer was served."""

    def observe_joined(self, outcome: Outcome) -> None:
        """Take note of a client who got another request's outcome: nothing was asked and nothing spent for it."""
