"""`gearbox calibrate`: curves of graded confidences, which `two-tier` with `calibration: isotonic` goes by."""

import json

import pytest
from lab_support import SIMULATED

from cascade.curve_file import load_curves
from router.errors import ConfigError

SERIES = ("small", "first:probability")


@pytest.fixture
def curves(gearbox, tmp_path):
    path = tmp_path / "curves.json"
    code, out, err = gearbox("calibrate", SIMULATED, "--split", "train", "--out", path)
    assert (code, out) == (0, ""), err
    assert "calibration: isotonic" in err
    return path


def test_p_wrong_falls_while_the_margin_rises(curves):
    (first, *_, last) = load_curves(curves)[SERIES].blocks
    assert first.p_wrong > 0.5 > last.p_wrong
    assert sum(block.share for block in load_curves(curves)[SERIES].blocks) == pytest.approx(1)


def test_a_higher_target_costs_more_and_is_right_more_often(told, curves):
    rows = [
        told(
            *("replay", SIMULATED, "--split", "test", "--policy", "two-tier", "--json"),
            *("--set", "two-tier.calibration=isotonic", "--set", f"two-tier.curves={curves}"),
            *("--set", f"two-tier.target_accuracy={target}"),
        )["rows"][0]
        for target in (0.6, 0.75, 0.9)
    ]
    costs = [row["cost_usd"] for row in rows]
    assert costs == sorted(costs)
    assert costs[0] < costs[-1]
    accuracies = [row["accuracy"] for row in rows]
    assert accuracies == sorted(accuracies)
    assert accuracies[0] < accuracies[-1]


def bent(curves, **changes):
    told = json.loads(curves.read_text())
    told["curves"][0] |= changes
    curves.write_text(json.dumps(told))
    return curves


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"blocks": []}, "non-empty"),
        ({"labelled": 0}, "minimum"),
        ({"blocks": [{"margin": 0.1, "p_wrong": 2, "share": 1}]}, "maximum"),
        (
            {"blocks": [{"margin": m, "p_wrong": m, "share": 0.5} for m in (0.1, 0.2)]},
            r"P\(wrong\) has to fall",
        ),
    ],
)
def test_a_curve_that_could_not_have_been_fitted_is_refused(curves, changes, words):
    with pytest.raises(ConfigError, match=words) as caught:
        load_curves(bent(curves, **changes))
    assert str(curves) in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["calibrate", "/nowhere"], "no such folder"),
        (["calibrate", SIMULATED, "--split", "dev"], "'dev'"),
        (["calibrate", SIMULATED, "--measure", "last"], "first:probability"),
        (["replay", SIMULATED, "--policy", "two-tier", "--set", "two-tier.curves=x.json"], "calibration: isotonic"),
    ],
)
def test_a_bad_wish_is_one_line(gearbox, arguments, words):
    code, out, err = gearbox(*arguments)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")


def test_curves_that_are_not_there_are_named(gearbox, tmp_path):
    settings = ("--set", "two-tier.calibration=isotonic", "--set", f"two-tier.curves={tmp_path}/none.json")
    code, _, err = gearbox("replay", SIMULATED, "--policy", "two-tier", *settings)
    assert (code, "none.json: the curves cannot be read" in err.replace("\n", "")) == (2, True)
