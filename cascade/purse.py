"""The money one request may spend: reserve the worst case before each paid call, settle the real price after it.

The law of this file: nothing is paid that was not reserved, in the request's own cap and in every budget of its key,
so what is spent and what is reserved together never exceed any of them (wire.md, Money). Without cap and budgets it
does no I/O and never waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cascade.quotes import DEFAULT_OUTPUT_TOKENS, Means
from router.errors import GearboxError, QuotaSpent, RateLimited, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.domain import Call
    from router.ports import Hold, Ledger

#: How long one request may wait for others' open reservations, all its calls together.
PATIENCE_S = 5.0


def _no_clock() -> float:
    """No clock: every wait is a first one."""
    return 0.0


@dataclass(frozen=True, slots=True)
class Reserved:
    """A call's worst case, set aside."""

    nanousd: int
    hold: Hold | None = None


@dataclass(slots=True)
class Purse:
    """One request's cap (`cap_nanousd` None = no cap of its own) and the budgets of its key.

    `denied` is the ledger's refusal, once there was one: from then on no new call is started. `default_output_tokens`:
    see `Means`. `receipts` are the calls made so far, in order, for whoever has to tell what a broken run has cost.
    """

    cap_nanousd: int | None
    ledger: Ledger | None = None
    budgets: Sequence[str] = ()
    patience_s: float = PATIENCE_S
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS
    receipts: list[Call] = field(default_factory=list)
    spent_nanousd: int = 0
    reserved_nanousd: int = 0
    denied: GearboxError | None = None
    waited_s: float = 0.0
    clock: Callable[[], float] = field(default=_no_clock, repr=False)

    @property
    def left_nanousd(self) -> int | None:
        """What can still be reserved of the request's own cap; None = no cap."""
        return None if self.cap_nanousd is None else self.cap_nanousd - self.spent_nanousd - self.reserved_nanousd

    @property
    def capped(self) -> bool:
        """Whether this request has a cap of its own."""
        return self.cap_nanousd is not None

    @property
    def budgeted(self) -> bool:
        """Whether a key's, team's or the global budget counts this request."""
        return bool(self.budgets)

    @property
    def means(self) -> Means:
        """What bounds the next call's price."""
        return Means(self.left_nanousd, self.budgeted, self.default_output_tokens)

    async def reserve(self, nanousd: int) -> Reserved | None:
        """Set a call's worst case aside; None, and nothing reserved, where the cap does not pay for it.

        Raises:
            QuotaSpent, RateLimited, StoreUnavailable: a budget does not pay for it; see `Ledger`.
        """
        left = self.left_nanousd
        if left is not None and nanousd > left:
            return None
        hold = await self._held(nanousd)
        self.reserved_nanousd += nanousd
        return Reserved(nanousd, hold)

    def settle(self, reserved: Reserved, cost_nanousd: int) -> None:
        """Give a reservation back and pay what the call really cost."""
        self.reserved_nanousd -= reserved.nanousd
        self.spent_nanousd += cost_nanousd
        if self.ledger is not None and reserved.hold is not None:
            self.ledger.settle(reserved.hold, cost_nanousd)

    @property
    def soft_reached(self) -> tuple[str, ...]:
        """The budgets whose soft limit is reached."""
        return () if self.ledger is None or not self.budgets else self.ledger.soft_reached(self.budgets)

    async def _held(self, nanousd: int) -> Hold | None:
        if self.ledger is None or not self.budgets:
            return None
        started = self.clock()
        try:
            return await self.ledger.reserve(self.budgets, nanousd, max(self.patience_s - self.waited_s, 0.0))
        except (QuotaSpent, RateLimited, StoreUnavailable) as error:
            self.denied = error
            raise
        finally:
            self.waited_s += self.clock() - started
