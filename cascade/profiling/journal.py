"""What a critic has found so far, line by line on disk: an interrupted profiling goes on where it stopped.

The law of this file: a line is written before the next call is paid for; a line that was cut is passed over, and its
call made again. What was spent before counts against the budget.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import orjson

from cascade.profiling.findings import Finding
from router.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from cascade.profiling.findings import Sample


class Journal:
    """One profiling's findings, by sample and critic.

    Args:
        path: the file; it need not exist.
        critic: the critic's model: another critic's findings are not taken over.
    """

    def __init__(self, path: Path, critic: str) -> None:
        self._path = path
        self._critic = critic
        self._lines = _read(path)

    @property
    def spent_nanousd(self) -> int:
        """What all lines cost, other critics' too: it was spent on this profile."""
        return sum(int(line["cost_nanousd"]) for line in self._lines.values())

    def knows(self, sample: Sample) -> bool:
        """Whether the critic has seen this answer, usable finding or not."""
        return self._key(sample) in self._lines

    def finding(self, sample: Sample) -> Finding | None:
        """What it found; None = it was not asked, or its reply was unusable."""
        line = self._lines.get(self._key(sample))
        if line is None or line["error"]:
            return None
        return Finding(sample.question_id, sample.model, line["demonstrated"], line["missing"], sample.usage)

    def add(self, sample: Sample, finding: Finding | None, cost_nanousd: int, error: str = "") -> None:
        """Write one more line; `finding` None and an error where the reply was unusable.

        Raises:
            ConfigError: the file cannot be written.
        """
        key = self._key(sample)
        line = {
            "key": key,
            "cost_nanousd": cost_nanousd,
            "error": error,
            "demonstrated": dict(finding.demonstrated) if finding else {},
            "missing": dict(finding.missing) if finding else {},
        }
        self._lines[key] = line
        try:
            with self._path.open("ab") as file:
                file.write(orjson.dumps(line) + b"\n")
        except OSError as failed:
            raise ConfigError(f"{self._path}: cannot be written: {failed.strerror}") from failed

    def remove(self) -> None:
        """The profile is written: the journal has done its work."""
        self._path.unlink(missing_ok=True)

    def _key(self, sample: Sample) -> str:
        parts = (self._critic, sample.question_id, sample.model, sample.answer)
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> dict[str, dict[str, Any]]:
    if not path.exists():
        return {}
    found: dict[str, dict[str, Any]] = {}
    for data in path.read_bytes().splitlines():
        try:
            line = orjson.loads(data)
        except orjson.JSONDecodeError:
            continue
        if isinstance(line, dict) and {"key", "cost_nanousd", "error", "demonstrated", "missing"} <= line.keys():
            found[line["key"]] = line
    return found
