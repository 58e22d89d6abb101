"""What a run without an answer means to the caller: the one error that says which tier failed and why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.domain import Stop, Verdict
from router.errors import (
    BudgetExhausted,
    BudgetTooSmall,
    ContextOverflow,
    GearboxError,
    RequestError,
    StoreUnavailable,
    UpstreamBadReply,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from router.pricing import usd_text

if TYPE_CHECKING:
    from router.domain import Attempt, Deliver, Request, Run

#: What keeps a call from being made at all: a budget, a cap, the ledger.
_DENIALS = (RequestError, StoreUnavailable)


def failure(request: Request, run: Run, delivered: Deliver) -> GearboxError | None:
    """Why the delivered decision gives the client no answer; None where it gives one."""
    if delivered.attempt is None:
        return _nothing_to_serve(run, delivered)
    served = run.attempts[delivered.attempt]
    if served.verdict_by == "verifier:empty":
        return UpstreamBadReply(f"{served.tier}: the upstream sent an empty answer, and no other tier had a better one")
    if delivered.stopped is Stop.BUDGET and request.wishes.budget_end == "refuse":
        if run.budget.cap_nanousd is None:
            return BudgetExhausted(
                "a budget of this key, its team or all keys was reached before an answer was accepted; leave out "
                "x-gearbox-budget-end to be served the best answer so far",
                param="x-gearbox-budget-end",
            )
        return BudgetExhausted(
            f"the cap of {usd_text(run.budget.cap_nanousd or 0)} USD was reached before an answer was accepted "
            f"({usd_text(run.budget.spent_nanousd)} USD spent); raise x-gearbox-budget-usd, or leave out "
            "x-gearbox-budget-end to be served the best answer so far",
            param="x-gearbox-budget-usd",
        )
    return None


def _nothing_to_serve(run: Run, delivered: Deliver) -> GearboxError:
    if not run.attempts:
        return _never_started(run, delivered)
    denied = [attempt.error for attempt in run.attempts if isinstance(attempt.error, _DENIALS)]
    if denied and not any(isinstance(attempt.error, UpstreamError) for attempt in run.attempts):
        return denied[0]
    return _rejection(run) or _all_failed(run)


def _rejection(run: Run) -> UpstreamRejected | None:
    """The upstream's own 400, where the request is at fault: not where a tier that could hold it is merely down."""
    last = run.attempts[-1].error
    if not isinstance(last, UpstreamRejected):
        return None
    others = [attempt.error for attempt in run.attempts if not isinstance(attempt.error, UpstreamRejected)]
    return None if isinstance(last, ContextOverflow) and others else last


def _never_started(run: Run, delivered: Deliver) -> GearboxError:
    if delivered.stopped is Stop.BUDGET:
        least = min(run.budget.ask_nanousd.values(), default=0)
        return BudgetTooSmall(
            f"the cap of {usd_text(run.budget.cap_nanousd or 0)} USD pays for no tier: this request needs at least "
            f"{usd_text(least)} USD; raise x-gearbox-budget-usd or shorten the request",
            param="x-gearbox-budget-usd",
        )
    return UpstreamTimeout(f"no call could be started in time: {delivered.why}")


def _all_failed(run: Run) -> GearboxError:
    """503 where waiting helps, 504 where all was time-outs, else 502; the least `retry_after_s` of them all."""
    failed = [attempt for attempt in run.attempts if attempt.verdict is Verdict.ERROR]
    words = "; ".join(f"{attempt.tier}: {_why(attempt)}" for attempt in failed)
    errors = [attempt.error for attempt in failed]
    waits = [error.retry_after_s for error in errors if error is not None and error.retry_after_s is not None]
    wait = min(waits, default=None)
    if all(isinstance(error, UpstreamRateLimited) for error in errors):
        return UpstreamRateLimited(f"every tier's upstream is rate limited: {words}", retry_after_s=wait)
    if all(isinstance(error, UpstreamTimeout) for error in errors):
        return UpstreamTimeout(f"no upstream answered in time: {words}", retry_after_s=wait)
    if any(isinstance(error, UpstreamUnavailable | UpstreamRateLimited) for error in errors):
        return UpstreamUnavailable(f"no upstream could answer: {words}", retry_after_s=wait)
    return UpstreamBadReply(f"no upstream gave a usable answer: {words}")


def _why(attempt: Attempt) -> str:
    return attempt.error.message if attempt.error else "no answer"
