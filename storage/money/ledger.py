"""The Ledger of one worker: it borrows from the Bank, so that most calls are reserved and settled without any I/O.

The law of this file: a call takes only what the bank has reserved for this worker already. Where a budget is tight the
worker borrows exactly what a call needs and says at once what it cost; where there is plenty it borrows a little ahead.
Bank away: what is borrowed can be spent, then StoreUnavailable.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from router.errors import Forfeited, QuotaSpent, RateLimited, Refused, StoreUnavailable
from router.pricing import usd_text
from storage.money.till import Till

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from router.budgets import Standing
    from router.ports import Bank, Hold

_T = TypeVar("_T")
_log = structlog.get_logger("gearbox.ledger")


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How a worker deals with the bank.

    `ahead_nanousd`: the most it borrows beyond the need of the moment, and so the most that its death costs beyond its
    open calls. `tick_s`: how often it settles; `idle_s`: after which it gives back what lies idle; `renew_s`: how often
    it says that it lives; `ask_again_s`: how often it asks for what was refused; `patience_s`: how long it waits for
    the bank; `away_s`: for how long it does not ask a bank that was away; `late_s`: after how much silence of its own
    it asks what it still holds before it borrows more, for it may have been taken for dead.
    """

    ahead_nanousd: int = 50_000_000
    tick_s: float = 0.5
    idle_s: float = 1.0
    renew_s: float = 5.0
    ask_again_s: float = 0.1
    patience_s: float = 5.0
    away_s: float = 1.0
    late_s: float = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class LeasedHold:
    """Money set aside in tills."""

    tills: tuple[Till, ...]
    nanousd: int


@dataclass(frozen=True, slots=True)
class _No:
    """A refusal, remembered for a moment so that a crowd asks once."""

    until: float
    nanousd: int
    refused: Refused


