"""two-tier: what is asked, when the small tier's answer is served, and what happens without log-probabilities."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rides import COSTS, FIRST, LADDER, SMALL, attempt, budget, run, seen, tier

from cascade.policies import registry
from cascade.policies.two_tier import TwoTier
from cascade.policies.two_tier_settings import TwoTierSettings
from router.domain import Ask, Budget, Deliver, Judge, Judging, Stop, Verdict
from router.errors import ConfigError, UpstreamRejected, UpstreamUnavailable
from router.margins_state import Block, Curve, MarginState

HALVES = [place / 100 for place in range(100)]
V = Verdict


def policy(**told):
    return TwoTier(TwoTierSettings(**told))


def test_the_small_tier_is_asked_first_with_log_probabilities_and_not_live():
    ask = policy().decide(run())
    assert (ask.tier, ask.logprobs, ask.margin, ask.final) == ("small", True, FIRST, False)


def test_the_configured_measure_is_asked_for():
    assert policy(margin="mean", scale="logprob").decide(run()).margin == "mean:logprob"


def test_configured_tiers_are_used_where_the_request_may_use_them():
    named = policy(small="medium", large="large", threshold=0.5)
    assert named.decide(run()).tier == "medium"
    assert named.decide(run(LADDER[:1])).tier == "small"


@pytest.mark.parametrize(
    ("margin", "margins", "decision"),
    [
        pytest.param(0.0, seen(*HALVES[:19]), "serve", id="the first twenty are never escalated"),
        # p = 0.475 of 101 margins: T is element 47, which is 0.46 or 0.47
        pytest.param(0.3, seen(*HALVES), "large", id="below the quantile"),
        pytest.param(0.6, seen(*HALVES), "serve", id="above the quantile"),
        pytest.param(0.47, seen(*HALVES), "serve", id="at the quantile"),
        pytest.param(0.3, seen(*HALVES, asked=990, spent_nanousd=10_485_000), "serve", id="an empty pot"),
        pytest.param(0.3, seen(*[0.9] * 100), "large", id="all others were surer"),
        pytest.param(0.9, seen(*[0.9] * 100), "serve", id="as sure as all others"),
    ],
)
def test_the_running_quantile_decides(margin, margins, decision):
    told = policy().decide(run(margins=margins, attempts=(attempt("small", confidence=margin),)))
    assert told.tier == decision if isinstance(told, Ask) else decision == "serve"


def test_the_large_answer_streams_live_since_nothing_rejects_it():
    ask = policy().decide(run(margins=seen(*HALVES), attempts=(attempt("small", confidence=0.1),)))
    assert ask.final


def test_the_reason_names_margin_threshold_and_quantile():
    why = policy().decide(run(margins=seen(*HALVES), attempts=(attempt("small", confidence=0.1),))).why
    assert "small's margin 0.100 is below 0.460" in why
    assert "47.5% quantile of 101 answers" in why


@pytest.mark.parametrize(
    ("share", "tier_name", "logprobs"), [(0.0, "small", False), (1.0, "large", False), (0.5, "small", True)]
)
def test_at_the_ends_of_the_budget_one_tier_alone_is_asked_and_streams(share, tier_name, logprobs):
    ask = policy(budget_share=share).decide(run(margins=seen(*HALVES)))
    assert (ask.tier, ask.logprobs) == (tier_name, logprobs)
    assert ask.final is (share != 0.5)


def test_a_small_only_answer_is_served_without_a_margin():
    told = policy(budget_share=0).decide(run(margins=seen(*HALVES), attempts=(attempt("small"),)))
    assert isinstance(told, Deliver)
    assert "the budget pays for small only" in told.why


def test_before_the_large_tier_was_asked_its_cost_is_that_of_the_small_ones_tokens():
    state = seen(*HALVES, costs={"small-model": replace(COSTS["small-model"], prompt_tokens=100_000)})
    why = policy().decide(run(margins=state, attempts=(attempt("small", confidence=0.1),))).why
    # 1,000 tokens at 20 USD per million: c_l = 20,000,000 nano-dollars, beside which c_s vanishes.
    assert "50.0% quantile" in why


def test_escalated_requests_that_are_dear_for_both_do_not_raise_the_budget():
    # The large model's mean is 200,000, but for requests that were ten times dearer for the small one too.
    state = seen(*HALVES, both={("small-model", "large-model"): (10_000, 200_000)})
    why = policy().decide(run(margins=state, attempts=(attempt("small", confidence=0.1),))).why
    assert "47.5% quantile" in why


def test_a_fixed_threshold_needs_no_history():
    fixed = policy(threshold=0.5)
    assert fixed.decide(run(attempts=(attempt("small", confidence=0.49),))).tier == "large"
    assert isinstance(fixed.decide(run(attempts=(attempt("small", confidence=0.5),))), Deliver)


def test_the_wanted_quality_is_the_threshold_of_this_request():
    asked = run(quality=0.8, margins=seen(*HALVES), attempts=(attempt("small", confidence=0.7),))
    assert policy(threshold=0.1).decide(asked).tier == "large"


CURVE = Curve((Block(0.1, 0.6, 0.4), Block(0.5, 0.2, 0.3), Block(0.9, 0.0, 0.3)), 200)


@pytest.mark.parametrize(
    ("target", "threshold"),
    [
        # nobody escalated: 0.4 * 0.4 + 0.3 * 0.8 + 0.3 * 1.0 = 0.70; the first block: 0.90; the second too: 0.93
        pytest.param(0.7, 0.0, id="the small tier alone is enough"),
        pytest.param(0.75, 0.5, id="the first block goes to the large tier"),
        pytest.param(0.92, 0.9, id="two blocks go"),
        pytest.param(0.99, 0.9, id="out of reach: the most accurate"),
    ],
)
def test_with_labels_the_cheapest_threshold_that_meets_the_target(target, threshold):
    state = seen(*HALVES, curves={SMALL: CURVE})
    isotonic = policy(calibration="isotonic", target_accuracy=target)
    below = run(margins=state, attempts=(attempt("small", confidence=max(threshold - 0.01, 0.0)),))
    at = run(margins=state, attempts=(attempt("small", confidence=threshold),))
    assert isinstance(isotonic.decide(at), Deliver)
    assert isinstance(isotonic.decide(below), Ask if threshold else Deliver)


def test_the_quality_header_is_the_target_once_there_is_a_curve():
    state = seen(*HALVES, curves={SMALL: CURVE})
    asked = run(margins=state, quality=0.92, attempts=(attempt("small", confidence=0.6),))
    assert policy(calibration="isotonic", target_accuracy=0.1).decide(asked).tier == "large"


def test_until_there_are_labels_the_isotonic_variant_follows_the_budget():
    told = policy(calibration="isotonic").decide(
        run(margins=seen(*HALVES), attempts=(attempt("small", confidence=0.3),))
    )
    assert "quantile" in told.why


# --- without log-probabilities


def test_a_tier_found_without_log_probabilities_is_judged_and_the_decision_says_so():
    told = policy().decide(run(attempts=(attempt("small", by=FIRST),)))
    assert isinstance(told, Judge)
    assert told.by == "large"
    assert "small gave no log-probabilities" in told.why


@pytest.mark.parametrize(
    "known",
    [
        pytest.param(run(margins=MarginState(lacking=frozenset({"small-model"}))), id="remembered"),
        pytest.param(run((tier("small", lacks=frozenset({"logprobs"})), *LADDER[1:])), id="a fact"),
    ],
)
def test_once_known_it_is_not_asked_for_again(known):
    ask = policy().decide(known)
    assert not ask.logprobs
    assert "small gives no log-probabilities, so its answers are judged" in ask.why
    ask = policy(fallback="agreement", samples=7).decide(known)
    assert (ask.logprobs, ask.samples, ask.temperature) == (False, 7, 0.7)


def test_agreement_is_a_confidence_with_a_history_of_its_own():
    series = ("small-model", "agreement:5")
    state = MarginState({series: tuple(sorted([0.25, 0.5, 0.75, 1.0] * 10))}, costs=COSTS)
    sampled = policy(fallback="agreement")
    told = sampled.decide(run(margins=state, attempts=(attempt("small", confidence=0.25, by=series[1]),)))
    assert told.tier == "large"
    assert "agreement 0.250" in told.why


def test_found_out_in_the_middle_the_agreement_is_asked_for_once():
    sampled = policy(fallback="agreement")
    first = attempt("small", by=FIRST)
    ask = sampled.decide(run(attempts=(first,)))
    assert (ask.tier, ask.samples) == ("small", 5)
    assert isinstance(sampled.decide(run(attempts=(first, attempt("small")))), Deliver)


def test_a_judge_that_fails_serves_or_escalates_as_configured():
    failed = attempt("small", by=FIRST, verdict_by="failed:large", reason="timeout")
    assert isinstance(policy().decide(run(attempts=(failed,))), Deliver)
    assert policy().decide(run(attempts=(failed,), judge_fails_open=False)).tier == "large"


# --- failures and caps


def test_an_answer_that_a_check_rejects_goes_to_the_large_tier_whatever_its_margin():
    told = policy().decide(run(attempts=(attempt("small", V.INVALID, 1.0, verdict_by="verifier:json"),)))
    assert told.tier == "large"


def test_a_tier_that_is_down_is_replaced_from_the_top():
    down = {"error": UpstreamUnavailable("503")}
    first = run(attempts=(attempt("small", V.ERROR, **down),))
    assert policy().decide(first).tier == "large"
    second = first.with_attempt(attempt("large", V.ERROR, **down))
    assert policy().decide(second).tier == "medium"
    third = second.with_attempt(attempt("medium", V.ERROR, **down))
    assert policy().decide(third) == Deliver(None, "medium failed (503), and no other tier can be asked", Stop.UPSTREAM)


def test_the_clients_own_fault_is_not_asked_elsewhere():
    wrong = UpstreamRejected("bad", status=400, body={})
    assert policy().decide(run(attempts=(attempt("small", V.ERROR, error=wrong),))).attempt is None


def test_the_cap_that_does_not_pay_for_the_large_tier_serves_the_unsure_answer():
    unsure = run(margins=seen(*HALVES), attempts=(attempt("small", confidence=0.1),), budget=budget(5, large=6))
    told = policy().decide(unsure)
    assert (told.attempt, told.stopped) == (0, Stop.BUDGET)


def test_where_the_cap_pays_for_the_small_tier_alone_it_streams():
    ask = policy().decide(run(budget=budget(5, large=6, medium=6)))
    assert (ask.tier, ask.final, ask.logprobs) == ("small", True, False)


def test_nobody_looks_at_a_direct_stream():
    ask = policy().decide(run(judging=Judging.NEVER))
    assert (ask.tier, ask.final, ask.logprobs) == ("small", True, False)


@pytest.mark.parametrize(
    "wrong",
    [
        {"budget_share": 1.5},
        {"threshold": -1},
        {"horizon": 0},
        {"samples": 1},
        {"margin": "last"},
        {"scale": "logits"},
        {"fallback": "hope"},
        {"small": "a", "large": "a"},
        {"sample_temperature": 0},
        {"warm-up": -1},
    ],
)
def test_a_setting_out_of_its_range_is_an_error_that_names_it(wrong):
    with pytest.raises(ConfigError) as caught:
        registry.build("two-tier", wrong)
    assert next(iter(wrong)).replace("-", "_") in f"{caught.value.param} {caught.value.message}".replace("-", "_")


# --- every sequence of events

FATES = st.sampled_from([V.UNJUDGED, V.UNJUDGED, V.INVALID, V.ABSTAINED, V.ERROR])
SETTINGS = st.fixed_dictionaries(
    {"budget_share": st.floats(0, 1), "fallback": st.sampled_from(["judge", "agreement"])},
    optional={"threshold": st.floats(0, 1), "calibration": st.just("isotonic")},
)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_ends_within_two_steps_a_tier_and_asks_only_what_is_paid(data):
    told = policy(**data.draw(SETTINGS))
    margins = data.draw(st.lists(st.floats(0, 1), max_size=60))
    state = seen(*margins, asked=data.draw(st.integers(0, 999)), spent_nanousd=data.draw(st.integers(0, 10**8)))
    asks = {name: data.draw(st.integers(0, 9)) for name in ("small", "medium", "large")}
    cap = data.draw(st.none() | st.integers(0, 20))
    judging = data.draw(st.sampled_from(Judging))
    now = run(margins=state, budget=Budget(cap, 0, asks, 1), judging=judging)
    for _ in range(2 * len(LADDER) + 1):
        decision = told.decide(now)
        if isinstance(decision, Deliver):
            answered = [each for each in now.attempts if each.answer is not None]
            assert (decision.attempt is None) is (not answered)
            return
        if isinstance(decision, Judge):
            assert now.budget.pays_judge()
            verdict = data.draw(st.sampled_from([V.VALID, V.INVALID]))
            now = now.with_last(replace(now.attempts[-1], verdict=verdict, verdict_by="judge:large"))
            continue
        assert now.budget.pays_ask(decision.tier)
        spent = replace(now.budget, spent_nanousd=now.budget.spent_nanousd + asks[decision.tier])
        confidence = data.draw(st.none() | st.floats(0, 1)) if decision.logprobs or decision.samples else None
        by = decision.margin or (f"agreement:{decision.samples}" if decision.samples and confidence is not None else "")
        now = replace(now, budget=spent).with_attempt(attempt(decision.tier, data.draw(FATES), confidence, by))
    raise AssertionError(f"it did not end: {now.attempts}")
