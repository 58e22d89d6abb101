"""What a decision does in a replay: an Ask gives the recorded answer, a Judge the recorded verdict, at their prices.

The law of this file: pure. A policy sees what it would see live, never whether an answer is correct. The free
verifiers are not run, since a recording may hold no text.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cascade.recordings.verdicts import verdict
from router.domain import Answer, Attempt, Call, CostSource, Purpose, Verdict
from router.pricing import cost_nanousd

if TYPE_CHECKING:
    from cascade.recordings import Query, RecordedAnswer, Recording
    from router.domain import Ask, Judge, Run
    from router.pricing import Usage


class NotRecorded(Exception):
    """The policy needs what a partial recording or a store does not hold; the message says what, of any query."""


def ask(recording: Recording, query: Query, run: Run, decision: Ask) -> Run:
    """The run with the recorded answer of the tier's model; a confidence is its margin, where margins are asked for.

    Raises:
        NotRecorded: this model was never asked this.
    """
    model = run.tier(decision.tier).deployments[0].model
    answer = recording.answers[model].get(query.id)
    if answer is None:
        raise NotRecorded(f"{model} was never asked")
    if decision.samples > 1:
        raise NotRecorded(f"{model} gave one answer, not {decision.samples} samples")
    margin = answer.confidence if decision.logprobs else None
    call = _call(recording, Purpose.GENERATE, decision.tier, model, answer.usage, answer.latency_s)
    calls = (*_confidence_call(call, answer), call) if margin is not None else (call,)
    attempt = Attempt(
        decision.tier,
        decision.why,
        decision.p_valid,
        calls,
        _answer(answer, margin),
        confidence=margin,
        confidence_by=decision.margin if decision.logprobs else "",
    )
    return run.with_attempt(_abstained(attempt) if answer.abstained else attempt)


def judge(recording: Recording, query: Query, run: Run, decision: Judge) -> Run:
    """The run with its last answer judged; where no verdict was recorded the judge has failed, as it would live.

    Raises:
        NotRecorded: a partial recording lacks this verdict.
    """
    last = run.attempts[-1]
    given = verdict(recording, query.id, last.model)
    if given is None:
        if recording.partial:
            raise NotRecorded(f"nobody judged {last.model}'s answer")
        failed = replace(last, verdict_by=f"failed:{decision.by}", reason="no verdict was recorded")
        return run.with_last(failed)
    call = _call(recording, Purpose.JUDGE, decision.by, given.model, given.usage, given.latency_s)
    said = Verdict.VALID if given.valid else Verdict.INVALID
    return run.with_last(replace(last, judge_calls=(call,), verdict=said, verdict_by=f"judge:{decision.by}"))


def _call(recording: Recording, purpose: Purpose, tier: str, model: str, usage: Usage, latency_s: float | None) -> Call:
    price = recording.models[model].price
    cost = cost_nanousd(usage, price)
    return Call(purpose, tier, model, model, price, usage, cost, CostSource.USAGE, latency_s or 0.0)


def _confidence_call(call: Call, answer: RecordedAnswer) -> tuple[Call, ...]:
    """What getting the confidence cost on top, if that took a separate call."""
    if answer.confidence_nanousd == 0:
        return ()
    return (replace(call, usage=None, cost_nanousd=answer.confidence_nanousd, latency_s=0.0),)


def _answer(answer: RecordedAnswer, margin: float | None) -> Answer:
    message = {"role": "assistant", "content": answer.content}
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    return Answer(body, final=answer.final, margin=margin)


def _abstained(attempt: Attempt) -> Attempt:
    return replace(attempt, verdict=Verdict.ABSTAINED, verdict_by="answer", reason="it abstained")
