"""The campaign's short form, gently: in a process of its own that leaves the processor to whoever wants it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.timeout(1200)
def test_a_minute_of_kills_and_outages_breaks_no_promise():
    command = [sys.executable, Path(__file__).with_name("campaign.py"), "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.nice(10))
    assert done.returncode == 0, done.stdout + done.stderr
