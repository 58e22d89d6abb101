"""What every registered policy promises, for every sequence of verdicts, errors, judge failures and budgets."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from runs import attempt, evidence, ladder, near, run

from cascade.policies import registry
from router.domain import Ask, Budget, Deliver, Judge, Judging, Verdict

POLICIES = [*registry.names(), "always:small", "always:large"]
V = Verdict
ANSWERS = st.sampled_from([V.UNJUDGED, V.UNJUDGED, V.INVALID, V.ABSTAINED, V.ERROR])
JUDGEMENTS = st.sampled_from(["valid", "invalid", "failed"])
#: How good an answer is to serve.
WORTH = [V.VALID, V.UNJUDGED, V.INVALID, V.ABSTAINED]
COSTS = st.integers(0, 100)


@st.composite
def stories(draw):
    """A policy, a run to begin with, and everything that will happen to it."""
    name = draw(st.sampled_from(POLICIES))
    priors = draw(st.tuples(*[st.floats(0.1, 0.9)] * 3))
    labels = st.fixed_dictionaries({}, optional=dict.fromkeys(("small", "medium", "large"), st.floats(0, 1)))
    neighbours = draw(st.lists(st.builds(lambda s, found: near(s, **found), st.floats(-1, 1), labels), max_size=6))
    cap = draw(st.none() | st.integers(0, 300))
    asks = {tier: draw(COSTS) for tier in ("small", "medium", "large")}
    start = run(
        ladder(*priors),
        evidence=evidence(*neighbours, size=draw(st.integers(0, 50))),
        judging=draw(st.sampled_from(Judging)),
        judge_fails_open=draw(st.booleans()),
        quality=draw(st.none() | st.floats(0, 1)),
        budget=Budget(cap, 0, asks, draw(COSTS)),
    )
    return (
        registry.build(name),
        start,
        draw(st.lists(ANSWERS, min_size=6, max_size=6)),
        draw(st.lists(JUDGEMENTS, min_size=6, max_size=6)),
    )


def ridden(policy, now, answers, judgements):
    """Run a policy to its end, checking what it asks on the way."""
    answers, judgements = list(answers), list(judgements)
    for _ in range(2 * len(now.ladder) + 1):
        decision = policy.decide(now)
        match decision:
            case Deliver():
                return now, decision
            case Ask():
                assert now.budget.pays_ask(decision.tier)
                assert decision.tier not in {each.tier for each in now.attempts}
                now = spent(now, now.budget.ask_nanousd[decision.tier]).with_attempt(
                    attempt(decision.tier, answers.pop())
                )
            case Judge():
                assert now.budget.pays_judge()
                assert now.attempts[-1].verdict is V.UNJUDGED
                now = spent(now, now.budget.judge_nanousd).with_last(judged(now.attempts[-1], judgements.pop()))
    raise AssertionError(f"it did not end within two steps a tier: {now.attempts}")


def spent(now, nanousd):
    return replace(now, budget=replace(now.budget, spent_nanousd=now.budget.spent_nanousd + nanousd))


def judged(last, word):
    if word == "failed":
        return replace(last, verdict_by="failed:medium")
    return replace(last, verdict=V(word), verdict_by="judge:medium")


@settings(max_examples=100, deadline=None)
@given(stories())
def test_it_ends_within_two_steps_a_tier_and_asks_only_what_is_paid(story):
    ridden(*story)


@settings(max_examples=100, deadline=None)
@given(stories())
def test_a_rejected_answer_is_the_last_resort_and_never_worse_than_another(story):
    end, delivered = ridden(*story)
    answered = [each for each in end.attempts if each.answer is not None]
    if delivered.attempt is None:
        assert not answered
        return
    served = end.attempts[delivered.attempt]
    assert served.answer is not None
    assert WORTH.index(served.verdict) == min(WORTH.index(each.verdict) for each in answered)


@settings(max_examples=100, deadline=None)
@given(stories())
def test_what_is_asked_as_final_is_served_whatever_it_is(story):
    policy, now, answers, judgements = story
    decision = policy.decide(now)
    if isinstance(decision, Ask) and decision.final and answers[-1] is V.UNJUDGED:
        end, delivered = ridden(policy, now, answers, judgements)
        assert delivered.attempt == 0
        assert len(end.attempts) == 1


@settings(max_examples=30, deadline=None)
@given(stories())
def test_the_same_run_gives_the_same_decision(story):
    policy, now, *_ = story
    assert policy.decide(now) == policy.decide(now)
