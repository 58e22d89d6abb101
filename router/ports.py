"""The ports: every kind of input and output Gearbox needs, one tiny protocol each.

The law of this file: protocols over the words of `domain`, nothing else. Each port has a shipped in-memory twin, so
that tests and single-process use need no server.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from router.budgets import BudgetTerms, Standing
    from router.domain import Afterwards, Caller, Label, Neighbour, Outcome, RateLimits
    from router.keys import KeyRecord
    from router.margins_state import Past
    from router.pricing import Usage


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One call to a chat model: the body as the client meant it, already limited, `model` not yet set."""

    body: Mapping[str, Any]
    stream: bool
    hint: str = "generate"
    trace: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model gave back: `body` is the (assembled) chat.completion, `chunks` the stream's own events.

    `usage` is None where the upstream reported none. `dropped` names parameters that were translated or left out.
    """

    body: Mapping[str, Any]
    chunks: tuple[Mapping[str, Any], ...]
    usage: Usage | None
    latency_s: float
    ttft_s: float | None
    dropped: tuple[str, ...] = ()


class ChunkSink(Protocol):
    """Where a live answer's events go as they arrive."""

    async def chunk(self, event: Mapping[str, Any]) -> None:
        """Pass one `chat.completion.chunk` on."""


class Listener(ChunkSink, Protocol):
    """Who follows a run while it goes on: live events, and what is being done meanwhile."""

    async def progress(self, note: str) -> None:
        """A few words, such as "judging small"; they may reach the client as an SSE comment."""


class ChatModel(Protocol):
    """One deployment of one chat model."""

    async def chat(self, call: ChatCall, live: ChunkSink | None = None) -> Reply:
        """Ask; with `live`, each event of a streamed answer is passed on as it arrives.

        Raises:
            UpstreamError: whatever went wrong, in our words.
        """

    async def aclose(self) -> None:
        """Give the connections back."""


class Embedder(Protocol):
    """Text -> unit vectors, off the event loop."""

    @property
    def model(self) -> str:
        """The embedding model's name: another model is another index."""

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""

    async def embed(self, text: str) -> NDArray[np.float32]:
        """A unit vector, shape (dimensions,), float32."""

    async def ping(self) -> None:
        """Raise a GearboxError where a question would have to wait, or would not be embedded at all."""


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

    `rejected`: its answer was served although it was found to be wrong.
    """

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
    """A question's labels after feedback, and the team whose question it is."""

    team: str
    labels: Sequence[Label]


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

    def pasts(self, policies: Sequence[str]) -> AsyncIterator[Sequence[tuple[str, Past]]]:
        """(team, past) of every finished request of these policies, oldest first, in batches."""

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


class Hold(Protocol):
    """Money set aside for one call."""

    @property
    def nanousd(self) -> int:
        """How much."""


class Ledger(Protocol):
    """Budgets that outlive a request. A caller without budgets never comes here."""

    async def reserve(self, budgets: Sequence[str], nanousd: int, wait_s: float) -> Hold:
        """Set a call's worst case aside in all of these budgets, or in none.

        What fails only because of others' open reservations is waited for, at most `wait_s` seconds.

        Raises:
            QuotaSpent: what is settled already leaves too little.
            RateLimited: others' reservations leave too little, and still did after the wait.
            StoreUnavailable: the ledger is away, and what this worker may spend without asking is used up.
        """

    def settle(self, hold: Hold, cost_nanousd: int) -> None:
        """Pay what the call really cost and give the rest back. It never waits, so that it is safe in any `finally`."""

    def soft_reached(self, budgets: Sequence[str]) -> tuple[str, ...]:
        """Those of these budgets whose soft limit is reached, as far as this worker knows."""

    async def aclose(self) -> None:
        """Settle everything and give back what is unspent."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one worker says about one budget: spent since the last one, and how much it keeps reserved.

    A worker numbers its settlements from 1 upwards, so that one that is sent twice counts once.
    """

    budget: str
    seq: int
    spent_nanousd: int
    keep_nanousd: int


