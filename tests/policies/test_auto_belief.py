"""What is believed of several answers to one question is a probability, and moves the right way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.policies.auto_belief import Belief, Chances
from router.difficulty import NORMAL, curves

CHANCES = Chances.of(curves([0.5, 0.6, 0.7, 0.8]))
START = Belief.of(CHANCES, NORMAL)
#: What each of three tiers says: 0 = the first group's answer, and so on; beyond the groups = something new.
SAID = st.lists(st.integers(0, 3), max_size=3)


def after(said):
    belief = START
    for rung, group in enumerate(said):
        belief = belief.answered(rung, group if group < belief.groups else None)
    return belief


@given(SAID)
def test_whatever_the_next_answer_may_be_is_as_likely_as_what_was_seen(said):
    belief = after(said)
    futures = [belief.answered(3, group) for group in (*range(belief.groups), None)]
    assert sum(future.likelihood for future in futures) == pytest.approx(belief.likelihood)


@given(SAID)
def test_at_most_one_of_several_different_answers_is_right(said):
    groups, _ = after(said).p_right()
    assert all(0 <= p <= 1 for p in groups)
    assert sum(groups) <= 1 + 1e-9


@given(SAID, st.floats(0.1, 0.9), st.floats(0.1, 0.9))
def test_a_verdict_and_its_opposite_are_as_likely_as_what_was_seen(said, right, wrong):
    belief = after([0, *said[:2]])
    yes, no = belief.told(0, right, wrong), belief.told(0, 1 - right, 1 - wrong)
    assert yes.likelihood + no.likelihood == pytest.approx(belief.likelihood)


def test_an_answer_that_nothing_is_known_of_is_right_as_often_as_its_tier():
    assert START.answered(1, None).p_right()[0] == pytest.approx([0.6], abs=1e-6)


def test_agreement_makes_both_likelier_than_either_alone():
    assert after([0, 0]).p_right()[0][0] > 0.8


def test_of_two_that_differ_the_abler_ones_is_likelier():
    weak, able = START.answered(0, None).answered(3, None).p_right()[0]
    assert weak < able


def test_agreement_says_that_the_question_is_easy():
    assert after([0, 0]).p_ask()[3] > START.p_ask()[3] > START.answered(0, None).answered(1, None).p_ask()[3]


def test_a_tier_that_declined_says_that_the_question_is_hard():
    assert all(now < before for now, before in zip(START.failed(0).p_ask(), START.p_ask(), strict=True))


def test_a_no_lowers_and_a_yes_raises():
    told = START.answered(1, None)
    assert told.told(0, 0.09, 0.57).p_right()[0] < told.p_right()[0] < told.told(0, 0.91, 0.43).p_right()[0]


def test_two_answers_that_cannot_be_compared_may_both_be_right():
    alone = START.answered_alone(0).answered_alone(1)
    _, (first, second) = alone.p_right()
    assert (first, second) == (pytest.approx(0.5, abs=1e-6), pytest.approx(0.6, abs=1e-6))


def test_a_verdict_on_one_of_them_says_something_of_the_other():
    alone = START.answered_alone(0).answered_alone(1)
    (_, before), (_, after_no) = alone.p_right()[1], alone.told_alone(0, 0.09, 0.57).p_right()[1]
    assert after_no < before


def test_verdicts_on_an_answer_that_stands_alone_add_up_too():
    alone = START.answered_alone(0).told_alone(0, 0.91, 0.43)
    both = alone.told_alone(0, 0.8, 0.3).likelihood + alone.told_alone(0, 0.2, 0.7).likelihood
    assert both == pytest.approx(alone.likelihood)
