"""What a report is made of: a stream and the rows that policies made of it.

The law of this file: frozen records and what can be read off them at once; pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.lab import oracle
from cascade.lab.ladder import POOL
from cascade.policies.always import ALWAYS
from cascade.policies.baselines import RANDOM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.lab.curves import Curve
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream


@dataclass(frozen=True, slots=True)
class Result:
    """One recording over one ladder.

    `left_out` says in words which policies were not run and why; `curve` is a policy over all budgets, if it has one.
    """

    stream: Stream
    rows: tuple[Row, ...]
    left_out: tuple[str, ...] = ()
    curve: Curve | None = None

    @property
    def title(self) -> str:
        """Recording, ladder and split."""
        ladder = "all models" if self.stream.ladder == POOL else f"ladder {self.stream.ladder}"
        split = f", split {self.stream.split}" if self.stream.split else ""
        return f"{self.stream.recording.name}, {ladder}{split}"

    def row(self, policy: str) -> Row | None:
        """The row of a policy; None = it was not run."""
        return next((row for row in self.rows if row.policy == policy), None)

    @property
    def always(self) -> tuple[Row, ...]:
        """One model alone, each that was run, in the ladder's order."""
        return tuple(row for row in self.rows if kind_of(row.policy) == "always")

    @property
    def routers(self) -> tuple[Row, ...]:
        """The policies that choose: neither one model alone, nor chance, nor the oracle."""
        return tuple(row for row in self.rows if kind_of(row.policy) == "router")


def kind_of(policy: str) -> str:
    """`always`, `random`, `oracle` or `router`."""
    if policy.startswith(ALWAYS):
        return "always"
    if policy.startswith(RANDOM):
        return "random"
    return "oracle" if policy == oracle.NAME else "router"


def shares(counts: Mapping[str, int]) -> str:
    """Counts in the ladder's order, as `5/240/132/23`."""
    return "/".join(str(count) for count in counts.values())
