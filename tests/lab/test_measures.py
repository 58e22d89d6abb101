"""The arithmetic behind reports: random mixing, Pareto fronts, paired differences, areas, calibration."""

from dataclasses import dataclass

import pytest

from cascade.lab.calibration import area_under_roc, bins
from cascade.lab.measures import area, best_mix, difference, mixed_accuracy, pareto


@dataclass
class Row:
    cost_nanousd: float
    accuracy: float
    stories: tuple = ()


@dataclass
class Story:
    grade: int | None

    def correct(self, recording):
        return self.grade


SMALL, LARGE = Row(100, 0.5), Row(1100, 0.9)


@pytest.mark.parametrize(("cost", "expected"), [(100, 0.5), (600, 0.7), (1100, 0.9), (50, 0.5), (5000, 0.9)])
def test_random_mixing_is_a_straight_line_between_its_ends(cost, expected):
    assert mixed_accuracy(SMALL, LARGE, cost) == pytest.approx(expected)


def test_the_best_mix_may_take_a_model_in_between():
    middle = Row(200, 0.85)
    assert best_mix([SMALL, middle, LARGE], 200) == pytest.approx(0.85)
    assert best_mix([SMALL, middle, LARGE], 650) == pytest.approx(0.875)
    assert best_mix([SMALL, middle, LARGE], 50) is None


def test_the_front_holds_what_nothing_beats():
    dear, bad = Row(2000, 0.85), Row(300, 0.4)
    assert pareto([LARGE, dear, bad, SMALL]) == [SMALL, LARGE]


def test_a_paired_difference_counts_what_both_were_graded_on():
    one = Row(0, 0, tuple(Story(grade) for grade in (1, 1, 1, 0, None, 1)))
    two = Row(0, 0, tuple(Story(grade) for grade in (0, 1, 1, 0, 1, None)))
    found = difference(None, one, two)
    assert found.mean == 0.25
    assert found.low < 0 < found.high
    assert not found.clear
    assert difference(None, Row(0, 0, (Story(1),)), Row(0, 0, (Story(1),))) is None


def test_the_area_under_a_straight_line_is_its_middle():
    assert area([(100, 0.5), (1100, 0.9)], 100, 1100) == pytest.approx(0.7)
    assert area([(100, 0.5), (600, 0.9), (1100, 0.9)], 100, 1100) == pytest.approx(0.8)
    assert area([(300, 0.6)], 100, 1100) == pytest.approx(0.6)
    assert area([], 0, 1) is None


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ([(0.9, True), (0.1, False)], 1.0),
        ([(0.1, True), (0.9, False)], 0.0),
        ([(0.5, True), (0.5, False)], 0.5),
        ([(0.5, True)], None),
        ([(0.2, False), (0.4, True), (0.4, False), (0.8, True)], 0.875),
    ],
)
def test_the_area_under_the_roc_curve(claims, expected):
    assert area_under_roc(claims) == expected


def test_bins_are_of_about_equal_size_and_equal_claims_stay_together():
    claims = [(0.7, True)] * 100 + [(place / 100, place % 2 == 0) for place in range(100)]
    found = bins(claims)
    assert sum(each.count for each in found) == 200
    assert max(each.count for each in found) >= 100
    assert [each.claimed for each in found] == sorted(each.claimed for each in found)
