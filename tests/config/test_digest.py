"""Equal values have one digest, whatever process asks for it."""

import os
import subprocess
import sys

import pytest

from app.config.digest import digest
from router.domain import ModelFacts

PROGRAM = """
from app.config.digest import digest
from router.domain import ModelFacts
print(digest(ModelFacts(capabilities=frozenset({"tools", "n", "vision", "audio", "logprobs"}))))
"""


def test_another_process_with_other_hashes_says_the_same():
    said = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_what_differs_has_another_digest():
    assert digest(ModelFacts(context_tokens=1)) != digest(ModelFacts(context_tokens=2))


def test_what_has_no_canonical_form_is_refused():
    with pytest.raises(TypeError):
        digest(object())
