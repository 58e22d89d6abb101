"""What the request would have cost without routing (wire.md: baseline). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Verdict
from router.pricing import cost_nanousd

if TYPE_CHECKING:
    from router.domain import Attempt, Run, Tier


def baseline_nanousd(run: Run, served: Attempt | None, top: Tier) -> int | None:
    """The top tier's real price where it answered, else its prices on the served answer's tokens.

    None where nothing was served or the top tier has no price.
    """
    for attempt in run.attempts:
        if attempt.tier == top.name and attempt.verdict is not Verdict.ERROR and attempt.calls:
            return attempt.calls[-1].cost_nanousd
    price = top.deployments[0].price
    if served is None or price is None or not served.calls or served.calls[-1].usage is None:
        return None
    return cost_nanousd(served.calls[-1].usage, price)
