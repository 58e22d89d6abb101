"""What was asked, answered and found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from router.domain.words import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain.words import CheckOutcome, CostSource, Purpose
    from router.errors import GearboxError
    from router.pricing import Price, Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said.

    `body` is the whole `chat.completion` as the upstream gave it (assembled, where it was streamed), `chunks` the
    stream's own events, `final` the extracted final answer ("" = none found; it agrees with nothing), `margin` the
    probability gap of the first token, where it was asked for.
    """

    body: Mapping[str, Any]
    chunks: tuple[Mapping[str, Any], ...] = ()
    final: str = ""
    margin: float | None = None

    @property
    def message(self) -> Mapping[str, Any]:
        """Choice 0's message; empty where there is none."""
        choices = self.body.get("choices") or [{}]
        return choices[0].get("message") or {}

    @property
    def text(self) -> str:
        """Choice 0's text; "" for a pure tool call."""
        content = self.message.get("content")
        return content if isinstance(content, str) else ""

    @property
    def finish_reason(self) -> str | None:
        """Why choice 0 ended."""
        choices = self.body.get("choices") or [{}]
        reason = choices[0].get("finish_reason")
        return reason if isinstance(reason, str) else None


@dataclass(frozen=True, slots=True)
class Call:
    """One call to an upstream, paid or failed: a row of the table `attempt`.

    `overrun_nanousd` is what it cost above its reserved worst case: an upstream that does not keep the output limit it
    was sent, or counts other tokens than it was sent, can pass a cap, and nobody but it could prevent that.
    """

    purpose: Purpose
    tier: str
    deployment: str
    model: str
    price: Price | None
    usage: Usage | None
    cost_nanousd: int | None
    cost_source: CostSource
    latency_s: float
    ttft_s: float | None = None
    finish_reason: str | None = None
    error: str | None = None
    dropped: tuple[str, ...] = ()
    overrun_nanousd: int = 0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One operator's verifier on one answer, with its reason in words."""

    verifier: str
    outcome: CheckOutcome
    reason: str
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Check:
    """An operator's verifier that will look at this request's answers before a judge does.

    Its no is `invalid`; its yes is `valid` only where it `replaces_judge`, else the judge has the last word.
    """

    name: str
    replaces_judge: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One rung asked: its calls (retries included, the answering one last), its answer, and what became of it.

    `verdict_by` says who decided: "" (nobody), "answer" (it abstained), "verifier:<check>" (ours or the
    operator's), "judge:<tier>", or "failed:<tier>" where the judge itself failed and the answer stays unjudged.
    `checks` holds what each of the operator's verifiers said. `cut_by_cap` is set where our own
    output limit, not the client's, ended the answer: that says nothing about the model.

    `confidence` is how sure the model was, by the measure that `confidence_by` names (`first:probability`,
    `agreement:5`); a measure without a confidence means that the upstream was asked for it and gave none.
    """

    tier: str
    why: str
    p_valid: float | None = None
    calls: tuple[Call, ...] = ()
    answer: Answer | None = None
    verdict: Verdict = Verdict.UNJUDGED
    verdict_by: str = ""
    reason: str = ""
    confidence: float | None = None
    confidence_by: str = ""
    judge_calls: tuple[Call, ...] = ()
    error: GearboxError | None = None
    cut_by_cap: bool = False
    checks: tuple[CheckResult, ...] = ()

    @property
    def model(self) -> str:
        """The model that answered, or was last asked."""
        return self.calls[-1].model if self.calls else ""

    @property
    def judge_failed(self) -> bool:
        """Whether a judge was asked and gave no verdict."""
        return self.verdict_by.startswith("failed:")

    @property
    def cost_nanousd(self) -> int:
        """What generating and judging this answer cost."""
        return sum(call.cost_nanousd or 0 for call in (*self.calls, *self.judge_calls))
