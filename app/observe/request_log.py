"""One log line per request: id, tiers, cost, why.

The law of this file: an `Observer` that repeats no text of a request. A reason may quote a judge, who may quote the
prompt, so only what stands before a reason's bracket is logged, and the question only where `server.log_prompts` asks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from app.edge.reports import attempts_text, outcome_word
from router.pricing import usd_text

if TYPE_CHECKING:
    from router.domain import Afterwards, Outcome

_log = structlog.get_logger("gearbox.request")


class RequestLog:
    """Writes the line."""

    def __init__(self, *, prompts: bool = False) -> None:
        self._prompts = prompts

    def observe(self, outcome: Outcome) -> None:
        """Log one outcome."""
        request, served = outcome.request, outcome.served
        why = outcome.delivered.why
        _log.info(
            "request",
            id=request.id,
            team=request.caller.team,
            key=request.caller.key_id,
            policy=request.policy,
            outcome=outcome_word(outcome),
            start_tier=outcome.start_tier,
            tier=served.tier if served else None,
            attempts=attempts_text(outcome.run.attempts),
            cost_usd=_usd(outcome.cost_nanousd),
            saved_usd=_usd(outcome.saved_nanousd),
            latency_ms=round(outcome.latency_s * 1000, 1),
            overhead_ms=round(outcome.overhead_s * 1000, 1),
            error=type(outcome.error).__name__ if outcome.error else None,
            why=why if self._prompts else why.partition(" (")[0],
            **({"question": request.question} if self._prompts else {}),
        )

    def observe_late(self, late: Afterwards) -> None:
        """Log a verdict that came after the answer."""
        attempt = late.attempt
        _log.info(
            "late verdict",
            id=late.request.id,
            tier=attempt.tier,
            verdict=attempt.verdict,
            late_cost_usd=_usd(late.cost_nanousd),
        )


def _usd(nanousd: int | None) -> str | None:
    return None if nanousd is None else usd_text(nanousd)
