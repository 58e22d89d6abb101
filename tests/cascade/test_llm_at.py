"""LLM-AT's start rule and its steps, row by row (papers.md, section 1)."""

from __future__ import annotations

import pytest
from runs import LADDER, attempt, budget, evidence, ladder, near, run

from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.policies.registry import build
from router.domain import Ask, Deliver, Judge, Judging, Stop, Verdict
from router.errors import ConfigError, UpstreamRejected

KNOWN = evidence()
NO_400 = UpstreamRejected("no", status=400, body={})
STARTS = {
    "the cheapest tier whose prior reaches theta": ({}, {"evidence": KNOWN}, "medium"),
    "a threshold that the lowest reaches": ({"threshold": 0.5}, {"evidence": KNOWN}, "small"),
    "a threshold that only the top reaches": ({"threshold": 0.9}, {"evidence": KNOWN}, "large"),
    "none reaches: the lowest, as in the paper": ({"threshold": 0.95}, {"evidence": KNOWN}, "small"),
    "none reaches: best": ({"threshold": 0.95, "none_reaches": "best"}, {"evidence": KNOWN}, "large"),
    "none reaches: top": ({"threshold": 0.95, "none_reaches": "top"}, {"evidence": KNOWN}, "large"),
    "cold start below k questions": ({}, {"evidence": evidence(size=4)}, "small"),
    "no cold start at k questions": ({}, {"evidence": evidence(size=5)}, "medium"),
    "cold start follows k": ({"k": 7}, {"evidence": evidence(size=6)}, "small"),
    "a cold start of its own": ({"cold_start": 0}, {"evidence": evidence(size=0)}, "medium"),
    "correct neighbours raise a tier": ({}, {"evidence": evidence(*[near(1.0, small=1.0)] * 5)}, "small"),
    "incorrect neighbours lower it": ({}, {"evidence": evidence(*[near(1.0, medium=0.0)] * 5)}, "large"),
    "labels of other models are blank": ({}, {"evidence": evidence(*[near(1.0, old=1.0)] * 5)}, "medium"),
    "the request's quality replaces theta": ({}, {"evidence": KNOWN, "quality": 0.45}, "small"),
    "a high quality": ({}, {"evidence": KNOWN, "quality": 0.8}, "large"),
    "quality 0 is a threshold too": ({}, {"evidence": KNOWN, "quality": 0.0}, "small"),
    "a cap that does not pay the wanted tier": (
        {},
        {"evidence": KNOWN, "budget": budget(10, small=5, medium=20, large=200)},
        "small",
    ),
    "the best that the cap pays": (
        {"threshold": 0.85},
        {"evidence": KNOWN, "budget": budget(25, small=5, medium=20, large=200)},
        "medium",
    ),
}


@pytest.mark.parametrize(("settings", "state", "tier"), STARTS.values(), ids=STARTS.keys())
def test_the_start(settings, state, tier):
    decision = LlmAt(LlmAtSettings(**settings)).decide(run(**state))
    assert isinstance(decision, Ask)
    assert decision.tier == tier


def test_only_the_k_nearest_count():
    policy = LlmAt(LlmAtSettings(k=1))
    seen = evidence(near(1.0, small=1.0), near(0.9, small=0.0))
    assert policy.estimates(run(evidence=seen))["small"] == pytest.approx((1 + 5 * 0.5) / 6)


def test_a_cap_that_pays_for_nothing_delivers_nothing():
    decision = LlmAt().decide(run(budget=budget(1, small=2, medium=3, large=4)))
    assert (decision.attempt, decision.stopped) == (None, Stop.BUDGET)


def test_the_lowest_tier_alone_is_invited_to_abstain():
    policy = LlmAt(LlmAtSettings(invite_abstention=True))
    assert policy.decide(run()).invite_abstention
    assert not policy.decide(run(evidence=KNOWN)).invite_abstention


