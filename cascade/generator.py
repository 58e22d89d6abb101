"""Asks a tier for an answer, and finds out without a model whether it can be any good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.caller import Errand
from cascade.margins import FIRST_TOKEN, margin
from cascade.prompts import invite_abstention
from cascade.sampling import with_agreement
from cascade.upstreams.logprobs import AsAsked, as_asked, with_logprobs
from cascade.verifiers import LENGTH, is_abstention, verify
from router.answers import final_answer
from router.domain import Answer, Attempt, Purpose, Verdict
from router.errors import ContextOverflow, UpstreamRejected

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.brake import Brake
    from cascade.caller import Caller, Spoken
    from cascade.purse import Purse
    from router.domain import Ask, Request, Tier
    from router.ports import ChunkSink


class Generator:
    """One `Ask` -> one `Attempt`."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def ask(
        self,
        request: Request,
        tier: Tier,
        ask: Ask,
        purse: Purse,
        live: ChunkSink | None,
        brake: Brake,
    ) -> tuple[Attempt, bool]:
        """Ask a tier; the attempt comes back with its verdict where no judge is needed for one.

        The second value says whether any of the answer reached the client already.
        """
        body = invite_abstention(request.body) if ask.invite_abstention else request.body
        errand = Errand(
            tier=tier,
            body=with_logprobs(body) if ask.logprobs else body,
            purpose=Purpose.GENERATE,
            stream=request.stream,
            live=AsAsked(live, request.body) if live is not None and ask.final else None,
            even_cooling=ask.final,
            brake=brake,
        )
        spoken = await self._spoken(errand, body, purse)
        attempt = Attempt(tier=tier.name, why=ask.why, p_valid=ask.p_valid, calls=spoken.calls)
        if spoken.reply is None:
            return replace(attempt, verdict=Verdict.ERROR, error=spoken.error), spoken.streamed
        attempt = _examined(request, attempt, spoken, ask)
        if ask.samples > 1 and attempt.verdict is Verdict.UNJUDGED:
            attempt = await with_agreement(attempt, errand, ask, self._caller, purse)
        return attempt, spoken.streamed

    async def _spoken(self, errand: Errand, plain: Mapping[str, Any], purse: Purse) -> Spoken:
        """Make the call; an upstream that refuses the log-probabilities we added is asked again without them."""
        spoken = await self._caller.call(errand, purse)
        refused = isinstance(spoken.error, UpstreamRejected) and not isinstance(spoken.error, ContextOverflow)
        if not refused or errand.body is plain or plain.get("logprobs"):
            return spoken
        again = await self._caller.call(replace(errand, body=plain), purse)
        return replace(again, calls=(*spoken.calls, *again.calls))


def _examined(request: Request, attempt: Attempt, spoken: Spoken, ask: Ask) -> Attempt:
    answer = _answer(request, spoken, ask.margin or FIRST_TOKEN)
    attempt = replace(attempt, answer=answer, confidence=answer.margin, confidence_by=_measured_by(answer, ask))
    if is_abstention(answer):
        return replace(attempt, verdict=Verdict.ABSTAINED, verdict_by="answer", reason="it abstained")
    finding = verify(request.body, answer, limit_was_ours=spoken.limit_was_ours)
    if finding is None:
        return attempt
    return replace(
        attempt,
        verdict=Verdict.INVALID,
        verdict_by=f"verifier:{finding.check}",
        reason=finding.reason,
        cut_by_cap=finding.check == LENGTH and spoken.limit_was_ours,
    )


def _answer(request: Request, spoken: Spoken, by: str) -> Answer:
    reply = spoken.reply
    if reply is None:
        raise ValueError("no reply to read an answer from")
    # The margin is taken before what the client did not ask for is taken out.
    chunks = tuple(as_asked(chunk, request.body) for chunk in reply.chunks)
    answer = Answer(as_asked(reply.body, request.body), chunks, margin=margin(reply.body, by))
    # Upstreams with hints hand the final answer over (wire.md); everything else is read out of the text.
    told = answer.message.get("final_answer")
    return replace(answer, final=told if isinstance(told, str) else final_answer(answer.text))


def _measured_by(answer: Answer, ask: Ask) -> str:
    """The confidence's measure; also where it was asked for and a text came without it: the upstream gives none."""
    if answer.margin is not None:
        return ask.margin or FIRST_TOKEN
    text_alone = bool(answer.text) and not answer.message.get("tool_calls")
    return ask.margin if ask.logprobs and text_alone else ""
