"""`auto` over runs: what it asks, pays and serves for each kind of evidence, and what it teaches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from rides import FIRST, LADDER, attempt, budget, run

from cascade.policies.auto import Auto
from cascade.policies.auto_settings import AutoSettings
from cascade.policies.registry import build
from router.domain import (
    Answer,
    Ask,
    CheckOutcome,
    CheckResult,
    Conversation,
    Deliver,
    Evidence,
    Judge,
    Judging,
    Neighbour,
    Stop,
    Verdict,
)
from router.errors import ConfigError, UpstreamRejected, UpstreamUnavailable
from router.margins_state import Block, Curve, MarginState, MeanCost
from router.skills import Count, ModelSkills, Need, SkillEvidence

#: Nothing is left to chance: no second opinions unless a test is about them.
QUIET = {"second_opinions": 0.0, "worth": 5.0, "waiting": 0.0}


def auto(**settings):
    return Auto(AutoSettings(**{**QUIET, **settings}))


def said(name, final, verdict=Verdict.UNJUDGED, **more):
    answer = Answer({"choices": [{"message": {"content": final}}]}, final=final)
    return replace(attempt(name, verdict), answer=answer, **more)


def decided(*attempts, settings=None, **more):
    return auto(**(settings or {})).decide(run(**{"attempts": attempts, **more}))


def near(**labels):
    return Neighbour("q", 0.9, {f"{name}-model": label for name, label in labels.items()})


STARTS = {
    "a right answer worth little": ({"worth": 0.5}, {}, "small"),
    "a right answer worth a lot": ({"worth_usd": 100.0}, {}, "large"),
    "questions like it were too hard for the lower two": (
        {"worth": 3},
        {"evidence": Evidence(tuple(near(small=0.0, medium=0.0, large=1.0) for _ in range(20)), 100)},
        "large",
    ),
    "questions like it were easy for everybody": (
        {"worth": 3},
        {"evidence": Evidence(tuple(near(small=1.0, large=1.0) for _ in range(20)), 100)},
        "small",
    ),
    "the only tier that a cap pays": ({}, {"budget": budget(10, small=20, medium=5, large=200)}, "medium"),
    "one answer unseen: the best for its price": ({"worth": 0.5}, {"judging": Judging.NEVER}, "small"),
    "one answer unseen, and a lot depends on it": ({"worth": 50}, {"judging": Judging.AFTER}, "large"),
}


@pytest.mark.parametrize(("settings", "state", "tier"), STARTS.values(), ids=STARTS.keys())
def test_the_start(settings, state, tier):
    decision = auto(**settings).decide(run(**state))
    assert isinstance(decision, Ask)
    assert decision.tier == tier


def test_skills_take_the_place_of_priors():
    counts = {"small-model": (19, 20), "medium-model": (2, 20), "large-model": (1, 20)}
    models = {name: ModelSkills({"algebra": Count(*count)}) for name, count in counts.items()}
    skills = SkillEvidence((Need("algebra", 1.0),), models)
    estimates = auto(profile="p.json").estimates(run(skills=skills))
    assert estimates["small"] > 0.7
    assert estimates["large"] < estimates["medium"] < 0.4


SERVED = {
    "two tiers that agree": ([said("small", "4"), said("medium", "4")], {}, 1),
    "a judge's yes": ([said("small", "4", Verdict.VALID, verdict_by="judge:large")], {}, 0),
    "a verifier's yes that replaces the judge": (
        [said("small", "4", Verdict.VALID, verdict_by="verifier:unit")],
        {},
        0,
    ),
    "an answer where a right one is worth little": ([said("small", "4")], {"worth": 0.1}, 0),
    "the abler of two that differ, and a third is too dear": (
        [said("small", "5"), said("medium", "4")],
        {"worth": 0.3},
        1,
    ),
    "the top's answer against another": ([said("small", "5"), said("medium", "6"), said("large", "4")], {}, 2),
    "an unjudged answer rather than a rejected one": (
        [said("small", "5", Verdict.INVALID, verdict_by="judge:large"), said("medium", "6"), said("large", "6")],
        {},
        2,
    ),
}


@pytest.mark.parametrize(("attempts", "settings", "place"), SERVED.values(), ids=SERVED.keys())
def test_what_is_served(attempts, settings, place):
    decision = decided(*attempts, settings=settings)
    assert isinstance(decision, Deliver)
    assert decision.attempt == place


NEXT = {
    "a doubtful answer, compared with the next one": ([said("small", "4")], {}, "medium"),
    "two that differ": ([said("small", "4"), said("medium", "5")], {}, "large"),
    "an abstention": ([attempt("small", Verdict.ABSTAINED)], {"worth": 2}, "medium"),
    "a failure": ([attempt("small", Verdict.ERROR, error=UpstreamUnavailable("down"))], {"worth": 3}, "medium"),
    "a verifier's no": ([said("small", "4", Verdict.INVALID, verdict_by="verifier:unit")], {"worth": 2}, "medium"),
}


@pytest.mark.parametrize(("attempts", "settings", "tier"), NEXT.values(), ids=NEXT.keys())
def test_who_is_asked_next(attempts, settings, tier):
    decision = decided(*attempts, settings=settings)
    assert isinstance(decision, Ask)
    assert decision.tier == tier


def test_a_judge_is_paid_where_a_verdict_costs_little_and_the_next_answer_a_lot():
    known = MarginState(judged={"medium-model": MeanCost(1000, 1000)})
    decision = decided(attempt("small", Verdict.ERROR), said("medium", ""), margins=known, settings={"worth": 3.5})
    assert isinstance(decision, Judge)
    assert decision.by == "large"


def test_the_top_tiers_answer_is_not_judged():
    known = MarginState(judged={"large-model": MeanCost(1000, 0)})
    assert isinstance(decided(said("large", "4"), margins=known), Deliver)


def test_a_judge_that_the_cap_does_not_pay_is_not_asked():
    known = MarginState(judged={"medium-model": MeanCost(1000, 1000)})
    decision = decided(
        attempt("small", Verdict.ERROR),
        said("medium", ""),
        margins=known,
        settings={"worth": 3.5},
        budget=budget(100, judge=200, large=50),
    )
    assert not isinstance(decision, Judge)


def curve(*blocks):
    return {("small-model", FIRST): Curve(tuple(Block(*block) for block in blocks), 100)}


@pytest.mark.parametrize(("confidence", "served"), [(0.9, True), (0.1, False)], ids=["sure", "unsure"])
def test_a_margin_counts_for_what_its_curve_says(confidence, served):
    known = MarginState(curves=curve((0.0, 0.95, 0.5), (0.5, 0.02, 0.5)))
    last = said("small", "4", confidence=confidence, confidence_by=FIRST)
    decision = decided(last, margins=known, settings={"margin": "first", "worth": 2})
    assert isinstance(decision, Deliver) is served


def test_without_a_curve_a_margin_says_nothing():
    sure, unsure = (said("small", "4", confidence=value, confidence_by=FIRST) for value in (0.99, 0.01))
    settings = {"margin": "first", "worth": 2}
    assert decided(sure, settings=settings, margins=MarginState()) == decided(
        unsure, settings=settings, margins=MarginState()
    )


def test_log_probabilities_are_asked_for_where_margins_are_wanted_and_given():
    wanting = auto(margin="first", worth=0.5)
    assert wanting.decide(run(margins=MarginState())).margin == FIRST
    assert wanting.decide(run(margins=MarginState(lacking=frozenset({"small-model"})))).margin == ""


@pytest.mark.parametrize(("outcome", "served"), [(CheckOutcome.VALID, True), (CheckOutcome.ABSTAINED, False)])
def test_a_check_that_an_answer_passed_speaks_for_it(outcome, served):
    checks = (CheckResult("unit", outcome, ""),) * 3
    decision = decided(said("small", "4", checks=checks), settings={"worth": 3})
    assert isinstance(decision, Deliver) is served


QUALITIES = {"what the lowest reaches": (0.4, "small"), "what only the top reaches": (0.88, "large")}


@pytest.mark.parametrize(("quality", "tier"), QUALITIES.values(), ids=QUALITIES.keys())
def test_a_wanted_quality_is_reached_as_cheaply_as_possible(quality, tier):
    assert auto().decide(run(quality=quality, judging=Judging.NEVER)).tier == tier


def test_beyond_the_wanted_quality_nothing_is_paid():
    assert isinstance(decided(said("small", "4"), quality=0.5), Deliver)


ENDS = {
    "an accepted answer that the cap cut": (
        [said("small", "4", Verdict.VALID, verdict_by="judge:large", cut_by_cap=True)],
        {},
        0,
        Stop.BUDGET,
    ),
    "the brake": ([said("small", "4")], {"stop": Stop.LATENCY}, 0, Stop.LATENCY),
    "everybody failed": (
        [attempt(name, Verdict.ERROR, error=UpstreamUnavailable("down")) for name in ("small", "medium", "large")],
        {},
        None,
        Stop.UPSTREAM,
    ),
    "the request itself is wrong": (
        [attempt("small", Verdict.ERROR, error=UpstreamRejected("no", status=400, body={}))],
        {},
        None,
        Stop.UPSTREAM,
    ),
    "a rejected answer, and the cap pays nobody above": (
        [said("small", "4", Verdict.INVALID, verdict_by="judge:large")],
        {"budget": budget(1, medium=5, large=9)},
        0,
        Stop.BUDGET,
    ),
    "a doubtful answer, and the cap pays nobody above": (
        [said("small", "4")],
        {"budget": budget(1, judge=5, medium=5, large=9)},
        0,
        Stop.BUDGET,
    ),
    "two that agree, and the cap pays nobody above": (
        [said("small", "4"), said("medium", "4")],
        {"budget": budget(1, judge=5, large=9)},
        1,
        None,
    ),
    "nothing could be asked": ([], {"budget": budget(1, small=2, medium=3, large=4)}, None, Stop.BUDGET),
    "stopped before it began": ([], {"stop": Stop.CLIENT}, None, Stop.CLIENT),
}


@pytest.mark.parametrize(("attempts", "state", "place", "stopped"), ENDS.values(), ids=ENDS.keys())
def test_how_a_run_ends_early(attempts, state, place, stopped):
    decision = decided(*attempts, **state)
    assert isinstance(decision, Deliver)
    assert (decision.attempt, decision.stopped) == (place, stopped)


def test_where_all_above_failed_a_lower_tier_is_asked():
    down = attempt("large", Verdict.ERROR, error=UpstreamUnavailable("down"))
    assert decided(down, settings={"worth": 100}).tier in {"small", "medium"}


def test_the_results_of_tools_go_back_to_the_tier_that_called_them():
    talk = Conversation("medium", "medium-model", tokens=50_000, answer_tokens=10, warm=True, tool_result=True)
    decision = auto(worth=0.1).decide(run(evidence=Evidence(conversation=talk), judging=Judging.NEVER))
    assert decision.tier == "medium"


# --- what may be streamed as it comes


def test_an_answer_that_is_served_whatever_it_says_may_stream():
    assert auto(worth=0.1).decide(run()).final


def test_one_that_may_be_compared_may_not():
    assert not auto().decide(run()).final


def test_what_is_asked_as_final_gets_no_second_opinion():
    policy, known = auto(**MANY), Evidence(tuple(near(small=1.0) for _ in range(9)), 100)
    for number in range(300):
        first = replace(run(evidence=known), id=f"request-{number}")
        if policy.decide(first).final:
            assert isinstance(policy.decide(first.with_attempt(said("small", "4"))), Deliver)


# --- second opinions

#: As many as there may be, where one answer is enough.
MANY = {"second_opinions": 1.0, "worth": 0.1}


def opinions(*attempts, settings=None, **state):
    """On how many of 1,000 such runs a second opinion is asked, and of whom."""
    policy = auto(**{**MANY, **(settings or {})})
    runs = [replace(run(attempts=attempts, **state), id=f"request-{number}") for number in range(1000)]
    asked = [decision for decision in map(policy.decide, runs) if isinstance(decision, Ask)]
    assert all("second opinion" in decision.why for decision in asked)
    return len(asked), {decision.tier for decision in asked}


def test_the_cheaper_neighbour_gives_a_second_opinion():
    assert opinions(said("large", "4"))[1] == {"medium"}
    assert opinions(said("medium", "4"))[1] == {"small"}
    assert opinions(said("small", "4"))[1] == {"medium"}


def test_an_accepted_answer_gets_one_too_and_is_served_then():
    accepted = said("medium", "4", Verdict.VALID, verdict_by="judge:large")
    assert opinions(accepted)[0] > 0
    assert decided(accepted, said("small", "5"), settings=MANY).attempt == 0


def test_they_cost_the_share_of_the_money_that_they_may():
    """Medium costs four times small: a twentieth of small's price pays for one in eighty."""
    count, _ = opinions(said("small", "4"), settings={"second_opinions": 0.4})
    assert 60 <= count <= 140


