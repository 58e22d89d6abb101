"""Two ledgers, the second for when the first is away: the pool in Redis, then SQL itself.

The law of this file: it counts nothing. A hold is settled with the ledger that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.ports import Hold, Ledger


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    ledger: Ledger
    hold: Hold

    @property
    def nanousd(self) -> int:
        return self.hold.nanousd


class FailoverLedger:
    """See `Ledger`."""

    def __init__(self, first: Ledger, second: Ledger) -> None:
        self._first = first
        self._second = second

    async def reserve(self, budgets: Sequence[str], nanousd: int, wait_s: float) -> Hold:
        """See `Ledger`; what lies in the first one's tills is still spent while its bank is away."""
        try:
            return _Kept(self._first, await self._first.reserve(budgets, nanousd, wait_s))
        except StoreUnavailable:
            return _Kept(self._second, await self._second.reserve(budgets, nanousd, wait_s))

    def settle(self, hold: Hold, cost_nanousd: int) -> None:
        """See `Ledger`."""
        if not isinstance(hold, _Kept):
            raise TypeError("this hold was made by another ledger")
        hold.ledger.settle(hold.hold, cost_nanousd)

    def soft_reached(self, budgets: Sequence[str]) -> tuple[str, ...]:
        """See `Ledger`."""
        found = (*self._first.soft_reached(budgets), *self._second.soft_reached(budgets))
        return tuple(dict.fromkeys(found))

    async def aclose(self) -> None:
        """See `Ledger`."""
        await self._first.aclose()
        await self._second.aclose()
