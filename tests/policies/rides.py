"""Small words for tests of the two-tier and the skills policy."""

from dataclasses import replace

from router.domain import (
    Answer,
    Attempt,
    Budget,
    Call,
    CostSource,
    Deployment,
    Evidence,
    ModelFacts,
    Purpose,
    Run,
    Tier,
    Verdict,
)
from router.margins_state import MarginState, MeanCost
from router.pricing import Price, Rates, Usage, per_mtok

FIRST = "first:probability"
SMALL = ("small-model", FIRST)


def tier(name, prior=0.5, usd=1, **facts):
    price = Price(Rates(per_mtok(usd), per_mtok(usd)))
    return Tier(name, (Deployment(f"{name}-0", f"{name}-model", price, ModelFacts(**facts)),), prior, judge="large")


LADDER = (tier("small", 0.5, 1), tier("medium", 0.7, 4), tier("large", 0.9, 20))
#: c_s = 1000 and c_l = 20,000 nano-dollars.
COSTS = {"small-model": MeanCost(100, 100_000, 100, 0), "large-model": MeanCost(10, 200_000, 10, 0)}


def run(tiers=LADDER, margins=None, skills=None, evidence=None, **more):
    known = evidence or Evidence(margins=margins, skills=skills)
    return Run(tiers, tiers[-1].name, evidence=known, **more)


def seen(*margins, **more):
    """A history of these margins of the small model."""
    return MarginState(**{"margins": {SMALL: tuple(sorted(margins))}, "costs": COSTS, **more})


def attempt(name, verdict=Verdict.UNJUDGED, confidence=None, by="", nanousd=1000, **more):
    call = Call(Purpose.GENERATE, name, f"{name}-0", f"{name}-model", None, Usage(1, 0), nanousd, CostSource.USAGE, 0.1)
    answer = None if verdict is Verdict.ERROR else Answer({"choices": [{"message": {"content": "4"}}]}, final="4")
    told = Attempt(name, "asked", calls=(call,), answer=answer, verdict=verdict, confidence=confidence)
    return replace(told, confidence_by=by or (FIRST if confidence is not None else ""), **more)


def budget(cap, judge=0, **asks):
    return Budget(cap, 0, asks, judge)
