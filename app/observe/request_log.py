"""One log line per request: id, tiers, cost, why; or, where it was refused before anything was asked, its error.

The law of this file: an `Observer` that repeats no text of a request. An error's message may hold some, and so may its
parameter's name; its code is told where it is a word, for an upstream's may be anything. A reason may quote a judge,
who may quote the prompt, so only what stands before a reason's bracket is logged, and the question only where
`server.log_prompts` asks.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import structlog

from app.edge.errors import status_of
from app.edge.reports import attempts_text, outcome_word
from router.pricing import usd_text

if TYPE_CHECKING:
    from router.domain import Afterwards, Outcome

_log = structlog.get_logger("gearbox.request")

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")


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
            status=200 if outcome.error is None else status_of(outcome.error),
            error=type(outcome.error).__name__ if outcome.error else None,
            code=_word(outcome.error.code) if outcome.error else None,
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

    def observe_joined(self, outcome: Outcome) -> None:
        """Log a client who got another request's outcome: that one's id is the one it was told."""
        served = outcome.served
        _log.info("joined", id=outcome.request.id, outcome=outcome_word(outcome), tier=served.tier if served else None)


def refused(request_id: str, status: int, error: str, code: str | None) -> None:
    """Log a request that ended in an error and left no outcome.

    Args:
        request_id: as the client was told.
        status: HTTP's.
        error: our name of it.
        code: OpenAI's or ours, None where it has none.
    """
    _log.warning("refused", id=request_id, status=status, error=error, code=_word(code))


def _usd(nanousd: int | None) -> str | None:
    return None if nanousd is None else usd_text(nanousd)


def _word(code: str | None) -> str | None:
    return code if code is not None and _WORD.fullmatch(code) else None
