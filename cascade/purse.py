"""The money one request may spend: reserve the worst case before each paid call, settle the real price after it.

The law of this file: nothing is paid that was not reserved, so what is spent and what is reserved together never exceed
the cap (wire.md, Money).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Purse:
    """One request's cap; `cap_nanousd` None = no cap of its own."""

    cap_nanousd: int | None
    spent_nanousd: int = 0
    reserved_nanousd: int = 0

    @property
    def left_nanousd(self) -> int | None:
        """What can still be reserved; None = no cap."""
        return None if self.cap_nanousd is None else self.cap_nanousd - self.spent_nanousd - self.reserved_nanousd

    @property
    def capped(self) -> bool:
        """Whether this request has a cap of its own."""
        return self.cap_nanousd is not None

    def reserve(self, nanousd: int) -> bool:
        """Set a call's worst case aside; False, and nothing reserved, where it does not fit."""
        left = self.left_nanousd
        if left is not None and nanousd > left:
            return False
        self.reserved_nanousd += nanousd
        return True

    def settle(self, reserved_nanousd: int, cost_nanousd: int) -> None:
        """Give a reservation back and pay what the call really cost."""
        self.reserved_nanousd -= reserved_nanousd
        self.spent_nanousd += cost_nanousd