class Bank(Protocol):
    """The truth about budgets: SQL in production. Workers borrow from it and settle with it (`storage.money.ledger`).

    Its law: for each budget, spent + reserved never falls below what was truly spent plus everything that any worker
    may still spend. So a limit holds whatever dies.
    """

    async def lend(self, worker: str, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        """Reserve all of these amounts (budget -> nano-dollars) for a worker, or none; how the budgets stand then.

        A budget that does not exist bounds nothing: it is missing in the answer.

        Raises:
            Refused: one of them does not fit.
            Forfeited: nothing was lent, and everything lent before to this worker counts as spent.
            StoreUnavailable: nobody knows whether it was done; the next settlement's `keep_nanousd` puts it right.
        """

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> Mapping[str, Standing]:
        """Book these; how the budgets stand then. One that is missing in the answer holds nothing of the worker's.

        That is so where a budget was deleted, or where the worker was taken for dead and all of it counted as spent.
        """

    async def renew(self, worker: str) -> None:
        """Say that the worker lives; to be repeated well within the time after which it counts as dead."""

    async def reap(self) -> int:
        """Count what dead workers had reserved as spent: at worst they spent it. How many reservations that were."""

    async def standings(self, budgets: Sequence[str]) -> Sequence[Standing]:
        """How these budgets stand; those that do not exist are left out."""

    async def aclose(self) -> None:
        """Give connections of its own back."""


class Budgets(Protocol):
    """Budgets as operators set them; what is spent of them is the Bank's."""

    async def put(self, terms: BudgetTerms) -> None:
        """Add a budget or change its limits; RequestError where it stands in the configuration."""

    async def remove(self, budget: str) -> bool:
        """Forget one; False where there is none, RequestError where it stands in the configuration."""

    async def configure(self, wanted: Sequence[BudgetTerms]) -> None:
        """Make these the budgets of the configuration, adding, changing and removing."""

    async def of(self, key_id: str, team: str) -> Sequence[BudgetTerms]:
        """Every budget that counts what this caller spends, by id."""

    async def all(self) -> Sequence[BudgetTerms]:
        """Every budget, by id."""


class Directory(Protocol):
    """Virtual keys as operators set them. Only digests of keys come here."""

    @property
    def budgets(self) -> Budgets:
        """The budgets beside them."""

    async def revision(self) -> int:
        """A number that is another one after every change to keys or budgets."""

    async def any_keys(self) -> bool:
        """Whether there is a key that was not revoked."""

    async def find(self, digest: str) -> KeyRecord | None:
        """The key with this digest, or whose former digest it still is for a while; revoked ones too."""

    async def get(self, key_id: str) -> KeyRecord | None:
        """The key of this id."""

    async def all(self) -> Sequence[KeyRecord]:
        """Every key ever made, the oldest first."""

    async def create(self, record: KeyRecord, digest: str) -> None:
        """Add a key."""

    async def change(self, record: KeyRecord) -> bool:
        """Change everything but id, digest and times; False where there is no such key, or it is revoked."""

    async def rotate(self, key_id: str, digest: str, shown: str, grace_s: float) -> bool:
        """Give it a new secret; the former one is taken for `grace_s` more. False as for `change`."""

    async def revoke(self, key_id: str) -> bool:
        """For good. False as for `change`."""


class Permit(Protocol):
    """Leave to serve one request, to be given back."""

    @property
    def key_id(self) -> str:
        """Whose."""


class Limiter(Protocol):
    """Rate limits of keys: requests and tokens per minute, requests at once."""

    async def admit(self, key_id: str, limits: RateLimits, tokens: int) -> Permit:
        """Let a request of about so many tokens in.

        Raises:
            RateLimited: with the seconds after which it would fit.
        """

    async def leave(self, permit: Permit, tokens: int) -> None:
        """The request is over; so many tokens it really used. It never raises."""


class Cache(Protocol):
    """Answers by exact key, each for a while. It may forget anything at any time."""

    async def get(self, key: str) -> bytes | None:
        """The answer, or None."""

    async def put(self, key: str, answer: bytes, ttl_s: float) -> None:
        """Keep an answer; a failure to is nobody's."""


class ClaimState(StrEnum):
    """What became of a claim: it is ours to run, somebody runs it, its answer is there, or the body is another."""

    MINE = "mine"
    RUNNING = "running"
    DONE = "done"
    OTHER_BODY = "other_body"


@dataclass(frozen=True, slots=True)
class Claim:
    """`answer` is set where the state is `done`."""

    state: ClaimState
    answer: bytes | None = None


class Joins(Protocol):
    """Who runs what, across workers: one runs, the others wait for its answer. Each operation is atomic."""

    async def claim(self, key: str, body: str, owner: str, ttl_s: float) -> Claim:
        """Claim a key for a body (its digest). An owner that is not heard of for `ttl_s` loses its claim."""

    async def renew(self, key: str, owner: str, ttl_s: float) -> bool:
        """Say that the owner still runs it; False where it is not its claim any more."""

    async def finish(self, key: str, owner: str, answer: bytes, keep_s: float) -> None:
        """Leave the answer for those who wait and those who come within `keep_s`."""

    async def drop(self, key: str, owner: str) -> None:
        """There is no answer: whoever comes next runs it again."""
