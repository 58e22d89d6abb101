"""Outcomes for tests, as the runner would leave them: a rejected small answer, then an accepted large one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from router.domain import (
    Afterwards,
    Answer,
    Attempt,
    Call,
    Caller,
    CostSource,
    Deliver,
    Deployment,
    Evidence,
    Label,
    LabelSource,
    Neighbour,
    Outcome,
    Purpose,
    Request,
    Run,
    Stop,
    Tier,
    Verdict,
    Wishes,
)
from router.errors import UpstreamTimeout, UpstreamUnavailable
from router.pricing import Price, Rates, Usage, cost_nanousd, per_mtok

NOW = 1_790_000_000.25  # seconds since the epoch
QUESTION = "What is 6 x 7? Ünïcode included."
EMBEDDER = "all-minilm-l6-v2"
SMALL = Price(Rates(per_mtok("0.05"), per_mtok("0.40"), cached_input=per_mtok("0.005")))
LARGE = Price(Rates(per_mtok(3), per_mtok(15)), long_context=((200_000, Rates(per_mtok(6), per_mtok("22.5"))),))
PRICES = {"small": SMALL, "large": LARGE}
MODELS = {"small": "gpt-5-nano", "large": "claude-sonnet-5"}


def ladder():
    return tuple(
        Tier(name, (Deployment(f"{name}-0", MODELS[name], PRICES[name]),), prior, judge="large")
        for name, prior in (("small", 0.57), ("large", 0.8))
    )


def paid_call(tier, purpose=Purpose.GENERATE, usage=None, **changes):
    usage = usage or Usage(120, 30, cached_tokens=20)
    call = Call(
        purpose,
        tier,
        f"{tier}-0",
        MODELS[tier],
        PRICES[tier],
        usage,
        cost_nanousd(usage, PRICES[tier]),
        CostSource.USAGE,
        latency_s=0.8,
        ttft_s=0.2,
        finish_reason="stop",
    )
    return replace(call, **changes)


def failed_call(tier, error="UpstreamUnavailable: 503"):
    nothing = {"usage": None, "cost_nanousd": 0, "cost_source": CostSource.NONE, "ttft_s": None, "finish_reason": None}
    return paid_call(tier, error=error, **nothing)


def answer(text, final):
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    return Answer(body, final=final)


def rejected_small():
    return Attempt(
        "small",
        why="p 0.74 reaches 0.7",
        p_valid=0.74,
        calls=(failed_call("small"), paid_call("small")),
        answer=answer("The answer is 41.", "41"),
        verdict=Verdict.INVALID,
        verdict_by="judge:large",
        reason="6 x 7 is not 41",
        confidence=0.9,
        judge_calls=(paid_call("large", Purpose.JUDGE, Usage(180, 5)),),
    )


def accepted_large():
    return Attempt(
        "large",
        why="small was invalid",
        p_valid=0.81,
        calls=(paid_call("large"),),
        answer=answer("The answer is 42.", "42"),
    )


def labels():
    return (
        Label("large", MODELS["large"], 1.0, LabelSource.JUDGE),
        Label("small", MODELS["small"], 0.0, LabelSource.AGREEMENT),
    )


def build_outcome(
    request_id="r-1",
    *,
    team="blue",
    key_id="key-1",
    question=QUESTION,
    at=NOW,
    store=True,
    attempts=None,
    delivered=None,
    **changes,
):
    """A whole story; `changes` replace fields of the Outcome."""
    attempts = (rejected_small(), accepted_large()) if attempts is None else attempts
    wishes = Wishes(tags={"app": "search"}, session="chat-9", store=store)
    request = Request(
        request_id,
        at,
        {"model": "gpt-4o", "messages": [{"role": "user", "content": question}], "stream": True},
        "llm-at",
        question,
        Caller(key_id, team),
        wishes,
        asked_model="gpt-4o",
    )
    evidence = Evidence((Neighbour("r-0", 0.91, {MODELS["small"]: 1.0}),), history_size=12, note="k = 5")
    run = Run(ladder(), "large", evidence=evidence, attempts=attempts)
    outcome = Outcome(
        request,
        run,
        delivered or Deliver(len(attempts) - 1, "the top tier's answer"),
        {"threshold": 0.7, "k": 5},
        labels(),
        baseline_nanousd=4_000_000,
        started_at=at,
        latency_s=2.4,
        overhead_s=0.004,
        vector=np.array([0.6, 0.8, 0.0], dtype=np.float32),
        embedding_model=EMBEDDER,
    )
    return replace(outcome, **changes)


def failed_outcome(request_id="r-error", **changes):
    """No answer at all: the small tier timed out, the large one was known to be down."""
    timeout, down = UpstreamTimeout("no first token in 30 s"), UpstreamUnavailable("circuit open")
    rungs = (
        Attempt("small", "p 0.74", calls=(failed_call("small", "timeout"),), verdict=Verdict.ERROR, error=timeout),
        Attempt("large", "small failed", verdict=Verdict.ERROR, error=down),
    )
    delivered = Deliver(None, "every tier failed", Stop.UPSTREAM)
    ended = {"error": down, "client": "error", "labels": (), "baseline_nanousd": None}
    return build_outcome(request_id, attempts=rungs, delivered=delivered, **(ended | changes))


def late_of(outcome, verdict=Verdict.VALID, by="judge:large", **changes):
    """A verdict on the large tier's answer that came after it was served, at a price."""
    calls = (paid_call("large", Purpose.JUDGE, Usage(200, 10)),)
    attempt = replace(outcome.run.attempts[1], verdict=verdict, verdict_by=by, reason="6 x 7 = 42", judge_calls=calls)
    learnt = (Label("large", MODELS["large"], 0.25, LabelSource.JUDGE),)
    return replace(Afterwards(outcome.request, 1, attempt, calls, learnt), **changes)
