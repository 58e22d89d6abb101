"""The PostgreSQL of tests/storage, for the one index that lives in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "storage"))


@pytest.fixture(scope="session")
def postgres():
    from postgres_server import running_postgres  # noqa: PLC0415 - found by the line above

    with running_postgres() as server:
        yield server
