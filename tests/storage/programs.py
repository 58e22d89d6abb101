"""Starts the little programs beside the tests in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def start(program, *arguments):
    """A running program, its standard input and output piped as text."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", HERE / program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
    )