def test_however_cheap_no_more_than_half_of_the_answers_wait_for_one():
    assert 420 <= opinions(said("large", "4"))[0] <= 580


def test_where_similar_questions_tell_of_that_tier_they_are_seldom():
    known = Evidence(tuple(near(medium=1.0) for _ in range(9)), 100)
    assert 20 <= opinions(said("large", "4"), evidence=known)[0] <= 90


NO_SECOND = {
    "turned off": ([said("small", "4")], {"second_opinions": 0.0}, {}),
    "already compared": ([said("small", "4"), said("medium", "5")], {}, {}),
    "an answer that cannot be compared": ([said("small", "")], {}, {}),
    "under a client's cap": ([said("small", "4")], {}, {"budget": budget(100, medium=1, large=1)}),
    "judging is off": ([said("small", "4")], {}, {"judging": Judging.NEVER}),
    "nothing may be learnt": ([said("small", "4")], {}, {"learns": False}),
    "nobody else is there": ([said("small", "4")], {}, {"tiers": LADDER[:1]}),
}


@pytest.mark.parametrize(("attempts", "settings", "state"), NO_SECOND.values(), ids=NO_SECOND.keys())
def test_there_is_none_where(attempts, settings, state):
    assert opinions(*attempts, settings=settings, **state)[0] == 0


