"""What a critic has found and cost so far, line by line on disk: an interrupted profiling goes on where it stopped.

The law of this file: money first. A call's worst case is written before it is sent and its real price after it, so
that whatever dies in between is counted as spent in full, and the budget holds over all starts together. A line that
was cut is passed over; a finding that was lost with it is asked for again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import SEEK_END
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import orjson

from cascade.profiling.findings import Finding
from cascade.purse import Purse
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from cascade.profiling.findings import Sample
    from router.ports import Hold

_FINDING = frozenset({"key", "error", "demonstrated", "missing"})
_PAYMENT = frozenset({"call", "nanousd"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A call that was written down before it was sent (`router.ports.Hold`)."""

    call: str
    nanousd: int


class Journal:
    """One profiling's findings, by sample and critic, and the ledger of its budget (`router.ports.Ledger`).

    Args:
        path: the file; it need not exist.
        critic: the critic's model: another critic's findings are not taken over.

    Raises:
        ConfigError: the file cannot be read.
    """

    def __init__(self, path: Path, critic: str) -> None:
        self._path = path
        self._critic = critic
        lines = _read(path)
        self._found = {line["key"]: line for line in lines if line.keys() >= _FINDING}
        # A call's later line wins: its worst case, then its price.
        self._paid = {line["call"]: int(line["nanousd"]) for line in lines if line.keys() >= _PAYMENT}

    @property
    def spent_nanousd(self) -> int:
        """What all calls cost, other critics' too; one that never ended costs its worst case."""
        return sum(self._paid.values())

    def purse(self, budget_nanousd: int) -> Purse:
        """What is left of a budget; whatever it pays for is written down here first."""
        return Purse(budget_nanousd, ledger=self, budgets=(self._path.name,), spent_nanousd=self.spent_nanousd)

    def knows(self, sample: Sample) -> bool:
        """Whether the critic has seen this answer, usable finding or not."""
        return self._key(sample) in self._found

    def finding(self, sample: Sample) -> Finding | None:
        """What it found; None = it was not asked, or its reply was unusable."""
        line = self._found.get(self._key(sample))
        if line is None or line["error"]:
            return None
        return Finding(sample.question_id, sample.model, line["demonstrated"], line["missing"], sample.usage)

    def add(self, sample: Sample, finding: Finding | None, error: str = "") -> None:
        """Write what was found; `finding` None and an error where the reply was unusable.

        Raises:
            ConfigError: the file cannot be written.
        """
        key = self._key(sample)
        self._found[key] = {
            "key": key,
            "error": error,
            "demonstrated": dict(finding.demonstrated) if finding else {},
            "missing": dict(finding.missing) if finding else {},
        }
        self._write(self._found[key])

    async def reserve(self, budgets: Sequence[str], nanousd: int, wait_s: float) -> Entry:  # noqa: ARG002 - one budget, nobody to wait for
        """Write a call's worst case down."""
        entry = Entry(uuid4().hex, nanousd)
        self._pay(entry, nanousd)
        return entry

    def settle(self, hold: Hold, cost_nanousd: int) -> None:
        """Write down what it really cost."""
        if isinstance(hold, Entry):
            self._pay(hold, cost_nanousd)

    def soft_reached(self, budgets: Sequence[str]) -> tuple[str, ...]:  # noqa: ARG002 - it has no soft limit
        """None has one."""
        return ()

    async def aclose(self) -> None:
        """Nothing is open between two lines."""

    def remove(self) -> None:
        """The profile is written: the journal has done its work."""
        self._path.unlink(missing_ok=True)

    def _pay(self, entry: Entry, nanousd: int) -> None:
        self._paid[entry.call] = nanousd
        self._write({"call": entry.call, "nanousd": nanousd})

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            with self._path.open("ab") as file:
                # A line that was cut by a crash must not swallow this one.
                file.write((b"\n" if self._cut() else b"") + orjson.dumps(line) + b"\n")
        except OSError as failed:
            raise ConfigError(f"{self._path}: cannot be written: {failed.strerror}") from failed

    def _cut(self) -> bool:
        if not self._path.stat().st_size:
            return False
        with self._path.open("rb") as file:
            file.seek(-1, SEEK_END)
            return file.read() != b"\n"

    def _key(self, sample: Sample) -> str:
        parts = (self._critic, sample.question_id, sample.model, sample.answer)
        return hashlib.sha256("\x00".join(parts).encode("utf-8", "replace")).hexdigest()


def _read(path: Path) -> list[dict[str, Any]]:
    """Every whole line; none where there is no file."""
    try:
        data = path.read_bytes() if path.exists() else b""
    except OSError as failed:
        raise ConfigError(f"{path}: cannot be read: {failed.strerror}") from failed
    return [line for each in data.splitlines() if isinstance(line := _loaded(each), dict)]


def _loaded(line: bytes) -> Any:
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