class LeasedLedger:
    """See `Ledger`. To be made on the event loop that uses it; `aclose` gives everything back.

    Args:
        bank: the truth.
        worker: this worker's id; never used twice.
        settings: see there.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        bank: Bank,
        worker: str,
        settings: LedgerSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bank = bank
        self._worker = worker
        self._settings = settings or LedgerSettings()
        self._clock = clock
        self._tills: dict[str, Till] = {}
        self._numbers = itertools.count(1)
        self._noes: dict[str, _No] = {}
        self._away_until = 0.0
        self._closing = False
        self._renewed_at = clock()
        self._lock = asyncio.Lock()
        self._moved = asyncio.Event()
        self._kick = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name="gearbox-ledger")

    async def reserve(self, budgets: Sequence[str], nanousd: int, wait_s: float) -> Hold:
        """See `Ledger`."""
        until = self._clock() + wait_s
        while True:
            tills = [self._till(budget) for budget in sorted(set(budgets))]
            hold = self._take(tills, nanousd)
            if hold is not None:
                return hold
            refused = await self._borrow(tills, nanousd)
            if refused is None:
                continue  # borrowed, and nobody can have taken it: no other task has run since
            self._raise_if_spent(refused.standing, nanousd)
            left_s = until - self._clock()
            if left_s <= 0:
                raise _busy(refused.standing, nanousd)
            await self._something_moves(min(left_s, self._settings.ask_again_s))

    def settle(self, hold: Hold, cost_nanousd: int) -> None:
        """See `Ledger`."""
        if not isinstance(hold, LeasedHold):
            raise TypeError("this hold was made by another ledger")
        now = self._clock()
        for till in hold.tills:
            till.pay(hold.nanousd, cost_nanousd, now)
            if till.tight:
                self._kick.set()
        self._moved.set()

    def soft_reached(self, budgets: Sequence[str]) -> tuple[str, ...]:
        """See `Ledger`."""
        known = [self._tills[budget] for budget in budgets if budget in self._tills]
        return tuple(till.budget for till in known if _soft(till))

    async def aclose(self) -> None:
        """Settle everything and give back what is unspent; what cannot be told is counted as spent by others later."""
        # Not cancelled: a settlement that is cut off on its way may or may not have been booked.
        self._closing = True
        self._kick.set()
        await asyncio.wait([self._task])
        try:
            for _ in range(2):  # what was under way first, then the rest
                await self._tell(keep_idle=False)
            await self._bank.aclose()
        except (StoreUnavailable, TimeoutError) as error:
            _log.warning("closed while the ledger is away: what was reserved counts as spent", why=str(error))

    # taking and borrowing

    def _till(self, budget: str) -> Till:
        return self._tills.setdefault(budget, Till(budget))

    def _take(self, tills: Sequence[Till], nanousd: int) -> LeasedHold | None:
        if any(till.free_nanousd < nanousd for till in tills):
            return None
        now = self._clock()
        for till in tills:
            till.take(nanousd, now)
        return LeasedHold(tuple(tills), nanousd)

    async def _borrow(self, tills: Sequence[Till], nanousd: int) -> Refused | None:
        """Borrow what is missing; None = ask the tills again."""
        known = self._known_no(tills, nanousd)
        if known is not None:
            return known
        async with self._lock:
            short = {till.budget: nanousd - till.free_nanousd for till in tills if till.free_nanousd < nanousd}
            if not short or any(self._tills.get(till.budget) is not till for till in tills):
                return None
            for till in tills:
                till.largest_nanousd = max(till.largest_nanousd, nanousd)
            late = self._clock() - self._renewed_at > self._settings.late_s
            await self._patiently(self._settle([till for till in tills if late or till.pending], keep_idle=not late))
            if any(self._tills.get(till.budget) is not till for till in tills):
                return None
            ahead = {till.budget: till.ahead_nanousd(self._settings.ahead_nanousd) for till in tills}
            more = {budget: amount + ahead[budget] for budget, amount in short.items()}
            try:
                await self._lend_to(tills, short, more)
            except Refused as refused:
                return self._no(refused, nanousd)
            except Forfeited as forfeited:
                # Open calls go on in their old tills, which nobody asks or settles again.
                _log.warning("all that was borrowed counts as spent; borrowing anew", why=forfeited.message)
                self._tills.clear()
            return None

    async def _lend_to(self, tills: Sequence[Till], short: Mapping[str, int], more: Mapping[str, int]) -> None:
        """Put what is missing into the tills, and a little more where there is plenty."""
        try:
            self._put(tills, short, more, await self._lend(more))
        except Refused:
            if more == short:
                raise
            self._put(tills, short, short, await self._lend(short))

    async def _lend(self, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        return await self._patiently(self._bank.lend(self._worker, amounts))

    async def _patiently(self, asked: Coroutine[Any, Any, _T]) -> _T:
        """Ask the bank, but not for ever, and not at once again after it was away."""
        if self._clock() < self._away_until:
            asked.close()
            raise _away("it did not answer a moment ago")
        try:
            async with asyncio.timeout(self._settings.patience_s):
                return await asked
        except TimeoutError as error:
            self._away_until = self._clock() + self._settings.away_s
            raise _away(f"no answer in {self._settings.patience_s:g} s") from error
        except StoreUnavailable as error:
            self._away_until = self._clock() + self._settings.away_s
            raise _away(error.message) from error

    def _put(
        self, tills: Sequence[Till], short: Mapping[str, int], asked: Mapping[str, int], lent: Mapping[str, Standing]
    ) -> None:
        for till in tills:
            if till.budget in lent:
                till.borrowed(asked[till.budget], lent[till.budget])
            elif till.budget in short:
                # The budget was removed a moment ago: it does not bound this call, and nothing is borrowed ahead of it.
                till.held_nanousd += short[till.budget]

    # saying no

    def _known_no(self, tills: Sequence[Till], nanousd: int) -> Refused | None:
        now = self._clock()
        for till in tills:
            no = self._noes.get(till.budget)
            if no is not None and now < no.until and nanousd >= no.nanousd and till.free_nanousd < nanousd:
                return no.refused
        return None

    def _no(self, refused: Refused, nanousd: int) -> Refused:
        until = self._clock() + self._settings.ask_again_s * 0.9
        budget = refused.standing.terms.id
        self._till(budget).seen = refused.standing
        self._noes[budget] = _No(until, nanousd, refused)
        return refused

    def _raise_if_spent(self, standing: Standing, nanousd: int) -> None:
        """Only settled spend, ours that the bank was not told yet included, makes a budget spent."""
        limit = standing.terms.limit_nanousd
        till = self._till(standing.terms.id)
        left = None if limit is None else limit - standing.spent_nanousd - till.spent_nanousd
        if left is not None and left < nanousd:
            raise _spent(standing, left, nanousd)

    async def _something_moves(self, at_most_s: float) -> None:
        self._moved.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._moved.wait()

    # settling with the bank

    async def _run(self) -> None:
        while not self._closing:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.tick_s):
                    await self._kick.wait()
            self._kick.clear()
            try:
                await self._tick()
            except (StoreUnavailable, TimeoutError) as error:
                _log.warning("the ledger is away; calls go on within what is borrowed", why=str(error))
                await asyncio.sleep(self._settings.away_s)
            except Exception:  # noqa: BLE001 - logged in full; a ledger that stops settling would be worse
                _log.exception("the ledger's settling failed; it is tried again")
                await asyncio.sleep(self._settings.away_s)

    async def _tick(self) -> None:
        if self._closing:
            return
        await self._tell(keep_idle=True)
        if self._clock() - self._renewed_at >= self._settings.renew_s:
            async with asyncio.timeout(self._settings.patience_s):
                await self._bank.renew(self._worker)
                await self._bank.reap()
            self._renewed_at = self._clock()

    async def _tell(self, *, keep_idle: bool) -> None:
        """Tell the bank what is new; idle money goes back where it has lain for a while or others may need it."""
        async with self._lock, asyncio.timeout(self._settings.patience_s):
            for keep, tills in self._by_keeping(keep_idle):
                await self._settle(tills, keep_idle=keep)
        for budget in [budget for budget, till in self._tills.items() if till.idle and not self._recent(till)]:
            del self._tills[budget]

    def _by_keeping(self, keep_idle: bool) -> tuple[tuple[bool, list[Till]], ...]:
        kept = [till for till in self._tills.values() if keep_idle and self._recent(till) and not till.tight]
        others = [till for till in self._tills.values() if till not in kept]
        return (True, kept), (False, others)

    def _recent(self, till: Till) -> bool:
        return self._clock() - till.used_at < self._settings.idle_s

    async def _settle(self, tills: Sequence[Till], *, keep_idle: bool) -> None:
        """Under the lock."""
        told = [(till, entry) for till in tills if (entry := till.settlement(self._numbers, keep_idle=keep_idle))]
        if not told:
            return
        known = await self._bank.settle(self._worker, [entry for _, entry in told])
        for till, _ in told:
            if till.budget in known:
                till.told(known[till.budget])
            elif self._tills.get(till.budget) is till:
                # Nothing is held there any more: the budget is gone, or we were taken for dead and all of it counts as
                # spent. Open calls go on in the old till, which nobody asks again.
                _log.warning("a reservation is gone: what was open counts as spent", budget=till.budget)
                del self._tills[till.budget]
        self._moved.set()


def _soft(till: Till) -> bool:
    soft = till.seen.terms.soft_nanousd if till.seen else None
    return soft is not None and till.settled_nanousd >= soft


def _spent(standing: Standing, left_nanousd: int, nanousd: int) -> QuotaSpent:
    limit = standing.terms.limit_nanousd or 0
    reset = f"it resets at {standing.resets_at:%Y-%m-%d %H:%M} UTC" if standing.resets_at else "it does not reset"
    error = QuotaSpent(
        f"{standing.terms.words} of {usd_text(limit)} USD is spent: {usd_text(max(left_nanousd, 0))} USD is left, and "
        f"this call may cost up to {usd_text(nanousd)} USD; {reset}"
    )
    error.scope = standing.terms.scope
    return error


def _busy(standing: Standing, nanousd: int) -> RateLimited:
    error = RateLimited(
        f"{standing.terms.words} is reserved by other requests in flight: {usd_text(nanousd)} USD is needed for this "
        f"call at worst, {usd_text(max(standing.free_nanousd or 0, 0))} USD is free; try again in a moment",
        retry_after_s=1.0,
    )
    error.scope = standing.terms.scope
    return error


def _away(why: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"the ledger is away and this worker has spent what it had reserved for this key; try again soon ({why})",
        retry_after_s=2.0,
    )