# --- what it teaches


def test_answers_teach_what_was_seen_of_them():
    beliefs = decided(said("small", "4"), said("medium", "5"), said("large", "5")).beliefs
    assert beliefs[0] < 0.2
    assert beliefs[1] == beliefs[2] > 0.8


def test_an_answer_that_nobody_looked_at_teaches_nothing():
    assert decided(said("small", "4"), settings={"worth": 0.1}).beliefs == {}


def test_similar_questions_do_not_come_back_as_lessons():
    hard = Evidence(tuple(near(small=0.0) for _ in range(20)), 100)
    asked = (said("small", "4"), said("medium", "5"), said("large", "5"))
    assert decided(*asked, evidence=hard).beliefs == decided(*asked).beliefs


def test_what_is_served_unseen_is_left_to_the_verdicts():
    assert decided(said("small", "4"), judging=Judging.AFTER).beliefs is None


# --- settings

WRONG = {
    "worth nothing": {"worth": 0},
    "worth_usd below nothing": {"worth_usd": -1},
    "a judge that means the opposite": {"judge_accepts_right": 0.4, "judge_accepts_wrong": 0.6},
    "a judge that is never wrong": {"judge_accepts_right": 1.0},
    "a weight above one": {"neighbour_weight": 1.5},
    "a share above one": {"second_opinions": 2},
    "waiting that costs more than the answer": {"waiting": 1.5},
    "k below nothing": {"k": -1},
    "curves without margins": {"curves": "c.json"},
    "an empty profile": {"profile": " "},
    "a margin that is none": {"margin": "last"},
    "an unknown name": {"threshold": 0.7},
}


@pytest.mark.parametrize("settings", WRONG.values(), ids=WRONG.keys())
def test_wrong_settings_are_refused(settings):
    with pytest.raises(ConfigError):
        build("auto", settings)


def test_neighbouring_settings_are_half_and_half_again_as_much():
    assert [(turn.setting, turn.value) for turn in auto(worth=10).nearby] == [("worth", 5), ("worth", 15)]
    assert [(turn.setting, turn.value) for turn in auto(worth_usd=0.02).nearby] == [
        ("worth_usd", 0.01),
        ("worth_usd", 0.03),
    ]
