"""skills: which tier is picked and why, and what follows a failure."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rides import LADDER, attempt, budget, run, tier

from cascade.policies import registry
from cascade.policies.skills import Skills, SkillsSettings
from router.domain import Ask, Budget, Deliver, Judge, Judging, Stop, Verdict
from router.errors import ConfigError, UpstreamRejected, UpstreamUnavailable
from router.pricing import Usage
from router.skills import Count, ModelSkills, Need, SkillEvidence

V = Verdict


def model(math, law, instances=1000):
    counts = {"math": Count(math * instances, instances), "law": Count(law * instances, instances)}
    return ModelSkills(counts, Usage(1000, 0))


#: small is the best at math, large at law; medium is between.
MODELS = {"small-model": model(0.9, 0.3), "medium-model": model(0.7, 0.5), "large-model": model(0.8, 0.8)}
MATH = SkillEvidence((Need("math", 1.0),), MODELS, profile="p r1")
LAW = SkillEvidence((Need("law", 1.0),), MODELS)
BOTH = SkillEvidence((Need("law", 0.6), Need("math", 0.4)), MODELS)


def policy(**told):
    return Skills(SkillsSettings(**told))


@pytest.mark.parametrize(
    ("evidence", "settings", "quality", "chosen"),
    [
        pytest.param(MATH, {}, None, "small", id="a cheap model may be the best at a skill"),
        pytest.param(LAW, {}, None, "large", id="the dear one at another"),
        pytest.param(BOTH, {}, None, "large", id="needs weigh"),
        pytest.param(LAW, {"trade": 0.35}, None, "medium", id="success is traded for cost"),
        pytest.param(LAW, {"trade": 0.6, "capable": 0.4}, None, "medium", id="but only among the capable"),
        pytest.param(LAW, {"capable": 0.95}, None, "large", id="nobody is capable: the best estimate"),
        pytest.param(BOTH, {"capable": 0.35, "trade": 1.0}, None, "medium", id="each required skill counts"),
        pytest.param(BOTH, {"capable": 0.35, "trade": 1.0, "required": 0.7}, None, "small", id="light needs do not"),
        pytest.param(LAW, {"capable": 0.0}, 0.45, "medium", id="the cheapest of the wanted quality"),
        pytest.param(LAW, {}, 0.99, "large", id="a quality that nobody reaches"),
        pytest.param(None, {}, None, "large", id="without a profile the priors count"),
    ],
)
def test_the_tier_that_fits(evidence, settings, quality, chosen):
    assert policy(**settings).decide(run(skills=evidence, quality=quality)).tier == chosen


def test_the_rationale_names_skills_difference_trade_and_front():
    why = policy(trade=0.35, capable=0.4).decide(run(skills=LAW)).why
    assert why.startswith("medium is predicted to succeed with 0.50: the question needs law (weighs 100%, C 0.50)")
    assert "ΔC against the best alternative: law -0.30" in why
    assert "not capable: small (law)" in why
    assert "0.30 of predicted success against large was traded for 0.016000 USD an answer" in why
    assert "Pareto front: small 0.30 < medium 0.50 < large 0.80" in why


def test_the_short_reason_is_served_with_the_answer():
    ask = policy().decide(run(skills=MATH))
    told = policy().decide(run(skills=MATH, attempts=(attempt("small"),)).with_last(attempt("small")))
    assert isinstance(told, Deliver)
    assert ask.why.startswith("small is predicted to succeed")
    assert ";" not in told.why


def test_nobody_capable_is_said():
    assert "nobody is capable of all that is required" in policy(capable=0.95).decide(run(skills=LAW)).why


def test_no_profile_is_said():
    assert "there is no skill profile" in policy().decide(run()).why


def test_a_recordings_names_match_a_vendors():
    tiers = (tier("small"), tier("large"))
    bare = {name.removeprefix("openai/"): skills for name, skills in MODELS.items()}
    evidence = SkillEvidence((Need("math", 1.0),), bare)
    assert policy().estimates(run(tiers, skills=evidence))["small"] == pytest.approx(0.9, abs=0.01)


def test_the_cap_narrows_the_choice():
    ask = policy().decide(run(skills=LAW, budget=budget(5, small=1, medium=4, large=6)))
    assert ask.tier == "medium"


def test_after_a_failure_the_next_best_is_asked():
    down = attempt("large", V.ERROR, error=UpstreamUnavailable("503"))
    ask = policy().decide(run(skills=LAW, attempts=(down,)))
    assert ask.tier == "medium"
    assert ask.why.startswith("large failed (503); next best: medium")


def test_a_rejected_answer_is_the_last_resort():
    rejected = [attempt(name, V.INVALID, verdict_by="verifier:json") for name in ("large", "medium", "small")]
    told = policy().decide(run(skills=LAW, attempts=tuple(rejected)))
    assert told.attempt == 0


def test_an_answer_is_served_unjudged_unless_verification_is_wanted():
    answered = run(skills=LAW, attempts=(attempt("large"),))
    assert isinstance(policy().decide(answered), Deliver)
    assert policy(verify="judge").decide(answered) == Judge("large", "large judges large's answer")
    assert isinstance(
        policy(verify="judge").decide(run(skills=LAW, attempts=(attempt("large"),), judging=Judging.NEVER)), Deliver
    )


def test_it_streams_live_only_where_no_check_could_turn_to_another_tier():
    assert not policy().decide(run(skills=LAW)).final
    assert policy().decide(run(LADDER[:1], skills=LAW)).final
    assert policy().decide(run(skills=LAW, judging=Judging.NEVER)).final


def test_the_clients_own_fault_is_not_asked_elsewhere():
    wrong = attempt("large", V.ERROR, error=UpstreamRejected("bad", status=400, body={}))
    assert policy().decide(run(skills=LAW, attempts=(wrong,))).stopped is Stop.UPSTREAM


@pytest.mark.parametrize(
    "wrong",
    [{"capable": 2}, {"neighbours": 0}, {"trade": -0.1}, {"prior_weight": -1}, {"verify": "yes"}, {"profile": " "}],
)
def test_a_setting_out_of_its_range_is_an_error_that_names_it(wrong):
    with pytest.raises(ConfigError) as caught:
        registry.build("skills", wrong)
    assert next(iter(wrong)) in f"{caught.value.param} {caught.value.message}".replace("-", "_")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_ends_within_two_steps_a_tier_and_asks_only_what_is_paid(data):
    share = st.floats(0, 1)
    told = policy(
        capable=data.draw(share), trade=data.draw(share), verify=data.draw(st.sampled_from(["none", "judge"]))
    )
    asks = {each.name: data.draw(st.integers(0, 9)) for each in LADDER}
    cap = data.draw(st.none() | st.integers(0, 20))
    now = run(
        skills=data.draw(st.sampled_from([MATH, LAW, BOTH, None])),
        quality=data.draw(st.none() | share),
        budget=Budget(cap, 0, asks, 1),
    )
    for _ in range(2 * len(LADDER) + 1):
        decision = told.decide(now)
        match decision:
            case Deliver():
                answered = [each for each in now.attempts if each.answer is not None]
                assert (decision.attempt is None) is (not answered)
                return
            case Judge():
                assert now.budget.pays_judge()
                now = now.with_last(attempt(now.attempts[-1].tier, data.draw(st.sampled_from([V.VALID, V.INVALID]))))
            case Ask():
                assert now.budget.pays_ask(decision.tier)
                assert decision.tier not in {each.tier for each in now.attempts}
                now = now.with_attempt(attempt(decision.tier, data.draw(st.sampled_from([*V]))))
    raise AssertionError(f"it did not end: {now.attempts}")
