"""What-if, export and tune over a store of real traffic: what was never generated is counted, not guessed."""

import gzip
import json

import pytest
from lab_support import QUESTIONS

from cascade.recordings import load


def test_nothing_changed_is_what_it_was(told, traffic):
    found = told("whatif", "--json", "--config", traffic)
    assert found["requests"] == len(QUESTIONS) + 1  # the one without text is routed like any other
    assert found["left_out"] == {"named_a_tier": 1}
    (row,) = found["rows"]
    assert row["policy"] == "llm-at"
    assert row["unevaluable"] <= 0.05
    assert row["saved_usd"] == pytest.approx(0, abs=1e-9)
    assert row["was_usd"] == pytest.approx(found["cost_usd"], rel=0.05)
    assert row["graded"] >= 2


def test_another_threshold_needs_answers_that_were_never_generated(told, traffic):
    found = told("whatif", "--json", "--set", "llm-at.threshold=0.92", "--config", traffic)
    (row,) = found["rows"]
    assert row["settings"]["threshold"] == 0.92
    assert 0.3 < row["unevaluable"] < 1


def test_other_prices_are_another_bill_for_the_same_answers(told, traffic):
    dear = ["--price", "small=0.5,4", "--price", "medium=5,40", "--price", "large=50,400"]
    (row,) = told("whatif", "--json", *dear, "--config", traffic)["rows"]
    assert row["cost_usd"] == pytest.approx(10 * row["was_usd"], rel=1e-6)


def test_other_tiers_and_policies(told, traffic):
    rows = told("whatif", "--json", "--policy", "always:small", "--tiers", "small,large", "--config", traffic)["rows"]
    assert rows[0]["starts"]["large"] == 0
    assert set(rows[0]["starts"]) == {"small", "large"}


def test_the_time_span_counts(gearbox, told, traffic):
    assert told("whatif", "--since", "1h", "--json", "--config", traffic)["requests"] > 0
    code, _, err = gearbox("whatif", "--since", "2999-01-01", "--config", traffic)
    assert (code, "no routed requests" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "yesterday"], "write 7d"),
        (["--price", "small"], "tier=in,out"),
        (["--price", "small=nan,1"], "tier=in,out"),
        (["--price", "huge=1,1"], "no tier 'huge'"),
        (["--tiers", "huge"], "no tier 'huge'"),
        (["--set", "agreement.x=1"], "not run here"),
        (["--policy", "nonsense"], "unknown policy"),
    ],
)
def test_a_bad_wish_is_one_line(gearbox, traffic, arguments, words):
    code, out, err = gearbox("whatif", "--config", traffic, *arguments)
    assert (code, out) == (2, "")
    assert words in err.replace("\n", " ")


def test_a_table_says_that_the_rest_is_no_random_sample(gearbox, traffic):
    code, out, err = gearbox("whatif", "--config", traffic)
    assert code == 0
    assert "llm-at" in out
    assert "not a random sample" in err.replace("\n", " ")


class TestExport:
    def test_it_is_a_partial_recording_that_replays(self, gearbox, told, traffic, tmp_path):
        folder = tmp_path / "mine"
        code, _, err = gearbox("export", "--recording", folder, "--config", traffic)
        assert code == 0
        assert "1 requests were left out: no text" in err.replace("\n", " ")
        recording = load(folder)
        assert recording.partial
        assert len(recording.queries) == len(QUESTIONS) + 1
        assert recording.queries[0].messages[-1]["content"] == QUESTIONS[0]
        (row,) = told("replay", folder, "--policy", "bottom-up", "--json")["rows"]
        assert 0 <= row["unevaluable"] < 1
        assert row["graded"] <= 3

    def test_grades_are_feedback_and_unknown_otherwise(self, gearbox, traffic, tmp_path):
        gearbox("export", "--recording", tmp_path / "mine", "--config", traffic)
        grades = [
            json.loads(line)["correct"]
            for path in (tmp_path / "mine" / "answers").iterdir()
            for line in gzip.decompress(path.read_bytes()).splitlines()
        ]
        assert sorted(grade for grade in grades if grade is not None) == [0, 1, 1]
        assert grades.count(None) >= len(QUESTIONS) - 3

    def test_nothing_is_overwritten(self, gearbox, traffic, tmp_path):
        (tmp_path / "there").mkdir()
        (tmp_path / "there" / "file").touch()
        code, _, err = gearbox("export", "--recording", tmp_path / "there", "--config", traffic)
        assert code == 2
        assert "there already" in err


def test_tuning_on_a_store_without_grades_says_so(gearbox, traffic):
    code, _, err = gearbox("tune", "store", "--policy", "llm-at", "--target-accuracy", "0.9", "--config", traffic)
    assert code == 2
    assert "answers are graded" in err.replace("\n", " ")
