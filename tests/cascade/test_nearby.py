"""What neighbouring settings would have done: the policy decides again over the answers that were really given."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs import LADDER, USAGE, attempt, evidence, near, run

from cascade.nearby import nearby
from cascade.policies.always import Always
from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.policies.skills import Skills
from cascade.policies.two_tier import TwoTier, TwoTierSettings
from router.domain import Call, CostSource, Purpose, Verdict
from router.pricing import cost_nanousd

PRICE = LADDER[0].deployments[0].price
#: P(valid): small .75, medium .70 (its prior), large .90.
KNOWN = evidence(*[near(1.0, small=1.0)] * 5)


def call(purpose, nanousd):
    return Call(purpose, "t", "d", "m", PRICE, USAGE, nanousd, CostSource.USAGE, 0.1)


def answered(tier, verdict=Verdict.VALID, *, cost=100, judged=7, **more):
    calls = {"calls": (call(Purpose.GENERATE, cost),), "judge_calls": (call(Purpose.JUDGE, judged),) if judged else ()}
    return attempt(tier, verdict, **calls, **more)


def by_value(policy, first, *attempts):
    finished = first
    for each in attempts:
        finished = finished.with_attempt(each)
    return {each.value: each for each in nearby(policy, first, finished)}


def test_a_higher_threshold_would_have_started_higher_at_an_expected_price():
    found = by_value(LlmAt(), run(evidence=KNOWN), answered("small"))
    higher = found[0.8]
    assert (higher.start_tier, higher.tier, higher.changes, higher.exact) == ("large", "large", True, False)
    assert higher.cost_nanousd == cost_nanousd(USAGE, PRICE)
    assert "P(valid) 0.90 >= 0.80" in higher.why


def test_a_lower_threshold_that_changes_nothing_says_so():
    lower = by_value(LlmAt(), run(evidence=KNOWN), answered("small"))[0.6]
    assert (lower.tier, lower.changes, lower.exact, lower.cost_nanousd) == ("small", False, True, 107)


def test_what_was_really_answered_is_what_it_would_have_cost():
    rejected, accepted = answered("small", Verdict.INVALID), answered("medium", cost=1000)
    found = by_value(LlmAt(LlmAtSettings(threshold=0.75)), run(evidence=KNOWN), rejected, accepted)
    assert (found[0.65].tier, found[0.65].cost_nanousd, found[0.65].changes) == ("medium", 1114, False)
    known = replace(KNOWN, neighbours=(near(1.0, small=0.0),) * 5)
    found = by_value(LlmAt(), run(evidence=known), accepted)
    assert (found[0.6].start_tier, found[0.6].cost_nanousd, found[0.6].exact) == ("medium", 1007, True)


def test_two_tier_would_have_served_what_it_escalated():
    unsure = answered("small", Verdict.UNJUDGED, judged=0, confidence=0.45, confidence_by="first:probability")
    policy = TwoTier(TwoTierSettings(threshold=0.5))
    found = by_value(policy, run(), unsure, answered("large", Verdict.UNJUDGED, cost=5000, judged=0))
    assert (found[0.4].tier, found[0.4].cost_nanousd, found[0.4].exact, found[0.4].changes) == (
        "small",
        100,
        True,
        True,
    )
    assert (found[0.6].tier, found[0.6].cost_nanousd, found[0.6].changes) == ("large", 5100, False)


def test_two_tier_would_have_escalated_what_it_served():
    sure = answered("small", Verdict.UNJUDGED, judged=0, confidence=0.55, confidence_by="first:probability")
    higher = by_value(TwoTier(TwoTierSettings(threshold=0.5)), run(), sure)[0.6]
    assert (higher.start_tier, higher.tier, higher.exact) == ("small", "large", False)
    assert higher.cost_nanousd == 100 + cost_nanousd(USAGE, PRICE)


def test_a_requests_own_quality_is_turned_instead_of_the_setting():
    told = nearby(LlmAt(), run(evidence=KNOWN, quality=0.7), run(evidence=KNOWN, quality=0.7))
    assert [(each.setting, each.value, each.start_tier) for each in told] == [
        ("quality", 0.6, "small"),
        ("quality", 0.8, "large"),
    ]


@pytest.mark.parametrize(
    ("policy", "settings"),
    [
        (LlmAt(), [("threshold", 0.6), ("threshold", 0.8)]),
        (LlmAt(LlmAtSettings(threshold=1.0)), [("threshold", 0.9)]),
        (TwoTier(), [("budget_share", 0.4), ("budget_share", 0.6)]),
        (TwoTier(TwoTierSettings(calibration="isotonic")), [("target_accuracy", 0.7), ("target_accuracy", 0.9)]),
        (Skills(), [("required", 0.1), ("required", 0.3), ("capable", 0.2), ("capable", 0.4)]),
        (Always("small"), []),
    ],
    ids=["llm-at", "at the end of its range", "two-tier", "calibrated", "skills", "always"],
)
def test_each_policy_names_what_one_would_turn(policy, settings):
    assert [(each.setting, pytest.approx(each.value)) for each in nearby(policy, run(), run())] == settings


def test_a_model_without_a_price_has_no_expected_cost():
    tiers = (*LADDER[:2], replace(LADDER[2], deployments=(replace(LADDER[2].deployments[0], price=None),)))
    assert by_value(LlmAt(), run(tiers, evidence=KNOWN), answered("small"))[0.8].cost_nanousd is None
