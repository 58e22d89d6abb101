"""What is learnt of margins and costs, the same live, over a restart and after feedback."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rides import FIRST, LADDER, SMALL, attempt

from router.calibration import fit_curve
from router.domain import Run
from router.margins_state import MIN_LABELLED, WINDOW, MarginKeeper, Past, Tried, past_of
from router.pricing import Usage

LARGE_HORIZON = 10**9


def past(id_, confidence, nanousd=1000, correct=None, model="small-model", measure=FIRST):
    return Past(id_, nanousd, (Tried(model, nanousd, Usage(10, 1), confidence, measure, correct),))


def keeper(*pasts, horizon=LARGE_HORIZON, fit=None):
    made = MarginKeeper(fit)
    for each in pasts:
        made.learn(each, "team", horizon)
    return made


@settings(max_examples=30)
@given(st.lists(st.floats(0, 1), max_size=50))
def test_margins_are_sorted_and_a_state_does_not_change_afterwards(margins):
    made = MarginKeeper()
    for place, each in enumerate(margins):
        before = made.state("team")
        known = before.margins.get(SMALL, ())
        made.learn(past(str(place), each), "team", LARGE_HORIZON)
        assert before.margins.get(SMALL, ()) == known
    assert made.state("team").margins.get(SMALL, ()) == tuple(sorted(margins))


def test_only_the_latest_margins_count():
    made = keeper(*(past(str(place), place / WINDOW) for place in range(WINDOW + 3)))
    margins = made.state("team").margins[SMALL]
    assert (len(margins), margins[0]) == (WINDOW, 3 / WINDOW)


def test_teams_models_and_measures_are_apart():
    made = keeper(past("1", 0.1), past("2", 0.2, model="other"), past("3", 0.3, measure="mean:probability"))
    assert made.state("team").margins == {
        SMALL: (0.1,),
        ("other", FIRST): (0.2,),
        ("small-model", "mean:probability"): (0.3,),
    }
    assert made.state("elsewhere").margins == {}


def test_a_new_pot_begins_with_each_horizon():
    made = keeper(*(past(str(place), 0.5) for place in range(5)), horizon=3)
    state = made.state("team")
    assert (state.asked, state.spent_nanousd) == (2, 2000)
    assert state.costs["small-model"].answers == 5


def test_a_model_that_gave_no_log_probabilities_is_remembered_until_it_does():
    made = keeper(past("1", None))
    assert made.state("anyone").lacking == {"small-model"}
    made.learn(past("2", 0.5), "team", 9)
    assert made.lacking == frozenset()


def test_a_run_that_asks_for_nothing_to_be_learnt_only_spends():
    run = Run(LADDER, "large", id="r", attempts=(attempt("small", confidence=0.4),))
    assert past_of(run, {}, policy="two-tier", learn=False) == Past("r", 1000, (), "two-tier")


def test_both_models_costs_are_kept_for_the_same_requests():
    run = Run(LADDER, "large", id="r", attempts=(attempt("small", confidence=0.4), attempt("large", nanousd=20_000)))
    assert keeper(past_of(run, {}, policy="two-tier")).state("team").both == {
        ("small-model", "large-model"): (1000, 20_000)
    }


def test_labels_make_a_curve_that_falls_and_feedback_changes_it():
    dice = random.Random(1)
    margins = [dice.random() for _ in range(MIN_LABELLED)]
    made = keeper(
        *(past(str(place), each, correct=float(each > 0.5)) for place, each in enumerate(margins)), fit=fit_curve
    )
    curve = made.state("team").curves[SMALL]
    assert [block.p_wrong for block in curve.blocks] == [1.0, 0.0]
    assert sum(block.share for block in curve.blocks) == pytest.approx(1.0)


def test_too_few_labels_make_no_curve_and_feedback_adds_one():
    margins = [place / MIN_LABELLED for place in range(MIN_LABELLED)]
    first = past("late", 0.9)
    made = keeper(
        first, *(past(str(place), each, correct=1.0) for place, each in enumerate(margins[1:])), fit=fit_curve
    )
    assert made.state("team").curves == {}
    made.relabel("late", {"small-model": 0.0}, "team")
    assert made.state("team").curves[SMALL].labelled == MIN_LABELLED


def test_feedback_on_something_else_is_passed_over():
    made = keeper(past("1", 0.5))
    made.relabel("unknown", {"small-model": 1.0}, "team")
    made.relabel("1", {"other": 1.0}, "nobody")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=40))
def test_a_fitted_curve_never_rises_and_accounts_for_every_margin(pairs):
    curve = fit_curve(pairs, sorted(margin for margin, _ in pairs))
    wrong = [block.p_wrong for block in curve.blocks]
    assert wrong == sorted(wrong, reverse=True)
    assert sum(block.share for block in curve.blocks) == pytest.approx(1.0)


def test_an_unpriced_answer_leaves_the_mean_alone():
    priced = past("1", 0.5)
    unpriced = replace(priced, tried=(replace(priced.tried[0], nanousd=None),))
    assert keeper(priced, unpriced).state("team").costs["small-model"].answers == 1
