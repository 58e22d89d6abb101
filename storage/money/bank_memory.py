"""The Bank in memory: the same promises for one process, forgotten at its end.

The law of this file: no await inside an operation, so each is atomic on the event loop.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from router.budgets import BudgetTerms, Standing, removed, window
from router.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from router.ports import Settlement

#: A worker that has not been heard of for so long counts as dead.
LEASE_TTL_S = 30.0


@dataclass(slots=True)
class _Reservation:
    amount_nanousd: int
    expires_at: datetime
    seq: int = 0


class MemoryBank:
    """Budgets and reservations in dicts.

    Args:
        terms: the budgets there are.
        ttl_s: after how many seconds of silence a worker counts as dead.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        terms: Iterable[BudgetTerms] = (),
        *,
        ttl_s: float = LEASE_TTL_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock
        self._budgets: dict[str, Standing] = {}
        self._held: dict[tuple[str, str], _Reservation] = {}
        for each in terms:
            self.put(each)

    def put(self, terms: BudgetTerms) -> None:
        """Add a budget, or change its limits."""
        known = self._budgets.get(terms.id)
        if known is None:
            lent = sum(held.amount_nanousd for (_, budget), held in self._held.items() if budget == terms.id)
            known = Standing(terms, 0, lent, window(terms.period, self._now())[1])
        self._budgets[terms.id] = replace(known, terms=terms)

    def remove(self, budget: str) -> None:
        """Forget a budget and what was spent of it."""
        self._budgets.pop(budget, None)

    async def lend(self, worker: str, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        """See `Bank`."""
        standings = {budget: self._current(budget) for budget in amounts if budget in self._budgets}
        refusing = tightest(standings.values(), amounts)
        if refusing is not None:
            raise Refused(refusing)
        for budget in standings:
            self._change(budget, 0, amounts[budget])
            held = self._held.setdefault((worker, budget), _Reservation(0, self._now()))
            held.amount_nanousd += amounts[budget]
            held.expires_at = self._now() + self._ttl
        return {budget: self._budgets[budget] for budget in standings}

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> Mapping[str, Standing]:
        """See `Bank`."""
        for each in settlements:
            self._settle(worker, each)
        held = [each.budget for each in settlements if (worker, each.budget) in self._held]
        return {budget: self._budgets.get(budget) or removed(budget) for budget in held}

    async def renew(self, worker: str) -> None:
        """See `Bank`."""
        for (whose, _), held in self._held.items():
            if whose == worker:
                held.expires_at = self._now() + self._ttl

    async def reap(self) -> int:
        """See `Bank`."""
        dead = [place for place, held in self._held.items() if held.expires_at <= self._now()]
        for place in dead:
            held = self._held.pop(place)
            self._change(place[1], held.amount_nanousd, -held.amount_nanousd)
        return len(dead)

    async def standings(self, budgets: Sequence[str]) -> Sequence[Standing]:
        """See `Bank`."""
        return [self._current(budget) for budget in budgets if budget in self._budgets]

    async def aclose(self) -> None:
        """Nothing to close."""

    def _settle(self, worker: str, each: Settlement) -> None:
        held = self._held.get((worker, each.budget))
        if held is None or held.seq >= each.seq:
            return
        kept = kept_nanousd(held.amount_nanousd, each)
        self._change(each.budget, each.spent_nanousd, kept - held.amount_nanousd)
        held.amount_nanousd, held.seq = kept, each.seq

    def _change(self, budget: str, spent_nanousd: int, reserved_nanousd: int) -> None:
        if budget not in self._budgets:
            return
        known = self._current(budget)
        self._budgets[budget] = replace(
            known,
            spent_nanousd=known.spent_nanousd + spent_nanousd,
            reserved_nanousd=known.reserved_nanousd + reserved_nanousd,
        )

    def _current(self, budget: str) -> Standing:
        """The budget, in a new window where the old one has ended; what is reserved goes along."""
        known, now = self._budgets[budget], self._now()
        if known.resets_at is not None and known.resets_at <= now:
            known = replace(known, spent_nanousd=0, resets_at=window(known.terms.period, now)[1])
            self._budgets[budget] = known
        return known

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def kept_nanousd(reserved_nanousd: int, settlement: Settlement) -> int:
    """What stays reserved after a settlement: never more than the reservation minus what was spent of it."""
    return max(min(settlement.keep_nanousd, reserved_nanousd - settlement.spent_nanousd), 0)


def tightest(standings: Iterable[Standing], amounts: Mapping[str, int]) -> Standing | None:
    """Of the budgets that do not hold these amounts, the one whose settled spend leaves least; None where all do.

    Where one is spent and another merely reserved by others, it is the spent one: no waiting helps there.
    """
    margins = [
        (standing.unspent_nanousd - amounts[standing.terms.id], standing)
        for standing in standings
        if standing.unspent_nanousd is not None and amounts[standing.terms.id] > (standing.free_nanousd or 0)
    ]
    return min(margins, key=lambda each: each[0], default=(0, None))[1]
