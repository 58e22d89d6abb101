"""Has a tier say whether an answer is valid."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cascade.caller import Errand
from cascade.prompts import judge_body, read_reason, read_verdict
from cascade.quotes import Size, least_judge_nanousd
from cascade.upstreams.params import bare_model
from router.domain import Answer, Purpose, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from cascade.brake import Brake
    from cascade.caller import Caller
    from cascade.purse import Purse
    from router.domain import Attempt, Request, Tier


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """`max_tokens` bounds a verdict's length and is part of its reservation; `fails_open`: see `Run`."""

    max_tokens: int = 2048
    fails_open: bool = True


class AnswerJudge:
    """One `Judge` decision -> the attempt with its verdict."""

    def __init__(self, caller: Caller, settings: JudgeSettings) -> None:
        self._caller = caller
        self._settings = settings

    async def judge(self, request: Request, attempt: Attempt, by: Tier, purse: Purse, brake: Brake) -> Attempt:
        """Ask the judge about choice 0; where the judge itself fails, the answer stays unjudged and says so."""
        errand = Errand(
            tier=by,
            body=self._body(request, attempt),
            purpose=Purpose.JUDGE,
            hint=f"judge; of={bare_model(attempt.model)}",
            brake=brake,
        )
        spoken = await self._caller.call(errand, purse)
        calls = (*attempt.judge_calls, *spoken.calls)
        if spoken.reply is None:
            why = spoken.error.message if spoken.error else "no reply"
            return replace(attempt, judge_calls=calls, verdict_by=f"failed:{by.name}", reason=why)
        answer = Answer(spoken.reply.body)
        text = answer.text
        if not text.strip() or (spoken.limit_was_ours and answer.finish_reason == "length"):
            why = "its verdict was cut by the cap" if text.strip() else "it said nothing"
            return replace(attempt, judge_calls=calls, verdict_by=f"failed:{by.name}", reason=why)
        verdict = Verdict.VALID if read_verdict(text) else Verdict.INVALID
        return replace(
            attempt, judge_calls=calls, verdict=verdict, verdict_by=f"judge:{by.name}", reason=read_reason(text)
        )

    def quote_nanousd(self, request: Request, attempt: Attempt, by: Tier) -> int:
        """The worst case of judging this answer."""
        return least_judge_nanousd(Size.of(self._body(request, attempt)), by)

    def _body(self, request: Request, attempt: Attempt) -> Mapping[str, Any]:
        if attempt.answer is None:
            raise ValueError("only an answer can be judged")
        return judge_body(request.body, attempt.answer, self._settings.max_tokens)
