import gzip

import pytest
from recording_builder import Draft, answers_file

from cascade.recordings import load
from router.errors import ConfigError
from router.pricing import Usage


def test_everything_that_was_written_is_read(tmp_path):
    recording = load(Draft().write(tmp_path / "r"))
    assert recording.name == "tiny"
    assert list(recording.models) == ["small", "vendor/medium", "large"]
    assert recording.models["large"].price.base.output == 40_000_000_000
    assert recording.models["small"].prior_accuracy == 0.5
    assert recording.ladder() == ("small", "vendor/medium", "large")
    assert recording.ladder("two") == ("small", "large")
    assert recording.splits == ("dev", "test")
    assert [query.id for query in recording.queries] == [f"q{place}" for place in range(6)]
    answer = recording.answers["small"]["q1"]
    assert (answer.final, answer.correct, answer.usage) == ("wrong", 0, Usage(20, 11))
    assert answer.verdict is not None
    assert (answer.verdict.valid, answer.verdict.model) == (False, "vendor/medium")
    assert recording.answers["small"]["q3"].abstained


def test_a_slash_in_a_models_name_is_two_dashes_in_its_files(tmp_path):
    folder = Draft().write(tmp_path / "r")
    assert (folder / "answers" / "vendor--medium.jsonl.gz").exists()
    assert load(folder).answers["vendor/medium"]["q0"].final == "2"


def test_only_the_wanted_models_are_read(tmp_path):
    folder = Draft().write(tmp_path / "r")
    answers_file(folder, "large").write_bytes(b"broken")
    assert list(load(folder, models=["small"]).answers) == ["small"]


def test_a_split_is_chosen_in_stream_order(tmp_path):
    recording = load(Draft().write(tmp_path / "r"))
    assert [query.id for query in recording.of_split("test")] == ["q1", "q3", "q5"]
    assert len(recording.of_split()) == 6


def test_a_recording_without_splits_has_those_that_occur(tmp_path):
    draft = Draft()
    del draft.header["splits"]
    for query in draft.queries:
        query["split"] = "all"
    assert load(draft.write(tmp_path / "r")).splits == ("all",)


def test_optional_fields_may_be_absent_or_null(tmp_path):
    draft = Draft()
    draft.answers["small"][0] |= {"latency_s": None, "confidence": None, "judge": None}
    for key in ("latency_s", "confidence", "abstained", "judge"):
        draft.answers["small"][1].pop(key)
    answers = load(draft.write(tmp_path / "r")).answers["small"]
    for answer in (answers["q0"], answers["q1"]):
        assert (answer.latency_s, answer.confidence, answer.abstained, answer.verdict) == (None, None, False, None)


def test_the_price_of_a_confidence_is_money(tmp_path):
    draft = Draft()
    draft.answers["small"][0]["confidence_usd"] = 0.000_001_5
    assert load(draft.write(tmp_path / "r")).answers["small"]["q0"].confidence_nanousd == 1500


def test_a_partial_recording_may_lack_answers_and_grades(tmp_path):
    draft = Draft()
    draft.header["partial"] = True
    draft.answers["small"] = draft.answers["small"][:2]
    draft.answers["small"][1]["correct"] = None
    recording = load(draft.write(tmp_path / "r"))
    assert list(recording.answers["small"]) == ["q0", "q1"]
    assert recording.answers["small"]["q1"].correct is None


def test_a_last_line_without_its_end_is_a_line(tmp_path):
    folder = Draft().write(tmp_path / "r")
    path = folder / "queries.jsonl.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()).rstrip(b"\n")))
    assert len(load(folder).queries) == 6


@pytest.mark.parametrize("ask", ["ladder", "of_split"])
def test_an_unknown_ladder_or_split_names_the_known_ones(tmp_path, ask):
    recording = load(Draft().write(tmp_path / "r"))
    with pytest.raises(ConfigError, match=r"'nope'.*(two|test)"):
        getattr(recording, ask)("nope")


def test_a_missing_folder_is_said(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_an_unknown_wanted_model_names_the_known_ones(tmp_path):
    with pytest.raises(ConfigError, match=r"no model 'huge'; it has: small, vendor/medium, large"):
        load(Draft().write(tmp_path / "r"), models=["huge"])
