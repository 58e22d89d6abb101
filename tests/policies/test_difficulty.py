"""One latent difficulty behind all tiers: what is seen of one tier moves every other one's chance."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rides import LADDER

from router.difficulty import NORMAL, curves, difficulty, over
from router.domain import Neighbour

CHANCES = curves([tier.prior_accuracy for tier in LADDER])


def near(similarity, **labels):
    return Neighbour("q", similarity, {f"{name}-model": label for name, label in labels.items()})


def chances(*neighbours, weight=0.5):
    """P(right) of small, medium, large."""
    known = difficulty(neighbours, LADDER, CHANCES, weight)
    return [over(curve, known) for curve in CHANCES]


@given(st.floats(0.01, 0.99))
def test_over_all_questions_a_curve_averages_to_its_accuracy(accuracy):
    assert over(curves([accuracy])[0], NORMAL) == pytest.approx(accuracy, abs=1e-6)


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_nobody_is_always_right_or_always_wrong(accuracy):
    assert 0 < over(curves([accuracy])[0], NORMAL) < 1


def test_chances_fall_with_difficulty():
    assert all(left > right for curve in CHANCES for left, right in itertools.pairwise(curve))


def test_with_nothing_known_the_priors_stand():
    assert chances() == pytest.approx([0.5, 0.7, 0.9], abs=1e-6)


@pytest.mark.parametrize("seen", ["small", "medium", "large"])
@pytest.mark.parametrize(("label", "sign"), [(1.0, 1), (0.0, -1)], ids=["right", "wrong"])
def test_one_tiers_label_moves_every_tier_the_same_way(seen, label, sign):
    moved = zip(chances(near(0.9, **{seen: label})), chances(), strict=True)
    assert all(sign * (now - before) > 0 for now, before in moved)


STILL = {
    "labels of models that answer no more": near(1.0, old=0.0),
    "a question that is hardly similar": near(0.1, small=0.0, large=0.0),
    "an opposite question": near(-0.9, small=0.0),
    "a neighbour without labels": near(1.0),
}


@pytest.mark.parametrize("neighbour", STILL.values(), ids=STILL.keys())
def test_what_says_nothing_changes_nothing(neighbour):
    assert chances(neighbour) == chances()


def test_a_nearer_question_says_more():
    assert chances(near(0.9, small=0.0))[0] < chances(near(0.5, small=0.0))[0]


def test_without_weight_neighbours_are_not_listened_to():
    assert chances(near(1.0, small=0.0), weight=0.0) == chances()
