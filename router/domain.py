"""The words of Gearbox: what a tier, a request, an attempt, a run and a decision are.

The law of this file: frozen records over the standard library. It knows no clock, no socket, no database and no
vendor; everything else in the project is written in these words. Money is integers in nano-dollars (`_nanousd`),
durations are seconds (`_s`), probabilities are floats in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from router.errors import GearboxError
    from router.margins_state import MarginState
    from router.pricing import Price, Usage
    from router.skills import SkillEvidence


class Verdict(StrEnum):
    """What became of an answer (wire.md). An answer that no judge saw is `unjudged`, the top tier's too."""

    VALID = "valid"
    INVALID = "invalid"
    ABSTAINED = "abstained"
    UNJUDGED = "unjudged"
    ERROR = "error"


class Purpose(StrEnum):
    """What a paid call was for."""

    GENERATE = "generate"
    JUDGE = "judge"
    EMBED = "embed"
    AUDIT = "audit"


class CostSource(StrEnum):
    """Where a call's cost comes from: the upstream's usage, our own count, its whole reservation, or nothing billed.

    `cache`: it was no call at all, the answer came from the response cache.
    """

    USAGE = "usage"
    ESTIMATED = "estimated"
    RESERVATION = "reservation"
    NONE = "none"
    UNPRICED = "unpriced"
    CACHE = "cache"


class Judging(StrEnum):
    """When judging is wanted: before the answer is served, after it (for learning only), or never."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


class StreamMode(StrEnum):
    """How an answer reaches a streaming client (wire.md, Streaming)."""

    HOLD = "hold"
    OPTIMISTIC = "optimistic"
    DIRECT = "direct"
    ADAPTIVE = "adaptive"


class BudgetEnd(StrEnum):
    """What a reached cap means: serve the best answer so far, or refuse with `budget_exhausted`."""

    BEST = "best"
    REFUSE = "refuse"


class Stop(StrEnum):
    """Why a best-so-far answer was served before the policy was done."""

    BUDGET = "budget"
    LATENCY = "latency"
    UPSTREAM = "upstream"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What is known of a model before asking it.

    `capabilities` holds the words tools, vision, audio, json_schema, n, logprobs, reasoning; a word that is missing
    from both `capabilities` and `lacks` is unknown, and unknown is tried rather than refused.
    """

    context_tokens: int | None = None
    max_output_tokens: int | None = None
    capabilities: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Deployment:
    """One place where a tier's model can be asked; the address and the key live with the upstream, not here."""

    id: str
    model: str
    price: Price | None
    facts: ModelFacts = ModelFacts()


@dataclass(frozen=True, slots=True)
class Tier:
    """One rung of the ladder.

    Labels belong to a model, so `models` decides which of them count. `judge` names the tier that judges this tier's
    answers.
    """

    name: str
    deployments: tuple[Deployment, ...]
    prior_accuracy: float
    judge: str

    @property
    def models(self) -> frozenset[str]:
        """The models that answer for this tier now."""
        return frozenset(deployment.model for deployment in self.deployments)


