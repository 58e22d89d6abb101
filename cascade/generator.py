"""Asks a tier for an answer, and finds out without a model whether it can be any good."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cascade.caller import Errand
from cascade.margins import first_token_margin
from cascade.prompts import invite_abstention
from cascade.verifiers import LENGTH, is_abstention, verify
from router.answers import final_answer
from router.domain import Answer, Attempt, Purpose, Verdict

if TYPE_CHECKING:
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
            body=body,
            purpose=Purpose.GENERATE,
            stream=request.stream,
            live=live if ask.final else None,
            even_cooling=ask.final,
            brake=brake,
        )
        spoken = await self._caller.call(errand, purse)
        attempt = Attempt(tier=tier.name, why=ask.why, p_valid=ask.p_valid, calls=spoken.calls)
        if spoken.reply is None:
            return replace(attempt, verdict=Verdict.ERROR, error=spoken.error), spoken.streamed
        return _examined(request, attempt, spoken), spoken.streamed


def _examined(request: Request, attempt: Attempt, spoken: Spoken) -> Attempt:
    answer = _answer(spoken)
    attempt = replace(attempt, answer=answer, confidence=answer.margin)
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


def _answer(spoken: Spoken) -> Answer:
    reply = spoken.reply
    if reply is None:
        raise ValueError("no reply to read an answer from")
    answer = Answer(reply.body, reply.chunks)
    # Upstreams with hints hand the final answer over (wire.md); everything else is read out of the text.
    told = answer.message.get("final_answer")
    final = told if isinstance(told, str) else final_answer(answer.text)
    return replace(answer, final=final, margin=first_token_margin(reply.body))
