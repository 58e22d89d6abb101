"""The ranges in which `tune` looks for each policy's settings, and the candidates it tries.

The law of this file: pure and seeded; a policy that is not here has nothing to tune.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from cascade.simulated.chance import fraction
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Scale(Protocol):
    """Places from 0 to 1 <-> the values of one setting."""

    def at(self, share: float) -> float:
        """The value at a place; places beyond lie on the end."""

    def share(self, value: float) -> float:
        """Where a value lies."""


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`; `whole` numbers only, or rounded to three decimals."""

    low: float
    high: float
    whole: bool = False

    def at(self, share: float) -> float:
        """The value at a place."""
        value = self.low + min(max(share, 0.0), 1.0) * (self.high - self.low)
        return round(value) if self.whole else round(value, 3)

    def share(self, value: float) -> float:
        """Where a value lies."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Quantiles:
    """The values that were seen, sorted: as many steps between any two places as answers lie there."""

    values: tuple[float, ...]

    def at(self, share: float) -> float:
        """The value at a place."""
        return self.values[round(min(max(share, 0.0), 1.0) * (len(self.values) - 1))]

    def share(self, value: float) -> float:
        """Where a value lies."""
        return bisect_left(self.values, value) / max(len(self.values) - 1, 1)


#: policy -> setting -> range; the first one decides most, and is searched first.
SPACES: Mapping[str, Mapping[str, Range]] = {
    "auto": {"worth": Range(0.5, 30), "waiting": Range(0.0, 0.05), "neighbour_weight": Range(0.0, 1.0)},
    "llm-at": {"threshold": Range(0.3, 0.98), "k": Range(3, 25, whole=True), "smoothing": Range(0.5, 12)},
    "two-tier": {"threshold": Range(0.0, 1.0)},
    "skills": {"trade": Range(0.0, 0.15), "capable": Range(0.0, 0.8), "required": Range(0.05, 0.6)},
}
#: (policy, setting) whose values are better drawn from the confidences that the fitting part holds.
_CONFIDENCES = frozenset({("two-tier", "threshold")})
#: How far a candidate of the last round lies from the best one at most, as a share of the range.
_NEAR = 0.12
#: A single setting was searched in finer steps already, so this much of it is left.
_FINER = 0.3


def space_of(policy: str, confidences: Sequence[float] = ()) -> Mapping[str, Scale]:
    """A policy's ranges.

    Args:
        policy: its name.
        confidences: those of the lowest tier's answers on the fitting part.

    Raises:
        ConfigError: it has none.
    """
    if policy not in SPACES:
        raise ConfigError(f"{policy} has no numbers to tune; these have: {', '.join(SPACES)}")
    seen = Quantiles(tuple(sorted(confidences)))
    drawn = {name: seen for name in SPACES[policy] if (policy, name) in _CONFIDENCES and confidences}
    return {**SPACES[policy], **drawn}


def wide(space: Mapping[str, Scale], tries: int, seed: int) -> Iterator[dict[str, Any]]:
    """Half of the tries along the first setting alone, in even steps; half over all settings, by lot."""
    first = next(iter(space))
    steps = max(2, (tries + 1) // 2 if len(space) > 1 else tries)
    for step in range(steps):
        yield {first: space[first].at(step / (steps - 1))}
    for number in range(max(0, tries - steps)):
        yield {name: limits.at(fraction("tune", seed, number, name)) for name, limits in space.items()}


def near(space: Mapping[str, Scale], best: Mapping[str, Any], tries: int, seed: int) -> Iterator[dict[str, Any]]:
    """Candidates around the best one; none around the default. A single setting is searched in even steps."""
    for number in range(tries if best else 0):
        even = (2 * number + 1) / tries - 1
        yield {
            name: space[name].at(
                space[name].share(float(value))
                + _NEAR * (even * _FINER if len(space) == 1 else 2 * _dice(seed, number, name) - 1)
            )
            for name, value in best.items()
            if name in space
        }


def _dice(seed: int, number: int, name: str) -> float:
    return fraction("tune near", seed, number, name)
