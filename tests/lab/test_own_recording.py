"""The repository's own recording is what its script makes, and small."""

import gzip
import importlib.util
import sys

import pytest
from lab_support import ROOT, SIMULATED

from cascade.recordings import load


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("make_recording", ROOT / "scripts" / "make_recording.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_recording"] = module
    spec.loader.exec_module(module)
    return module


def test_the_script_makes_it_byte_for_byte(script):
    made = script.files()
    there = {str(path.relative_to(SIMULATED)): path.read_bytes() for path in SIMULATED.rglob("*") if path.is_file()}
    assert set(made) == set(there)
    for name, data in made.items():
        # What is compressed is the same everywhere; the compressed bytes are, where zlib is.
        assert _plain(name, data) == _plain(name, there[name]), name


def _plain(name, data):
    return gzip.decompress(data) if name.endswith(".gz") else data


def test_it_is_under_a_megabyte():
    assert sum(path.stat().st_size for path in SIMULATED.rglob("*") if path.is_file()) < 1_000_000


def test_it_has_what_policies_look_at():
    recording = load(SIMULATED)
    assert len(recording.queries) == 600
    assert set(recording.splits) == {"train", "test"}
    assert all(answer.confidence is not None for answer in recording.answers["small"].values())
    assert all(answer.verdict for model in ("small", "medium") for answer in recording.answers[model].values())
    right = [sum(answer.correct for answer in recording.answers[model].values()) for model in recording.ladder()]
    assert right == sorted(right)
