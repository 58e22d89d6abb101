"""A History whose answers keep flowing while the database is gone or slow.

The law of this file: an outcome is durable when `record` returns: in the database, or else in the journal, from where
it is replayed once, in order and in batches, when it is back. Only the requests of the first `patience_s` wait for a
database that is away; from then on all go to the journal at once, until a ping succeeds.

Where the journal cannot be written either (a full disk), outcomes are held in memory, up to `HELD`, and every answer
is still served; this is an alarm (an error in the log, the backlog's metric, readiness), for a crash would now lose
them. Beyond `HELD` `record` raises StoreUnavailable and the answer is not served: nobody gets an answer that nothing
remembers.

What is only in the journal can be read by nobody: decisions raise StoreUnavailable (503) while the database is away,
and know nothing of the request (404) until it is replayed. What is added to a request afterwards (a late cost, a late
verdict, feedback) is journalled like an outcome, behind it.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

import structlog

from router.errors import StoreUnavailable
from router.ports import Feedback, History
from storage.faults import RowRefused
from storage.history.rows import late_rows_of, rows_of
from storage.journal.entries import LateCost, LateVerdict, opinion
from storage.journal.journal import JournalUnwritable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from router.domain import Afterwards, Caller, Label, Outcome
    from router.margins_state import Past
    from router.ports import StoredQuestion, StoredTurn
    from storage.journal.entries import Entry, Opinion
    from storage.journal.journal import Journal

#: How many outcomes wait in memory where neither database nor journal takes them.
HELD = 5_000
#: Entries in one transaction while replaying: few, so that requests never wait long for a lock.
BATCH = 100
#: Seconds between two looks for journals of processes that have ended.
ADOPT_S = 10.0
_AWAY = (StoreUnavailable, TimeoutError)
_log = structlog.get_logger("gearbox.store")


class Replayable(History, Protocol):
    """A History that can apply what a journal kept."""

    async def prepare(self) -> None:
        """Make the store ready for use, where that could not be done at start; takes as long as it takes."""

    async def replay(self, entries: Sequence[Entry]) -> None:
        """Apply entries in their order; those that were applied before change nothing."""

    async def late_cost_once(self, entry: LateCost) -> bool:
        """Add a late cost unless this addition was made before; False where the id is unknown."""

    async def late_once(self, entry: LateVerdict) -> Sequence[Label] | None:
        """As `late`, noted as this addition: whoever replays it afterwards changes nothing."""

    async def feedback_once(self, entry: Opinion) -> Feedback | None:
        """As `feedback`, noted as this addition."""


class JournalledHistory:
    """The port History over a store and a journal. To be made on the event loop that uses it.

    Args:
        store: the database.
        journal: where outcomes wait for it; closed with this.
        patience_s: how long an outcome may take to be stored, in seconds.
        probe_s: between two pings of a database that is away, in seconds.
        held: outcomes kept in memory where the journal cannot be written.
        away: whether the database is known to be away from the start.
    """

    def __init__(
        self,
        store: Replayable,
        journal: Journal,
        *,
        patience_s: float = 1.0,
        probe_s: float = 0.5,
        held: int = HELD,
        away: bool = False,
    ) -> None:
        self.store = store
        self._journal = journal
        self._patience_s = patience_s
        self._probe_s = probe_s
        self._most_held = held
        self._held: deque[Entry] = deque()
        self._away = away
        self._closed = False
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._recover(), name="gearbox-journal-replay")
        if journal.pending or away:
            self._wake.set()

    @property
    def backlog(self) -> int:
        """How many outcomes are not in the database: queued, journalled and held."""
        return self.store.backlog + self._waiting

    @property
    def _waiting(self) -> int:
        """How many outcomes only a replay will bring to the database; what is merely queued is on its way."""
        return self._journal.pending + len(self._held)

    @property
    def away(self) -> bool:
        """Whether the database is thought to be away."""
        return self._away

    async def record(self, outcome: Outcome) -> None:
        """Make the outcome durable, in the database or in the journal. A second one of the same id changes nothing.

        Raises:
            StoreUnavailable: closed; or neither takes it, and memory holds as much as it may.
            RowRefused: the database takes no such row.
        """
        self._check_open()
        if not self._away:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self.store.record(outcome)
            except _AWAY as error:
                self._lost(error)
        await self._keep(rows_of(outcome))
        return None

    async def late_cost(self, id: str, nanousd: int) -> bool:  # noqa: A002 - the row's id
        """Add what was spent for a request after its answer; False where the id is unknown.

        While anything waits to be replayed the addition goes to the journal, behind the outcome it may belong to.
        """
        self._check_open()
        entry = LateCost(uuid.uuid4().hex, id, nanousd)
        if not self._away and not self._waiting:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self.store.late_cost_once(entry)
            except _AWAY as error:
                self._lost(error)
        await self._keep(entry)
        return True

    def questions(self, embedding_model: str) -> AsyncIterator[Sequence[StoredQuestion]]:
        """Every stored question of this embedding model, oldest first, in batches."""
        return self.store.questions(embedding_model)

    async def late(self, late: Afterwards) -> Sequence[Label] | None:
        """Store a verdict that came after the answer; the question's labels now, None where the id is unknown.

        While the database is away, or the outcome itself still waits to be replayed, it is journalled, with its money;
        its labels are learnt from the store's feed once it is replayed.
        """
        self._check_open()
        entry = LateVerdict(uuid.uuid4().hex, late_rows_of(late, datetime.now(UTC)))
        if not self._away and not self._waiting:
            try:
                async with asyncio.timeout(self._patience_s):
                    return await self.store.late_once(entry)
            except _AWAY as error:
                self._lost(error)
        await self._keep(entry)
        return None

    async def turns(self, since: float) -> Sequence[StoredTurn]:
        """The last answered turn of each conversation that was active since then."""
        return await self.store.turns(since)

    async def turn(self, key_id: str, session: str | None, calls: Sequence[str], since: float) -> StoredTurn | None:
        """The last answered turn since then of this key's session, or that made any of these tool calls."""
        if self._away:
            raise StoreUnavailable("the database is away")
        return await self.store.turn(key_id, session, calls, since)

    def pasts(self, policies: Sequence[str], newest: int) -> AsyncIterator[Sequence[tuple[str, Past]]]:
        """(team, past) of the newest finished requests of these policies, the oldest of them first, in batches."""
        return self.store.pasts(policies, newest)

    async def pasts_since(
        self, policies: Sequence[str], since: float, known: Callable[[str], bool]
    ) -> Sequence[tuple[str, Past]]:
        """(team, past) of those that began since then and whose ids are not known."""
        return await self.store.pasts_since(policies, since, known)

    async def decision(self, id: str, caller: Caller) -> Mapping[str, Any] | None:  # noqa: A002 - the row's id
        """One request's whole story as JSON; None where this caller has no such request, or not yet."""
        return await self.store.decision(id, caller)

    async def feedback(self, id: str, caller: Caller, label: float, by: str, note: str) -> Feedback | None:  # noqa: A002 - the row's id
        """Replace the pseudo-label of the tier that answered; None where there is nothing to label.

        It is journalled as a late verdict is; whether there is such a request of this caller shows when it is replayed.
        """
        self._check_open()
        entry = opinion(id, caller, label, by, note, datetime.now(UTC))
        if not self._away:
            try:
                async with asyncio.timeout(self._patience_s):
                    given = await self.store.feedback_once(entry)
            except _AWAY as error:
                self._lost(error)
            else:
                if given is not None or not self._waiting:
                    return given
        await self._keep(entry)
        return Feedback(caller.team, (), queued=True)

    async def ping(self) -> None:
        """Raise StoreUnavailable where the store is away."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self.store.ping()
        except TimeoutError:
            raise StoreUnavailable(f"the database has been silent for {self._patience_s} s") from None

    async def ready(self) -> None:
        """Raise StoreUnavailable where a crash now would lose outcomes: neither database nor journal takes them."""
        if self._held:
            raise StoreUnavailable(
                f"neither the database nor the journal can be written; {len(self._held)} outcomes are held in memory"
            )

    def notes(self) -> dict[str, str]:
        """What an operator should know although answers flow."""
        if not self._away and not self._journal.pending:
            return {}
        return {"store": f"{'away' if self._away else 'back'}; {self.backlog} outcomes wait to be written"}

    async def aclose(self) -> None:
        """Write what is queued and close; what is journalled stays for the next start."""
        if self._closed:
            return
        self._closed = True
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._held:
            await self._unload()
        if self._held:
            _log.error("outcomes are lost: neither database nor journal could be written", outcomes=len(self._held))
        await self.store.aclose()
        await self._journal.aclose()

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store is closed: nothing can be recorded any more")

    def _lost(self, error: BaseException) -> None:
        if not self._away:
            words = error.message if isinstance(error, StoreUnavailable) else f"silent for {self._patience_s} s"
            _log.error("the database is away; outcomes go to the journal", error=words)
        self._away = True
        self._wake.set()

    async def _keep(self, entry: Entry) -> None:
        try:
            await self._journal.append(entry)
        except JournalUnwritable as error:
            if len(self._held) >= self._most_held:
                raise StoreUnavailable(f"the database is away, and {error.message}: this cannot be recorded") from error
            self._held.append(entry)
            if len(self._held) % 100 == 1:
                _log.error("the journal cannot be written", error=error.message, held_in_memory=len(self._held))
        self._wake.set()

    # the way back

    async def _recover(self) -> None:
        while True:
            with suppress(TimeoutError):  # then it is time to look for what others left
                async with asyncio.timeout(ADOPT_S):  # not wait_for, which may swallow a cancellation (gh-86296)
                    await self._wake.wait()
            self._wake.clear()
            try:
                await self._journal.adopt()
                if self.backlog or self._away:
                    await self._return()
            except Exception:  # noqa: BLE001 - not hidden: logged in full, and tried again, for outcomes depend on it
                _log.exception("the journal cannot be replayed")
                await asyncio.sleep(self._probe_s)
                self._wake.set()

    async def _return(self) -> None:
        """Once: wait for the database, then replay all there is; again where it goes away meanwhile."""
        while True:
            try:
                await self.ping()
                await self.store.prepare()
                if self._away:
                    _log.warning("the database is back; replaying", outcomes=self._journal.pending + len(self._held))
                self._away = False
                await self._replay()
            except _AWAY as error:
                self._lost(error)
                await self._unload()
                await asyncio.sleep(self._probe_s)
            else:
                return

    async def _replay(self) -> None:
        await self._journal.adopt()
        await self._journal.seal()
        while (batch := await self._journal.batch(BATCH)) is not None:
            await self._apply(batch.entries)
            await self._journal.done(batch)
        while self._held:
            entries = [self._held[place] for place in range(min(BATCH, len(self._held)))]
            await self._apply(entries)
            for _ in entries:
                self._held.popleft()

    async def _apply(self, entries: Sequence[Entry]) -> None:
        """Apply a batch; where it is refused, one by one, and what is refused alone is put aside."""
        try:
            await self.store.replay(entries)
        except RowRefused as error:
            if len(entries) > 1:
                for entry in entries:
                    await self._apply([entry])
                return
            _log.error("the database refuses a journalled entry; put aside", error=error.message)
            await self._journal.refuse(entries[0])

    async def _unload(self) -> None:
        """Move what is held in memory to the journal, as far as it takes it."""
        while self._held:
            try:
                await self._journal.append(self._held[0])
            except JournalUnwritable:
                return
            self._held.popleft()
