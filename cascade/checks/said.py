"""What a verifier answers, and the protocol of its kinds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from router.domain import CheckOutcome

if TYPE_CHECKING:
    from router.domain import Request

#: Reasons are shown in decisions; a command's or an endpoint's own words in them are kept this short.
MAX_REASON = 200


@dataclass(frozen=True, slots=True)
class Said:
    """Valid, invalid or abstained, and why in words."""

    outcome: CheckOutcome
    reason: str


class Look(Protocol):
    """One kind of verifier. It may raise or take too long: both are the examiner's to turn into an abstention."""

    async def look(self, request: Request, text: str) -> Said:
        """Judge one candidate's text."""


def valid(reason: str) -> Said:
    """A yes."""
    return Said(CheckOutcome.VALID, short(reason))


def invalid(reason: str) -> Said:
    """A no."""
    return Said(CheckOutcome.INVALID, short(reason))


def abstained(reason: str) -> Said:
    """Neither: it cannot or does not want to say."""
    return Said(CheckOutcome.ABSTAINED, short(reason))


def short(reason: str) -> str:
    """One line of at most `MAX_REASON` characters."""
    return " ".join(reason.split())[:MAX_REASON]
