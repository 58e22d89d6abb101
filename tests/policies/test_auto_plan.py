"""A call is made where it is worth more than it costs, some steps ahead."""

import pytest

from cascade.policies.auto_belief import Belief, Chances
from cascade.policies.auto_plan import Move, Planner, Prices, State, Verdicts, answered, answered_alone
from router.difficulty import NORMAL, curves

JUDGE = Verdicts(0.91, 0.43)


def start(*accuracies):
    return State(Belief.of(Chances.of(curves(accuracies)), NORMAL), open=frozenset(range(len(accuracies))))


def planner(ask, judge=None, worth=1000.0, verdicts=JUDGE):
    return Planner(Prices(ask, judge or [1e9] * len(ask)), lambda p_right: worth * p_right, verdicts)


def best(state, plan, horizon=2):
    found = plan.options(state, horizon)[0]
    return found.move, found.rung


FIRST = {
    "the abler tier where the difference pays": ((0.5, 0.9), [1, 50], (Move.ASK, 1)),
    "the cheaper one where it does not": ((0.5, 0.9), [1, 500], (Move.ASK, 0)),
    "the lower of two that are alike": ((0.6, 0.6), [1, 1], (Move.ASK, 0)),
}


@pytest.mark.parametrize(("accuracies", "ask", "wanted"), FIRST.values(), ids=FIRST.keys())
def test_who_is_asked_first(accuracies, ask, wanted):
    assert best(start(*accuracies), planner(ask)) == wanted


def test_an_answer_is_served_where_nothing_is_worth_its_price():
    state = answered(start(0.9, 0.95), 0, None)
    assert best(state, planner([1, 900])) == (Move.SERVE, 0)


def test_another_tier_is_asked_where_the_answer_is_doubtful():
    state = answered(start(0.3, 0.9), 0, None)
    assert best(state, planner([1, 100])) == (Move.ASK, 1)


def test_a_cheap_verdict_is_paid_before_a_dear_answer():
    state = answered(start(0.6, 0.9), 0, None)
    assert best(state, planner([1, 250], [2, 2])) == (Move.JUDGE, 0)


def test_a_verdict_that_would_be_ignored_is_not_paid():
    """After a no the answer may not be served, and the other tier costs more than it can bring."""
    state = answered(start(0.6, 0.7), 0, None)
    assert best(state, planner([1, 5000], [2, 2])) == (Move.SERVE, 0)


def test_a_judge_that_says_yes_to_everything_is_not_paid():
    state = answered(start(0.6, 0.9), 0, None)
    assert best(state, planner([1, 250], [2, 2], verdicts=Verdicts(0.9, 0.899)))[0] is not Move.JUDGE


def test_two_steps_ahead_a_cheap_answer_is_asked_for_the_sake_of_comparison():
    """Alone the first tier is hopelessly weak; that the second one agrees with it saves the third one's price."""
    state, plan = start(0.5, 0.55, 0.9), planner([1, 1, 200])
    assert best(state, plan, horizon=0) == (Move.ASK, 2)
    assert best(state, plan) == (Move.ASK, 0)


def test_agreement_is_enough():
    state = answered(answered(start(0.6, 0.7, 0.9), 0, None), 1, 0)
    assert best(state, planner([1, 1, 200])) == (Move.SERVE, 1)


def test_a_call_that_adds_less_than_waiting_for_it_costs_is_not_made():
    state, prices = answered(start(0.6, 0.7), 0, None), Prices([1, 1], [1e9, 1e9])
    patient, hasty = (Planner(prices, lambda p_right: 1000 * p_right, JUDGE, waiting) for waiting in (0.0, 0.2))
    assert best(state, patient) == (Move.ASK, 1)
    assert best(state, hasty) == (Move.SERVE, 0)


def test_nobody_is_asked_twice():
    state = answered(answered(start(0.2, 0.3), 0, None), 1, None)
    assert [option.move for option in planner([1, 1]).options(state, 2)] == [Move.SERVE]


def test_what_cannot_be_compared_is_not_paid_for_comparison():
    begun, plan = start(0.5, 0.55, 0.9), planner([1, 1, 200])
    assert best(answered(begun, 0, None), plan) == (Move.ASK, 1)
    assert best(answered_alone(begun, 0), plan) == (Move.ASK, 2)


def test_with_nobody_to_ask_and_nothing_to_serve_there_is_no_option():
    assert planner([1]).options(State(start(0.5).belief), 2) == []
