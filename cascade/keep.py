"""An outcome as bytes, for the response cache and for those who join it later, and back.

The law of this file: pure. What is kept is what a client may be told; evidence, labels and calls stay in the store. An
outcome that comes back is never recorded as it is: a hit gets a request of its own (`hit`), and one that was joined is
in the store already.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson

from router.domain import (
    Answer,
    Attempt,
    Call,
    CostSource,
    Deliver,
    Outcome,
    Purpose,
    Run,
    Stop,
    Verdict,
)
from router.pricing import Usage, usage_from_body

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.domain import Request, Tier

#: Another number for every change of the shape: what an older version has kept is then not there.
FORMAT = 1
HIT, JOINED = "hit", "joined"


def pack(outcome: Outcome) -> bytes | None:
    """The outcome as bytes; None where no answer was served, for a failure is not kept."""
    served = outcome.served
    if outcome.error is not None:
        return None
    if outcome.embeddings is not None:
        return orjson.dumps({**_about(outcome), **_embedded(outcome)})
    if served is None or served.answer is None:
        return None
    return orjson.dumps({**_about(outcome), "body": served.answer.body, "chunks": served.answer.chunks})


def joined(kept: bytes, request: Request, ladder: Sequence[Tier]) -> Outcome | None:
    """The outcome for a request that joins it, under the id of the request that ran; None = an unknown format."""
    told = orjson.loads(kept)
    if told.get("format") != FORMAT:
        return None
    attempts = tuple(_attempt_of(each) for each in told["attempts"])
    if "embeddings" in told:
        calls = (_embedding_call(told),)
        return replace(_outcome(told, request, ladder, ()), extra_calls=calls, embeddings=told["embeddings"])
    served = replace(attempts[told["served"]], answer=Answer(told["body"], tuple(told["chunks"])))
    # All of the cost stands on one call: the sum is what is told, and the rows are in the store already.
    served = replace(served, calls=(_call(served, told["body"], told["cost_nanousd"]),))
    return _outcome(told, request, ladder, (*attempts[: told["served"]], served, *attempts[told["served"] + 1 :]))


def _outcome(
    told: Mapping[str, Any], request: Request, ladder: Sequence[Tier], attempts: tuple[Attempt, ...]
) -> Outcome:
    stopped = None if told["stopped"] is None else Stop(told["stopped"])
    return Outcome(
        request=replace(request, id=told["id"], policy=told["policy"]),
        run=Run(tuple(ladder), ladder[-1].name, id=told["id"], attempts=attempts),
        delivered=Deliver(told["served"], told["why"], stopped),
        settings={},
        labels=(),
        baseline_nanousd=told["baseline_nanousd"],
        started_at=request.received_at,
        latency_s=told["latency_s"],
        overhead_s=told["overhead_s"],
        cache=JOINED,
    )


def hit(kept: bytes, request: Request, ladder: Sequence[Tier], latency_s: float) -> Outcome | None:
    """The outcome of a request that the cache answers: its own row, cost 0, and the baseline the answer had.

    Only the served attempt is told: the others were another request's, and nothing of them was paid again.
    """
    found = joined(kept, request, ladder)
    if found is None or found.served is None:
        return None
    served, source = found.served, found.request.id
    call = replace(served.calls[0], cost_nanousd=0, cost_source=CostSource.CACHE)
    why = f"the cache had {served.tier}'s answer to this very request (of {source})"
    attempt = replace(served, calls=(call,), judge_calls=(), why=why)
    return replace(
        found,
        request=request,
        run=replace(found.run, id=request.id, attempts=(attempt,)),
        delivered=Deliver(0, why, found.delivered.stopped),
        latency_s=latency_s,
        overhead_s=latency_s,
        cache=HIT,
    )


def _about(outcome: Outcome) -> dict[str, Any]:
    """What is kept of every outcome."""
    return {
        "format": FORMAT,
        "id": outcome.request.id,
        "policy": outcome.request.policy,
        "attempts": [_attempt(each) for each in outcome.run.attempts],
        "served": outcome.delivered.attempt,
        "why": outcome.delivered.why,
        "stopped": outcome.delivered.stopped,
        "cost_nanousd": outcome.cost_nanousd,
        "baseline_nanousd": outcome.baseline_nanousd,
        "latency_s": outcome.latency_s,
        "overhead_s": outcome.overhead_s,
    }


def _embedded(outcome: Outcome) -> dict[str, Any]:
    call = outcome.calls[0]
    told = {"embeddings": outcome.embeddings, "tier": call.tier, "deployment": call.deployment, "model": call.model}
    return {**told, "prompt_tokens": call.usage.prompt_tokens if call.usage else 0}


def _embedding_call(told: Mapping[str, Any]) -> Call:
    return Call(
        Purpose.EMBED,
        told["tier"],
        told["deployment"],
        told["model"],
        None,
        Usage(told["prompt_tokens"], 0),
        told["cost_nanousd"],
        CostSource.UNPRICED if told["cost_nanousd"] is None else CostSource.USAGE,
        0.0,
    )


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "tier": attempt.tier,
        "model": attempt.model,
        "deployment": attempt.calls[-1].deployment if attempt.calls else "",
        "p_valid": attempt.p_valid,
        "verdict": attempt.verdict,
        "verdict_by": attempt.verdict_by,
    }


def _attempt_of(told: Mapping[str, Any]) -> Attempt:
    attempt = Attempt(
        told["tier"], "", told["p_valid"], verdict=Verdict(told["verdict"]), verdict_by=told["verdict_by"]
    )
    nothing = Call(
        Purpose.GENERATE, told["tier"], told["deployment"], told["model"], None, None, 0, CostSource.NONE, 0.0
    )
    return replace(attempt, calls=(nothing,))


def _call(attempt: Attempt, body: Mapping[str, Any], cost_nanousd: int | None) -> Call:
    choices = body.get("choices") or [{}]
    return replace(
        attempt.calls[0],
        usage=usage_from_body(body.get("usage")),
        cost_nanousd=cost_nanousd,
        cost_source=CostSource.UNPRICED if cost_nanousd is None else CostSource.USAGE,
        finish_reason=choices[0].get("finish_reason"),
    )
