"""Two-tier over all budgets: a curve between its two models, its area, and what the report makes of it."""

import pytest
from lab_support import SIMULATED

from cascade.lab.curves import budget_curve
from cascade.lab.report.findings import findings
from cascade.lab.report.page import page
from cascade.lab.report.results import Result
from cascade.policies import registry
from cascade.recordings import load
from cascade.replay import replay, stream


@pytest.fixture(scope="module")
def result():
    chosen = stream(load(SIMULATED), "ends")
    rows = replay(chosen, [registry.build(name) for name in ("always:small", "always:large", "two-tier")])
    return Result(chosen, tuple(rows), curve=budget_curve(chosen, {}, rows[:2]))


def test_it_runs_from_one_model_to_the_other(result):
    low, high = result.always
    costs = [cost for cost, _ in result.curve.points]
    assert costs == sorted(costs)
    assert costs[0] == low.cost_nanousd
    assert costs[-1] <= high.cost_nanousd * 1.02
    assert low.accuracy <= result.curve.area <= high.accuracy
    assert result.curve.mixed_area == pytest.approx((low.accuracy + high.accuracy) / 2)


def test_the_report_draws_it_and_says_its_area(result):
    text = page([result])
    assert 'class="curve"' in text
    assert f"normalised area under the curve {result.curve.area:.3f}" in text
    assert any("over all budgets" in found.text for found in findings(result))


def test_a_fixed_threshold_has_no_curve(result):
    assert budget_curve(result.stream, {"threshold": 0.5}, result.always) is None
    assert budget_curve(result.stream, {}, result.always[:1]) is None
