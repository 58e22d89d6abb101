"""`auto` against every other policy, on the parts of the recordings that none of its numbers were chosen on.

Prints Markdown tables for BENCHMARKS.md. Run by `scripts/bench auto` with GEARBOX_RECORDINGS naming the folder that
holds the recordings. `llm-at-math` has no split: its numbers were seen while `worth` was chosen.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bench_replay import embedder, recording

from cascade.policies import registry
from cascade.policies.always import ALWAYS
from cascade.replay import replay, stream

if TYPE_CHECKING:
    from cascade.lab.score import Row
    from cascade.lab.stream import Stream

#: recording, ladder, the part that is reported on (None = all of it).
PARTS = (
    ("llm-at-math", "default", None),
    ("zeroeval", "default", "test"),
    ("zeroeval", "openai", "test"),
    ("zeroeval", "llama", "test"),
    ("zeroeval", "wide", "test"),
    ("mmlu-pro", "default", "test"),
    ("mmlu-pro", "long", "test"),
)
WORTHS = (3, 5, 8, 16)
OTHERS = ("llm-at", "bottom-up", "agreement")


def main() -> int:
    """Measure and print."""
    if "GEARBOX_RECORDINGS" not in os.environ:
        print("bench auto: set GEARBOX_RECORDINGS to the folder that holds the recordings", file=sys.stderr)
        return 2
    print("| recording | ladder | policy | right % | USD | judges, USD | of the top's cost | above mixing |")
    print("|---|---|---|---|---|---|---|---|")
    for name, ladder, split in PARTS:
        table(stream(recording(name), ladder, split=split), name, ladder)
    return 0


def table(chosen: Stream, name: str, ladder: str) -> None:
    """Every policy over one stream."""
    singles = [measured(chosen, f"{ALWAYS}{tier.name}") for tier in chosen.tiers]
    top = singles[-1].cost_nanousd
    named = [(f"auto, worth {worth}", ("auto", {"worth": worth})) for worth in WORTHS]
    for told, (policy, settings) in (*((row.policy, (row.policy, {})) for row in singles), *named, *plain()):
        row = measured(chosen, policy, settings)
        right, cost = 100 * (row.accuracy or 0.0), row.cost_nanousd
        above = right - mixed(singles, cost)
        judges = f"{row.judge_nanousd / 1e9:.3f}"
        print(
            f"| {name} | {ladder} | {told} | {right:.2f} | {cost / 1e9:.3f} | {judges} | {cost / top:.0%} "
            f"| {above:+.1f} |",
            flush=True,
        )


def plain() -> list[tuple[str, tuple[str, dict[str, float]]]]:
    """The other policies with their defaults."""
    return [(name, (name, {})) for name in OTHERS]


def measured(chosen: Stream, policy: str, settings: dict[str, float] | None = None) -> Row:
    """A policy's row."""
    (row,) = replay(chosen, [registry.build(policy, settings)], embedder())
    return row


def mixed(singles: list[Row], cost: float) -> float:
    """The accuracy in percent that the best mixture of two single models, chosen by coins, buys for this cost."""
    points = [(row.cost_nanousd, 100 * (row.accuracy or 0.0)) for row in singles]
    alone = max((right for price, right in points if price <= cost), default=min(points)[1])
    pairs = [(left, right) for left in points for right in points if left[0] <= cost < right[0]]
    shares = [(left, right, (cost - left[0]) / (right[0] - left[0])) for left, right in pairs]
    return max([alone, *(left[1] + share * (right[1] - left[1]) for left, right, share in shares)])


if __name__ == "__main__":
    sys.exit(main())