V = Verdict
STEPS = {
    "a fresh answer is judged": ([attempt("small")], {}, Judge("medium", "")),
    "the second tier judges itself": ([attempt("medium")], {}, Judge("medium", "")),
    "a valid one is served": ([attempt("small", V.VALID)], {}, Deliver(0, "")),
    "a rejected one shifts up": ([attempt("small", V.INVALID)], {}, Ask("medium", "")),
    "an abstention shifts up unjudged": ([attempt("small", V.ABSTAINED)], {}, Ask("medium", "")),
    "an error shifts up": ([attempt("small", V.ERROR)], {}, Ask("medium", "")),
    "the top is not judged": ([attempt("small", V.INVALID), attempt("large")], {}, Deliver(1, "")),
    "the top that fails the checks: the better of two rejected": (
        [attempt("medium", V.INVALID), attempt("large", V.INVALID)],
        {},
        Deliver(1, ""),
    ),
    "the top, cut by the cap": ([attempt("large", V.INVALID, cut_by_cap=True)], {}, Deliver(0, "", Stop.BUDGET)),
    "the top is down: the best below": (
        [attempt("medium", V.INVALID), attempt("large", V.ERROR)],
        {},
        Deliver(0, "", Stop.UPSTREAM),
    ),
    "everything above is down: turn down": ([attempt("large", V.ERROR)], {}, Ask("medium", "")),
    "turned down, a judge could change nothing": (
        [attempt("large", V.ERROR), attempt("medium")],
        {},
        Deliver(1, "", Stop.UPSTREAM),
    ),
    "all are down": (
        [attempt("medium", V.ERROR), attempt("large", V.ERROR), attempt("small", V.ERROR)],
        {},
        Deliver(None, "", Stop.UPSTREAM),
    ),
    "a request that the upstream refuses": (
        [attempt("small", V.ERROR, error=NO_400)],
        {},
        Deliver(None, "", Stop.UPSTREAM),
    ),
    "refused by one after another answered": (
        [attempt("small", V.INVALID), attempt("medium", V.ERROR, error=NO_400)],
        {},
        Ask("large", ""),
    ),
    "a failed judge, open": ([attempt("small", verdict_by="failed:medium")], {}, Deliver(0, "")),
    "a failed judge, closed": (
        [attempt("small", verdict_by="failed:medium")],
        {"judge_fails_open": False},
        Ask("medium", ""),
    ),
    "no judging wanted": ([attempt("small")], {"judging": Judging.NEVER}, Deliver(0, "")),
    "the client is gone": ([attempt("small")], {"stop": Stop.CLIENT}, Deliver(0, "", Stop.CLIENT)),
    "the time is up: the unjudged before the rejected": (
        [attempt("small"), attempt("medium", V.INVALID)],
        {"stop": Stop.LATENCY},
        Deliver(0, "", Stop.LATENCY),
    ),
    "the cap pays no judge": ([attempt("small")], {"budget": budget(10, judge=20)}, Deliver(0, "", Stop.BUDGET)),
    "the cap pays no higher tier": (
        [attempt("small")],
        {"budget": budget(10, medium=11, large=11)},
        Deliver(0, "", Stop.BUDGET),
    ),
    "the cap pays the tier after the next": (
        [attempt("small", V.INVALID)],
        {"budget": budget(10, medium=11, large=9)},
        Ask("large", ""),
    ),
    "rejected, and the cap pays nothing more": (
        [attempt("small", V.INVALID)],
        {"budget": budget(10, medium=11, large=11)},
        Deliver(0, "", Stop.BUDGET),
    ),
}


def gist(decision):
    match decision:
        case Ask():
            return ("ask", decision.tier)
        case Judge():
            return ("judge", decision.by)
        case Deliver():
            return ("deliver", decision.attempt, decision.stopped)


@pytest.mark.parametrize(("attempts", "state", "wanted"), STEPS.values(), ids=STEPS.keys())
def test_the_next_step(attempts, state, wanted):
    assert gist(LlmAt().decide(run(attempts=tuple(attempts), **state))) == gist(wanted)


def test_the_top_of_a_limited_ladder_is_served_unjudged():
    limited = run(LADDER[:2], top="large", attempts=(attempt("medium"),))
    assert gist(LlmAt().decide(limited)) == ("deliver", 0, None)


def test_a_single_tier_is_asked_and_served():
    alone = ladder(0.5)
    assert LlmAt().decide(run(alone)).final
    assert gist(LlmAt().decide(run(alone, attempts=(attempt("t0"),)))) == ("deliver", 0, None)


@pytest.mark.parametrize(
    "settings", [{"threshold": 1.1}, {"k": 0}, {"lambda": 0}, {"cold-start": -1}, {"none_reaches": "middle"}]
)
def test_numbers_out_of_range_are_refused_by_name(settings):
    with pytest.raises(ConfigError) as caught:
        build("llm-at", settings)
    assert next(iter(settings)) in f"{caught.value.param} {caught.value.message}"
