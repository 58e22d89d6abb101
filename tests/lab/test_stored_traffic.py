"""What-if, export and tune over a store of real traffic: what was never generated is counted, not guessed."""

import gzip
import json
import shutil
import sqlite3

import pytest
from lab_support import QUESTIONS, SIMULATED

from cascade.lab import tuning
from cascade.recordings import load
from router.embedding import SentenceTransformerEmbedder


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
        (["--since", "some day"], "write 7d"),
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


def _nothing_is_embedded(*_, **__):
    raise AssertionError("the stored vectors are to be taken")


@pytest.fixture
def copied(traffic, tmp_path):
    """The traffic once more, to be changed: its gearbox.yaml."""
    shutil.copy(traffic.parent / "gearbox.db", tmp_path / "gearbox.db")
    config = tmp_path / "gearbox.yaml"
    config.write_text(traffic.read_text().replace(str(traffic.parent), str(tmp_path)))
    return config


class TestSkills:
    @pytest.fixture
    def profile(self, gearbox, tmp_path):
        path = tmp_path / "skills.json"
        arguments = ("skills", "profile", SIMULATED, "--split", "train", "--model", "small", "--model", "large")
        code, _, err = gearbox(*arguments, "--out", path)
        assert code == 0, err
        return f"skills.profile={path}"

    def test_each_request_is_weighed_by_its_stored_vector(self, told, traffic, profile, monkeypatch):
        monkeypatch.setattr(SentenceTransformerEmbedder, "embed_many", _nothing_is_embedded)
        (row,) = told("whatif", "--json", "--policy", "skills", "--set", profile, "--config", traffic)["rows"]
        kept = len(QUESTIONS) + 1
        because = row["unevaluable_because"]
        assert row["unevaluable"] == pytest.approx(sum(because.values()) / kept)
        assert because["neither an embedding nor a text of the question is kept"] == 1
        assert because.keys() - {"neither an embedding nor a text of the question is kept"} <= {
            f"simulated/{tier} was never asked" for tier in ("small", "medium", "large")
        }
        assert row["unevaluable"] < 1, "some went where skills would have sent them"

    def test_questions_without_a_stored_vector_are_embedded_from_their_text(self, told, traffic, profile, copied):
        with sqlite3.connect(copied.parent / "gearbox.db") as connection:
            connection.execute("UPDATE inference SET embedding_model = 'another', embedding = NULL")
        connection.close()
        wish = ("whatif", "--json", "--policy", "skills", "--set", profile, "--config")
        assert told(*wish, copied)["rows"] == told(*wish, traffic)["rows"]

    def test_it_can_be_tuned_where_there_are_grades(self, told, profile, copied, monkeypatch):
        monkeypatch.setattr(tuning, "LEAST_GRADED", 10)  # half of the 28 are graded on either part
        with sqlite3.connect(copied.parent / "gearbox.db") as connection:
            connection.execute(
                "INSERT INTO label (inference_id, tier, model, correct, source, weight, given_by, note, created_at) "
                "SELECT inference_id, tier, model, 1, 'audit', 1, 'test', '', created_at FROM attempt JOIN inference "
                "ON inference.id = attempt.inference_id WHERE purpose = 'generate'"
            )
        connection.close()
        wish = ("tune", "store", "--policy", "skills", "--budget", "1000", "--tries", "4", "--json", "--set", profile)
        found = told(*wish, "--set", "skills.trade=1", "--config", copied)
        assert found["settings"]["profile"] in profile
        told_of = [found[part]["accuracy"] for part in ("fit", "report")]
        assert None not in told_of, "settings that send requests where nobody was asked are not preferred"


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
