"""The paper's rule for spending a budget without labels."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.policies.budget_quantile import Pot, Regime, threshold

MARGINS = st.lists(st.floats(0, 1), max_size=40)


@given(MARGINS, st.floats(0, 1), st.floats(0, 1))
def test_the_threshold_is_the_element_at_p_times_n_of_all_margins(seen, margin, quantile):
    everything = sorted([*seen, margin])
    place = math.floor(quantile * len(everything))
    wanted = everything[place] if place < len(everything) else math.inf
    assert threshold(sorted(seen), margin, quantile) == wanted


def test_past_the_end_everything_escalates():
    assert threshold([0.1, 0.2], 0.9, 1.0) == math.inf


def test_p_is_what_the_budget_leaves_for_the_large_model():
    # B = 1 + 0.5 * (20 - 1) = 10.5; p = (10.5 - 1) / 20
    assert Pot(0.5, 100, small_nanousd=1.0, large_nanousd=20.0).quantile == pytest.approx(0.475)


@pytest.mark.parametrize(
    ("pot", "regime"),
    [
        pytest.param(Pot(0.5, 100), Regime.CASCADE, id="costs unknown"),
        pytest.param(Pot(0.0, 100, 0, 0, 1, 20), Regime.SMALL_ONLY, id="no budget for the large one"),
        pytest.param(Pot(1.0, 100, 0, 0, 1, 20), Regime.LARGE_DIRECTLY, id="the whole budget"),
        pytest.param(Pot(0.5, 100, 0, 0, 1, 20), Regime.CASCADE, id="a full pot"),
        pytest.param(Pot(0.5, 100, 50, 1001, 1, 20), Regime.SMALL_ONLY, id="49 left for 50 small ones"),
        pytest.param(Pot(0.5, 100, 50, 1000, 1, 20), Regime.CASCADE, id="50 left for 50 small ones"),
        pytest.param(Pot(0.5, 100, 50, 50, 1, 20), Regime.LARGE_DIRECTLY, id="1000 left for 50 large ones"),
        pytest.param(Pot(0.5, 100, 50, 51, 1, 20), Regime.CASCADE, id="999 left for 50 large ones"),
    ],
)
def test_the_pot_says_who_is_asked(pot, regime):
    assert pot.regime is regime


def test_an_empty_pot_does_not_pay_for_the_large_model():
    assert Pot(0.5, 100, 99, 1029, 1, 20).pays_large(1)
    assert not Pot(0.5, 100, 99, 1030, 1, 20).pays_large(1)