@dataclass(frozen=True, slots=True)
class RateLimits:
    """How much a key may do at once; None = as much as it likes."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None

    @property
    def any(self) -> bool:
        """Whether there is any limit."""
        return (self.requests_per_minute, self.tokens_per_minute, self.concurrent_requests) != (None, None, None)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key's id (never the key), its team, whether it may see every team, and what it may do.

    `budgets` are the ids of the budgets that count its spending; `policies` and `tiers` the only ones it may use, None
    = all; `headers` its defaults for `x-gearbox-*` request headers.
    """

    key_id: str = "anonymous"
    team: str = "default"
    admin: bool = False
    budgets: tuple[str, ...] = ()
    limits: RateLimits = RateLimits()
    policies: frozenset[str] | None = None
    tiers: frozenset[str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the request's `x-gearbox-*` headers ask for (wire.md)."""

    cap_nanousd: int | None = None
    budget_end: BudgetEnd = BudgetEnd.BEST
    quality: float | None = None
    min_tier: str | None = None
    max_tier: str | None = None
    max_latency_s: float | None = None
    stream_mode: StreamMode = StreamMode.HOLD
    tags: Mapping[str, str] = field(default_factory=dict)
    session: str | None = None
    store: bool = True
    cache: bool = True
    idempotency_key: str | None = None
    retry_count: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One chat request as Gearbox understands it.

    `received_at` is seconds since the epoch. `body` is the client's own JSON and is never changed; `policy` is the
    policy's name as registered (`always:small` for a tier named by the client); `question` is the text that is
    embedded.
    """

    id: str
    received_at: float
    body: Mapping[str, Any]
    policy: str
    question: str
    caller: Caller = Caller()
    wishes: Wishes = Wishes()
    asked_model: str = ""

    @property
    def stream(self) -> bool:
        """Whether the client wants server-sent events."""
        return bool(self.body.get("stream"))

    @property
    def n(self) -> int:
        """How many choices the client wants."""
        n = self.body.get("n")
        return n if isinstance(n, int) and n > 0 else 1


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A similar past question: its cosine similarity in [-1, 1] and its labels, model -> correctness in [0, 1]."""

    id: str
    similarity: float
    labels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Conversation:
    """Where the conversation that a request goes on with stands.

    `tier` and `model` answered its last turn, `age_s` seconds ago; `tokens` is what a prompt cache there would hold
    (that turn's prompt and answer), `answer_tokens` the answer's part of it; `warm` whether such a cache still lives.
    `rejected`: the last answer was found to be wrong. `tool_result`: the request brings the results of tools that
    `tier` called.
    """

    tier: str
    model: str
    tokens: int = 0
    answer_tokens: int = 0
    age_s: float = 0.0
    warm: bool = False
    rejected: bool = False
    tool_result: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known before the first decision.

    `neighbours` come nearest first; `history_size` is the number of past questions they were taken from (cold start).
    `margins` and `skills` are there only for a policy that wants them (`policy.WantsMargins`, `policy.WantsSkills`).
    `conversation` None = a first turn, or one that nothing is known of.
    """

    neighbours: tuple[Neighbour, ...] = ()
    history_size: int = 0
    note: str = ""
    margins: MarginState | None = None
    skills: SkillEvidence | None = None
    conversation: Conversation | None = None


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
    """One call to an upstream, paid or failed: a row of the table `attempt`."""

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


class CheckOutcome(StrEnum):
    """What an operator's verifier says of an answer; one that fails abstains."""

    VALID = "valid"
    INVALID = "invalid"
    ABSTAINED = "abstained"


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


@dataclass(frozen=True, slots=True)
class Budget:
    """What this request may still spend, and what the next steps cost at worst.

    `cap_nanousd` None = no cap. `ask_nanousd` holds, for each tier, the worst case of the least useful call;
    `judge_nanousd` that of judging the last answer. Filled by whoever runs the policy, so that policies stay pure.
    """

    cap_nanousd: int | None = None
    spent_nanousd: int = 0
    ask_nanousd: Mapping[str, int] = field(default_factory=dict)
    judge_nanousd: int = 0

    @property
    def left_nanousd(self) -> int | None:
        """What is left; None = no cap."""
        return None if self.cap_nanousd is None else self.cap_nanousd - self.spent_nanousd

    def pays(self, nanousd: int) -> bool:
        """Whether an amount still fits under the cap."""
        left = self.left_nanousd
        return left is None or nanousd <= left

    def pays_ask(self, tier: str) -> bool:
        """Whether asking this tier still fits under the cap."""
        return self.pays(self.ask_nanousd.get(tier, 0))

    def pays_judge(self) -> bool:
        """Whether judging the last answer still fits under the cap."""
        return self.pays(self.judge_nanousd)


@dataclass(frozen=True, slots=True)
class Run:
    """Everything about one request so far: all that a policy reads, and all that a replay needs.

    `ladder` holds the rungs this request may use, cheapest first; `top` is the name of the *full* ladder's last rung,
    which alone is trusted without a judge. `checks` are the operator's verifiers that will look at each answer.
    `judge_fails_open` says whether an answer whose judge failed is served
    unjudged. `stop` is set once no new paid call may be started.
    """

    ladder: tuple[Tier, ...]
    top: str
    id: str = ""
    evidence: Evidence = Evidence()
    judging: Judging = Judging.BEFORE
    checks: tuple[Check, ...] = ()
    judge_fails_open: bool = True
    quality: float | None = None
    budget: Budget = Budget()
    attempts: tuple[Attempt, ...] = ()
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if not self.ladder:
            raise ValueError("a run needs at least one tier")

    def tier(self, name: str) -> Tier:
        """The rung of that name; KeyError if this run does not have it."""
        for tier in self.ladder:
            if tier.name == name:
                return tier
        raise KeyError(name)

    def position(self, name: str) -> int:
        """The rung's place on this run's ladder, 0 = cheapest."""
        return [tier.name for tier in self.ladder].index(name)

    def with_attempt(self, attempt: Attempt) -> Run:
        """This run and one attempt more."""
        return replace(self, attempts=(*self.attempts, attempt))

    def with_last(self, attempt: Attempt) -> Run:
        """This run with its last attempt replaced, after a verdict."""
        return replace(self, attempts=(*self.attempts[:-1], attempt))


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this tier.

    `p_valid` is the estimate for it, before it is asked. `final` promises that the policy will deliver whatever
    comes, so that it may stream live; `invite_abstention` tells the model that it may decline (it rewrites the
    client's prompt, so it is off unless configured).

    `logprobs` asks for the tokens' log-probabilities, of which the measure `margin` is taken (`margins.MEASURES`);
    `samples` > 1 asks that many times in all, at `temperature`: how many of the others agree with the answer is its
    confidence.
    """

    tier: str
    why: str
    p_valid: float | None = None
    final: bool = False
    logprobs: bool = False
    invite_abstention: bool = False
    margin: str = ""
    samples: int = 0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Judge:
    """Have the last answer judged by this tier."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Serve the attempt at this place in `run.attempts`; None = there is no answer to serve, only errors."""

    attempt: int | None
    why: str
    stopped: Stop | None = None


Decision: TypeAlias = Ask | Judge | Deliver


class LabelSource(StrEnum):
    """Where a label comes from; a later one of greater weight replaces it."""

    JUDGE = "judge"
    AGREEMENT = "agreement"
    ASSUMED = "assumed"
    AUDIT = "audit"
    FEEDBACK = "feedback"


@dataclass(frozen=True, slots=True)
class Label:
    """How right a model was on a question, 0..1: what the Starter learns from."""

    tier: str
    model: str
    correct: float
    source: LabelSource
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole story of one request, as it is stored, shown and measured.

    `started_at` is seconds since the epoch; `vector` is the question's unit vector, shape (dimensions,), None where
    nothing was embedded. `soft_reached` are budgets whose soft limit is reached, `denied` a budget's refusal that ended
    the run early. `cache`: `hit` where no model was asked, `joined` where another request's run answered.
    """

    request: Request
    run: Run
    delivered: Deliver
    settings: Mapping[str, Any]
    labels: tuple[Label, ...]
    baseline_nanousd: int | None
    started_at: float
    latency_s: float
    overhead_s: float
    vector: NDArray[np.float32] | None = None
    embedding_model: str = ""
    error: GearboxError | None = None
    late_cost_nanousd: int = 0
    client: str = "answered"
    extra_calls: tuple[Call, ...] = ()
    estimates: Mapping[str, float] = field(default_factory=dict)
    soft_reached: tuple[str, ...] = ()
    denied: GearboxError | None = None
    cache: str = "miss"

    @property
    def served(self) -> Attempt | None:
        """The attempt whose answer went to the client; None where only an error did."""
        place = self.delivered.attempt
        return None if place is None else self.run.attempts[place]

    @property
    def start_tier(self) -> str | None:
        """The first tier that was asked."""
        return self.run.attempts[0].tier if self.run.attempts else None

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call in the order it was made."""
        made = [call for attempt in self.run.attempts for call in (*attempt.calls, *attempt.judge_calls)]
        return (*self.extra_calls, *made)

    @property
    def cost_nanousd(self) -> int | None:
        """Everything spent up to the answer; None where an unpriced model took part (unknown is not free)."""
        if any(call.cost_source is CostSource.UNPRICED for call in self.calls):
            return None
        return sum(call.cost_nanousd or 0 for call in self.calls)

    @property
    def saved_nanousd(self) -> int | None:
        """Baseline minus cost; negative where routing cost more than the top tier would have."""
        cost = self.cost_nanousd
        return None if cost is None or self.baseline_nanousd is None else self.baseline_nanousd - cost


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What came to light after an answer was served: its verdict, for learning only.

    `rung` is the served attempt's place in the run, `attempt` the attempt as it was then judged; `calls` are the
    judge's, `labels` what the finished run teaches now (none where the judge failed).
    """

    request: Request
    rung: int
    attempt: Attempt
    calls: tuple[Call, ...]
    labels: tuple[Label, ...]

    @property
    def cost_nanousd(self) -> int:
        """The late cost."""
        return sum(call.cost_nanousd or 0 for call in self.calls)
