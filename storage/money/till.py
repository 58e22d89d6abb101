"""What one worker may spend of one budget without asking: borrowed, set aside for calls, spent and not yet settled.

The law of this file: no I/O and no clock of its own. held >= reserved + spent, except where a vendor billed more than
the worst case.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router.ports import Settlement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.budgets import Standing

#: A worker borrows ahead at most this part of what is free in a budget, so that nobody starves beside it.
_AHEAD = 20
#: A budget that holds fewer than this many more of the last call is tight: nothing is kept idle, all is told at once.
_TIGHT = 8


@dataclass(slots=True)
class Till:
    """One budget's till. `seen` is how the budget stood when the bank last said so."""

    budget: str
    held_nanousd: int = 0
    reserved_nanousd: int = 0
    spent_nanousd: int = 0
    seen: Standing | None = None
    used_at: float = 0.0
    largest_nanousd: int = 0
    pending: Settlement | None = field(default=None)

    @property
    def free_nanousd(self) -> int:
        """What a call may still set aside."""
        return self.held_nanousd - self.reserved_nanousd - self.spent_nanousd

    @property
    def idle(self) -> bool:
        """Nothing borrowed, nothing to tell."""
        return self.pending is None and not (self.held_nanousd or self.reserved_nanousd or self.spent_nanousd)

    @property
    def tight(self) -> bool:
        """Whether others may be waiting for what lies here."""
        free = None if self.seen is None else self.seen.free_nanousd
        return free is not None and free < _TIGHT * self.largest_nanousd

    def ahead_nanousd(self, at_most: int) -> int:
        """What to borrow beyond the need of the moment."""
        if self.seen is None:
            return 0
        free = self.seen.free_nanousd
        return at_most if free is None else max(min(at_most, free // _AHEAD), 0)

    def take(self, nanousd: int, now: float) -> None:
        """Set a call's worst case aside."""
        self.reserved_nanousd += nanousd
        self.largest_nanousd = max(self.largest_nanousd, nanousd)
        self.used_at = now

    def pay(self, reserved_nanousd: int, cost_nanousd: int, now: float) -> None:
        """Give a call's reservation back and note what it cost."""
        self.reserved_nanousd -= reserved_nanousd
        self.spent_nanousd += cost_nanousd
        self.used_at = now

    def borrowed(self, nanousd: int, seen: Standing) -> None:
        """The bank lent this much."""
        self.held_nanousd += nanousd
        self.seen = seen

    def settlement(self, numbers: Iterator[int], *, keep_idle: bool) -> Settlement | None:
        """What the bank must be told; None where there is nothing new.

        What it gives back leaves the till at once, so that nobody takes it meanwhile; the same settlement is given
        again until `told`, for the bank may have booked it without our hearing of it. `numbers` are the worker's, not
        the till's: a till may be dropped and made anew while the bank still knows the last number.
        """
        if self.pending is not None:
            return self.pending
        back = 0 if keep_idle else max(self.free_nanousd, 0)
        if not back and not self.spent_nanousd:
            return None
        spent = self.spent_nanousd
        self.held_nanousd = max(self.held_nanousd - spent - back, 0)
        self.spent_nanousd = 0
        self.pending = Settlement(self.budget, next(numbers), spent, self.held_nanousd)
        return self.pending

    def told(self, seen: Standing) -> None:
        """The bank has booked the settlement."""
        self.pending = None
        self.seen = seen

    @property
    def settled_nanousd(self) -> int:
        """The budget's settled spend as this worker knows it, its own included."""
        untold = self.pending.spent_nanousd if self.pending else 0
        return (self.seen.spent_nanousd if self.seen else 0) + self.spent_nanousd + untold
