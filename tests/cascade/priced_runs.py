"""Runs, tiers and attempts for tests of pure rules."""

from __future__ import annotations

from router.domain import Answer, Attempt, Call, CostSource, Deployment, Purpose, Run, Tier, Verdict
from router.pricing import Price, Rates, Usage, per_mtok

#: (USD per million tokens in, cached, out), prior.
_TIERS = {"small": (0.05, 0.005, 0.4, 0.5), "medium": (0.5, 0.05, 4.0, 0.7), "large": (5.0, 0.5, 40.0, 0.9)}


def tier(name: str, judge: str = "medium") -> Tier:
    price_in, cached, out, prior = _TIERS[name]
    price = Price(Rates(per_mtok(price_in), per_mtok(out), cached_input=per_mtok(cached)))
    return Tier(name, (Deployment(f"{name}-0", f"simulated/{name}", price),), prior, judge)


def ladder(*names: str) -> tuple[Tier, ...]:
    return tuple(tier(name) for name in names or _TIERS)


def run(*names: str, **changes) -> Run:
    return Run(ladder(*names), "large", **changes)


def answered(name: str, text: str = "42", verdict: Verdict = Verdict.UNJUDGED, **changes) -> Attempt:
    body = {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}
    call = Call(
        Purpose.GENERATE, name, f"{name}-0", f"simulated/{name}", None, Usage(100, 20), 10, CostSource.USAGE, 0.1
    )
    return Attempt(name, "a test", calls=(call,), answer=Answer(body, final=text), verdict=verdict, **changes)
