"""What the client is told about its request: response headers, `usage.cost`, and the `gearbox` object.

The law of this file: pure, and one source for all three, so that header, body and stored row agree to the last digit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cascade.upstreams.params import bare_model
from router.pricing import nanousd_to_usd, usd_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.domain import Attempt, Outcome, Request, Verdict


@dataclass(frozen=True, slots=True)
class Extras:
    """Which additions to OpenAI's bodies are switched on."""

    usage_cost: bool = True
    gearbox_object: bool = True


def attempts_text(attempts: tuple[Attempt, ...]) -> str:
    """`small:invalid,medium:valid`."""
    return ",".join(f"{attempt.tier}:{attempt.verdict}" for attempt in attempts)


def served_model(attempt: Attempt) -> str:
    """The model that really answered: as the upstream names itself, else as it was asked."""
    named = attempt.answer.body.get("model") if attempt.answer else None
    return named if isinstance(named, str) and named else bare_model(attempt.model)


def facts(outcome: Outcome) -> dict[str, Any]:
    """Everything a client is told, by the headers' names without their prefix; unknown ones are left out."""
    served, run = outcome.served, outcome.run
    told = {
        "policy": outcome.request.policy,
        "start-tier": outcome.start_tier,
        "tier": served.tier if served else None,
        "model": served_model(served) if served else _embedding_model(outcome),
        "attempts": attempts_text(run.attempts) or None,
        "p-valid": served.p_valid if served else None,
        "cost-usd": outcome.cost_nanousd,
        "baseline-usd": outcome.baseline_nanousd,
        "saved-usd": outcome.saved_nanousd,
        "budget-left-usd": _left(outcome),
        "stopped": outcome.delivered.stopped,
        "soft-limit": ",".join(outcome.soft_reached) or None,
        "cache": outcome.cache,
        "overhead-ms": round(outcome.overhead_s * 1000, 3),
    }
    return {name: value for name, value in told.items() if value is not None}


def _embedding_model(outcome: Outcome) -> str | None:
    return None if outcome.embeddings is None else outcome.embeddings.get("model") or outcome.calls[0].model


def headers(outcome: Outcome) -> dict[str, str]:
    """The response headers of wire.md."""
    told = {f"x-gearbox-{name}": _text(name, value) for name, value in facts(outcome).items()}
    return {"x-request-id": outcome.request.id, **told}


def gearbox_object(outcome: Outcome) -> dict[str, Any]:
    """The object `gearbox` of bodies and last chunks: the same facts, money as floats in USD."""
    told: dict[str, Any] = {"id": outcome.request.id}
    for name, value in facts(outcome).items():
        key = name.removesuffix("-usd").replace("-", "_")
        told[key] = nanousd_to_usd(value) if name.endswith("-usd") else value
    told["why"] = outcome.delivered.why
    return told


def spent(outcome: Outcome | None, extras: Extras) -> dict[str, Any]:
    """The object `gearbox` beside an error whose headers have left already; {} where nothing ran, or it is off."""
    return {} if outcome is None or not extras.gearbox_object else {"gearbox": gearbox_object(outcome)}


def total(outcomes: Sequence[Outcome]) -> dict[str, float | None]:
    """What several runs cost together; None where one of them has no price."""
    sums = {
        "cost": [outcome.cost_nanousd for outcome in outcomes],
        "baseline": [outcome.baseline_nanousd for outcome in outcomes],
        "saved": [outcome.saved_nanousd for outcome in outcomes],
    }
    return {name: None if (found := _sum(values)) is None else nanousd_to_usd(found) for name, values in sums.items()}


def total_headers(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """The response headers of several runs answered together: the first one's id, everybody's money."""
    first = outcomes[0]
    sums = {
        "cost-usd": _sum([outcome.cost_nanousd for outcome in outcomes]),
        "baseline-usd": _sum([outcome.baseline_nanousd for outcome in outcomes]),
        "saved-usd": _sum([outcome.saved_nanousd for outcome in outcomes]),
        "overhead-ms": round(sum(outcome.overhead_s for outcome in outcomes) * 1000, 3),
    }
    told = {f"x-gearbox-{name}": _text(name, value) for name, value in sums.items() if value is not None}
    return {"x-request-id": first.request.id, "x-gearbox-policy": first.request.policy, **told}


def _sum(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def usage(outcome: Outcome, extras: Extras) -> dict[str, Any] | None:
    """The served answer's usage plus what the whole request cost."""
    served = outcome.served
    if served is None or served.answer is None:
        return None
    given = served.answer.body.get("usage")
    told = dict(given) if given and isinstance(given, dict) else _counted(served)
    if extras.usage_cost:
        cost = outcome.cost_nanousd
        told["cost"] = None if cost is None else nanousd_to_usd(cost)
    return told


def body(outcome: Outcome, extras: Extras) -> dict[str, Any]:
    """The `chat.completion` for the client: the upstream's own, with our id, usage and object."""
    served = outcome.served
    if served is None or served.answer is None:
        raise ValueError("nothing was served")
    told = {**served.answer.body, **identity(outcome.request, served.answer.body), "object": "chat.completion"}
    told["model"] = served_model(served)
    told["usage"] = usage(outcome, extras)
    if extras.gearbox_object:
        told["gearbox"] = gearbox_object(outcome)
    return told


def identity(request: Request, source: Mapping[str, Any]) -> dict[str, Any]:
    """Our id in OpenAI's form, and the upstream's time of creation, ours where it gives none."""
    return {"id": f"chatcmpl-{request.id}", "created": source.get("created") or int(request.received_at)}


def _counted(served: Attempt) -> dict[str, Any]:
    """Our own count, where the upstream reported none."""
    counted = served.calls[-1].usage
    if counted is None:
        return {}
    total = counted.prompt_tokens + counted.completion_tokens
    return {
        "prompt_tokens": counted.prompt_tokens,
        "completion_tokens": counted.completion_tokens,
        "total_tokens": total,
    }


def _left(outcome: Outcome) -> int | None:
    cap, cost = outcome.request.wishes.cap_nanousd, outcome.cost_nanousd
    return None if cap is None or cost is None else cap - cost


def _text(name: str, value: Any) -> str:
    if name.endswith("-usd"):
        return usd_text(value)
    if name == "p-valid":
        return f"{value:.4f}"
    # A model names itself, and what an upstream says must not break our headers.
    return "".join(char if " " <= char <= "~" else "?" for char in str(value))


def outcome_word(outcome: Outcome) -> str:
    """One word for metrics: served, best_so_far, error or disconnected."""
    if outcome.client != "answered":
        return outcome.client
    if outcome.error is not None:
        return "error"
    return "served" if outcome.delivered.stopped is None else "best_so_far"


def verdicts(outcome: Outcome) -> list[tuple[str, Verdict]]:
    """(tier, verdict) of each attempt."""
    return [(attempt.tier, attempt.verdict) for attempt in outcome.run.attempts]
