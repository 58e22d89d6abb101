"""The estimator is papers.md's formula, to the last digit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.accuracy import estimate
from router.domain import Deployment, Neighbour, Tier

TIER = Tier("small", (Deployment("d", "m", None),), prior_accuracy=0.6, judge="small")
TWO_MODELS = Tier("small", (Deployment("d", "m", None), Deployment("e", "m2", None)), 0.6, "small")


def neighbour(similarity, **labels):
    return Neighbour("q", similarity, labels)


@pytest.mark.parametrize(
    ("neighbours", "smoothing", "p"),
    [
        pytest.param([], 5, 0.6, id="no neighbours: the prior"),
        pytest.param([], 0, 0.6, id="no weight at all: the prior"),
        pytest.param([neighbour(0.9, m=1)], 5, (0.9 + 3) / 5.9, id="one correct"),
        pytest.param([neighbour(0.9, m=0)], 5, 3 / 5.9, id="one incorrect"),
        pytest.param([neighbour(0.8, m=0.25)], 5, (0.2 + 3) / 5.8, id="a score counts both ways"),
        pytest.param([neighbour(0.9, other=0)], 5, 0.6, id="another model's label is blank"),
        pytest.param([neighbour(0.9)], 5, 0.6, id="an unlabelled neighbour is blank"),
        pytest.param([neighbour(0.9, m=1), neighbour(0.5, m=0)], 5, (0.9 + 3) / 6.4, id="weighed by similarity"),
        pytest.param([neighbour(-0.2, m=1)], 5, (-0.2 + 3) / 4.8, id="a negative similarity is not clamped"),
        pytest.param([neighbour(-0.9, m=1)], 0.5, 0.6, id="no positive weight: the prior"),
        pytest.param([neighbour(-0.9, m=0)], 1, 1.0, id="never above 1"),
        pytest.param([neighbour(-0.9, m=1)], 1, 0.0, id="never below 0"),
        pytest.param([neighbour(0.7, m=1)], 0, 1.0, id="without smoothing only labels count"),
    ],
)
def test_estimate(neighbours, smoothing, p):
    assert estimate(neighbours, TIER, smoothing).p_valid == pytest.approx(p, abs=1e-12)


def test_estimate_shows_what_it_is_made_of():
    found = estimate([neighbour(0.8, m=0.25)], TIER, 5)
    assert (found.weight_correct, found.weight_incorrect, found.prior) == pytest.approx((0.2, 0.6, 0.6))


def test_labels_of_several_present_models_are_averaged():
    assert estimate([neighbour(1.0, m=1, m2=0)], TWO_MODELS, 5).p_valid == pytest.approx((0.5 + 3) / 6)


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(0, 1))), st.floats(0, 20))
def test_estimate_is_a_probability(rows, smoothing):
    assert 0 <= estimate([neighbour(sim, m=label) for sim, label in rows], TIER, smoothing).p_valid <= 1
