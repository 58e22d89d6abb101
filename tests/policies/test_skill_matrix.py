"""The capability matrix's arithmetic, and which skills a question needs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from router import beta
from router.skill_lookup import ProfiledQuestion, SkillLookup, SkillProfile
from router.skills import (
    Count,
    ModelSkills,
    Need,
    capability,
    coverage,
    difference,
    mean_capability,
    pareto,
    predicted,
)

PARAMETER = st.floats(0.05, 500)


@settings(max_examples=100, deadline=None)
@given(PARAMETER, PARAMETER, st.floats(0.001, 0.999))
def test_the_beta_distribution_is_scipys(a, b, p):
    assert beta.cdf(p, a, b) == pytest.approx(stats.beta.cdf(p, a, b), abs=1e-9)
    assert beta.cdf(beta.quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-6) or beta.quantile(p, a, b) < 1e-9


def test_an_interval_holds_its_mass():
    low, high = beta.interval(30, 12, 0.9)
    assert beta.cdf(high, 30, 12) - beta.cdf(low, 30, 12) == pytest.approx(0.9)


def skills(**counts):
    return ModelSkills({name: Count(*count) for name, count in counts.items()})


def test_a_thin_count_says_little_more_than_the_models_average():
    model = skills(math=(60, 100), law=(1, 1))
    thin, thick = capability(model, "law", 0.5, 10), capability(model, "math", 0.5, 10)
    assert 0.6 < thin.mean < 0.7
    assert thin.high - thin.low > 2 * (thick.high - thick.low)
    assert thin.instances == 1


def test_a_skill_never_seen_is_the_models_average():
    assert mean_capability(skills(math=(60, 100)), "law", 0.5, 10) == pytest.approx(0.6, abs=0.01)


def test_a_model_nobody_profiled_is_its_prior_with_a_wide_interval():
    found = capability(None, "law", 0.7, 10)
    assert found.mean == pytest.approx(0.7)
    assert found.high - found.low > 0.4


@given(st.integers(0, 50), st.integers(0, 50), st.floats(0.1, 0.9), st.floats(0, 50))
def test_a_capability_lies_inside_its_interval(shown, missing, prior, weight):
    found = capability(skills(s=(shown, shown + missing)), "s", prior, weight)
    assert 0 <= found.low <= found.mean <= found.high <= 1


def test_needs_weigh_capabilities():
    model = skills(math=(900, 1000), law=(100, 1000))
    assert predicted(model, (Need("math", 0.75), Need("law", 0.25)), 0.5, 2) == pytest.approx(0.7, abs=0.01)
    assert predicted(model, (), 0.5, 2) == pytest.approx(0.5, abs=0.01)


def test_coverage_difference_and_front():
    needs = (Need("math", 0.75), Need("law", 0.25))
    assert coverage({"math": 0.8, "law": 0.4}, needs, 0.5) == 0.75
    assert coverage({}, (), 0.5) == 1.0
    matrix = {"a": {"math": 0.8}, "b": {"math": 0.5}, "c": {"math": 0.6}}
    assert difference("a", "math", matrix) == pytest.approx(0.2)
    assert difference("b", "math", matrix) == pytest.approx(-0.3)
    costs, worth = {"a": 1, "b": 2, "c": 3, "d": 3}, {"a": 0.5, "b": 0.4, "c": 0.6, "d": 0.7}
    assert pareto(costs, worth) == ("a", "d")


def lookup(*questions):
    vectors = np.eye(4, dtype=np.float32)[: len(questions)]
    made = tuple(ProfiledQuestion(f"q{place}", needs) for place, needs in enumerate(questions))
    return SkillLookup(SkillProfile("p", "words", {"m": skills(math=(1, 2))}, made, vectors))


def unit(*numbers):
    vector = np.array([*numbers, *[0.0] * (4 - len(numbers))], dtype=np.float32)
    return vector / np.linalg.norm(vector)


def test_needs_come_from_the_nearest_weighed_by_nearness_and_criticality():
    found = lookup({"math": 1.0}, {"law": 0.5}, {"art": 1.0}).evidence(unit(0.8, 0.6), 2)
    assert [need.skill for need in found.needs] == ["math", "law"]
    assert found.needs[0].weight == pytest.approx(0.8 / 1.1)
    assert [id_ for id_, _ in found.nearest] == ["q0", "q1"]


def test_a_faint_need_is_no_requirement_and_weights_still_sum_to_one():
    found = lookup({"math": 1.0, "spelling": 0.01}).evidence(unit(1.0), 3)
    assert found.needs == (Need("math", 1.0),)


@pytest.mark.parametrize(
    ("vector", "note"),
    [
        pytest.param(None, "not embedded", id="not embedded"),
        pytest.param(-unit(1.0), "no question that could be compared", id="nothing alike"),
        pytest.param(np.ones(3, dtype=np.float32), "no question that could be compared", id="another length"),
    ],
)
def test_a_question_that_cannot_be_compared_needs_nothing_and_says_why(vector, note):
    found = lookup({"math": 1.0}).evidence(vector, 3)
    assert found.needs == ()
    assert note in found.note
    assert found.models
