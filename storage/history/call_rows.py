"""The calls of one outcome -> rows of the table `attempt`, in the order they were made.

The law of this file: pure, like `rows`. A rung's verdict, reason and answer stand on its last generate row; its
earlier tries are `error`, samples have none; a judge's row carries the verdict that judge gave. A rung that failed
before any call was made still gets one row, cost 0, so that the story has no hole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from router.domain import Call, CostSource, Purpose, Verdict
from storage.history import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.domain import Afterwards, Attempt, Outcome
    from router.pricing import Price, Rates, Usage

Row: TypeAlias = dict[str, Any]

_RUNG_COLUMNS = (
    "verdict",
    "verdict_by",
    "why",
    "p_valid",
    "reason",
    "confidence",
    "confidence_by",
    "final_answer",
    "answer",
)
_TOKEN_COLUMNS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")


def attempt_rows(outcome: Outcome, inference_id: str) -> Iterator[Row]:
    """One row per call; `position` counts from 0."""
    keep_text = outcome.request.wishes.store
    for position, row in enumerate(_all(outcome, keep_text)):
        yield {"inference_id": inference_id, "position": position, **row}


def late_rows(late: Afterwards, inference_id: str) -> Iterator[Row]:
    """One row per call of a judge that was asked after the answer; the rung's own row stays as the client was told."""
    keep_text = late.request.wishes.store
    for place, row in enumerate(_judged(late.calls, late.attempt, late.rung, keep_text)):
        yield {"inference_id": inference_id, "position": place, **row}


def _all(outcome: Outcome, keep_text: bool) -> Iterator[Row]:
    for call in outcome.extra_calls:
        yield _row(call, None, {"verdict": Verdict.ERROR.value if call.error else None}, keep_text)
    for rung, attempt in enumerate(outcome.run.attempts):
        yield from _generate_rows(attempt, rung, keep_text)
        yield from _judge_rows(attempt, rung, keep_text)


def _generate_rows(attempt: Attempt, rung: int, keep_text: bool) -> Iterator[Row]:
    *tries, last = attempt.calls or (_never_made(attempt),)
    for call in tries:
        # A try without an error is no failure: a sample whose answer was only compared.
        yield _row(call, rung, {"verdict": Verdict.ERROR.value if call.error else None}, keep_text)
    row = _row(last, rung, _rung(attempt, keep_text), keep_text)
    yield row | {"error": row["error"] or _error_text(attempt, keep_text)}


def _judge_rows(attempt: Attempt, rung: int, keep_text: bool) -> Iterator[Row]:
    return _judged(attempt.judge_calls, attempt, rung, keep_text)


def _judged(calls: tuple[Call, ...], attempt: Attempt, rung: int, keep_text: bool) -> Iterator[Row]:
    for place, call in enumerate(calls, start=1):
        decided = place == len(calls) and attempt.verdict_by.startswith("judge:")
        verdict = attempt.verdict if decided else Verdict.ERROR
        yield _row(call, rung, {"verdict": verdict.value}, keep_text)


def _rung(attempt: Attempt, keep_text: bool) -> Row:
    answer = attempt.answer if keep_text else None
    return {
        "verdict": attempt.verdict.value,
        "verdict_by": attempt.verdict_by,
        "why": clean.text(attempt.why),
        "p_valid": clean.number(attempt.p_valid),
        "reason": clean.text(attempt.reason) if keep_text else None,
        "confidence": clean.number(attempt.confidence),
        "confidence_by": attempt.confidence_by or None,
        "final_answer": None if answer is None else clean.text(answer.final),
        "answer": None if answer is None else clean.text(answer.text),
    }


def _row(call: Call, rung: int | None, story: Row, keep_text: bool) -> Row:
    return {
        "rung": rung,
        "purpose": call.purpose.value,
        "tier": call.tier,
        "deployment": call.deployment,
        "model": call.model,
        "prices": None if call.price is None else _prices(call.price),
        **_tokens(call.usage),
        "cost_nanousd": call.cost_nanousd,
        "cost_source": call.cost_source.value,
        "latency_s": call.latency_s,
        "ttft_s": call.ttft_s,
        "finish_reason": clean.text_or_none(call.finish_reason),
        **dict.fromkeys(_RUNG_COLUMNS),
        **story,
        "error": _call_error(call, keep_text),
        "dropped": clean.json_ready(call.dropped),
    }


def _call_error(call: Call, keep_text: bool) -> str | None:
    """A vendor's message may quote the prompt; without leave to keep text only the fact is kept."""
    if call.error is None or keep_text:
        return clean.text_or_none(call.error)
    return Verdict.ERROR.value


def _error_text(attempt: Attempt, keep_text: bool) -> str | None:
    error = attempt.error
    if error is None:
        return None
    name = type(error).__name__
    return clean.text(f"{name}: {error.message}") if keep_text else name


def _never_made(attempt: Attempt) -> Call:
    """Stands for the call of a rung that failed before one was made: nothing asked, nothing paid."""
    return Call(
        purpose=Purpose.GENERATE,
        tier=attempt.tier,
        deployment="",
        model="",
        price=None,
        usage=None,
        cost_nanousd=0,
        cost_source=CostSource.NONE,
        latency_s=0.0,
    )


def _tokens(usage: Usage | None) -> Row:
    return {column: None if usage is None else getattr(usage, column) for column in _TOKEN_COLUMNS}


def _prices(price: Price) -> Row:
    """The price list as JSON, nano-dollars per million tokens; kinds without a price of their own are left out."""
    dearer = [{"above_prompt_tokens": above, **_rates(rates)} for above, rates in price.long_context]
    return _rates(price.base) | ({"long_context": dearer} if dearer else {})


def _rates(rates: Rates) -> Row:
    kinds = ("input", "output", "cached_input", "cache_write", "reasoning")
    named = {f"{kind}_nanousd_per_mtok": getattr(rates, kind) for kind in kinds}
    return {name: value for name, value in named.items() if value is not None}
