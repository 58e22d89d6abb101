"""The judge of a recording, against the formula in the recordings' README."""

import hashlib

import pytest
from recording_builder import SIMULATED, Draft

from cascade.recordings import load, verdict
from cascade.recordings.verdicts import draw
from router.pricing import Usage


def test_a_recorded_verdict_is_given_as_recorded(tmp_path):
    recording = load(Draft().write(tmp_path / "r"))
    given = verdict(recording, "q1", "small")
    assert (given.valid, given.model, given.usage, given.latency_s) == (False, "vendor/medium", Usage(100, 3), 0.25)


@pytest.mark.parametrize("judge", ["recorded", "simulated"])
def test_an_abstention_has_no_verdict(tmp_path, judge):
    assert verdict(load(Draft(judge).write(tmp_path / "r")), "q3", "small") is None


def test_an_answer_without_a_verdict_has_none(tmp_path):
    recording = load(Draft().write(tmp_path / "r"))
    assert verdict(recording, "q0", "large") is None
    assert verdict(recording, "q0", "unknown") is None
    assert verdict(recording, "unknown", "small") is None


def test_the_simulated_judge_follows_the_formula_to_the_bit(tmp_path):
    recording = load(Draft("simulated").write(tmp_path / "r"))
    seen = set()
    for model, answers in recording.answers.items():
        for answer in answers.values():
            if answer.abstained:
                continue
            digest = hashlib.sha256((answer.id + "\n" + model).encode()).digest()
            dice = int.from_bytes(digest[:8], "big") / 2**64
            expected = dice < (SIMULATED["accept_right"] if answer.correct else SIMULATED["accept_wrong"])
            given = verdict(recording, answer.id, model)
            assert (given.valid, given.model) == (expected, model)
            assert given.usage == Usage(800 + answer.usage.prompt_tokens + answer.usage.completion_tokens, 5)
            seen.add(given.valid)
    assert seen == {True, False}


def test_the_dice_never_change():
    assert draw("MATH:496", "gpt-4o") == pytest.approx(EXPECTED, abs=1e-15)


EXPECTED = int(hashlib.sha256(b"MATH:496\ngpt-4o").hexdigest()[:16], 16) / 2**64


def test_an_ungraded_answer_cannot_be_judged_by_simulation(tmp_path):
    draft = Draft("simulated")
    draft.header["partial"] = True
    draft.answers["small"][0]["correct"] = None
    assert verdict(load(draft.write(tmp_path / "r")), "q0", "small") is None
