"""Self-agreement: how often a model says the same again (papers.md section 2, the fallback without log-probabilities).

The law of this file: the samples are calls like any other, paid and reserved one by one; one that fails or that the
cap does not pay is left out, and the share is taken over those that came.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from router.answers import agrees, final_answer
from router.domain import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.caller import Caller, Errand, Spoken
    from cascade.purse import Purse
    from router.domain import Ask, Attempt

#: Of what the client asked for, what a sample does not need.
_NOT_FOR_SAMPLES = frozenset({"stream", "stream_options", "n", "logprobs", "top_logprobs", "seed"})


async def with_agreement(attempt: Attempt, errand: Errand, ask: Ask, caller: Caller, purse: Purse) -> Attempt:
    """The attempt with its confidence: the share of `ask.samples - 1` further answers that agree with it.

    Its calls hold the samples' before the answering one. Where no sample came there is no confidence.
    """
    body = sample_body(errand.body, ask.temperature)
    again = replace(errand, body=body, stream=False, live=None)
    spoken = await asyncio.gather(*(caller.call(again, purse) for _ in range(ask.samples - 1)))
    finals = [_final(each) for each in spoken if each.reply is not None]
    calls = (*attempt.calls[:-1], *(call for each in spoken for call in each.calls), attempt.calls[-1])
    if not finals or attempt.answer is None:
        return replace(attempt, calls=calls)
    answer = attempt.answer
    share = sum(agrees(final, answer.final) for final in finals) / len(finals)
    return replace(attempt, calls=calls, confidence=share, confidence_by=f"agreement:{ask.samples}")


def sample_body(body: Mapping[str, Any], temperature: float) -> dict[str, Any]:
    """The same question, asked with some chance in it."""
    kept = {name: value for name, value in body.items() if name not in _NOT_FOR_SAMPLES}
    asked = body.get("temperature")
    return {**kept, "temperature": max(asked, temperature) if isinstance(asked, int | float) else temperature}


def _final(spoken: Spoken) -> str:
    if spoken.reply is None:
        return ""
    answer = Answer(spoken.reply.body)
    told = answer.message.get("final_answer")
    return told if isinstance(told, str) else final_answer(answer.text)
