"""`auto` against every other policy, on the parts of the recordings that none of its numbers were chosen on.

Prints Markdown tables for BENCHMARKS.md. Run by `scripts/bench auto` with GEARBOX_RECORDINGS naming the folder that
holds the recordings. `llm-at-math` has no split: its numbers were seen while `worth` was chosen.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from bench_replay import one, recording

from cascade.policies.always import ALWAYS
from cascade.replay import stream

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
    singles = {tier.name: one(chosen, f"{ALWAYS}{tier.name}") for tier in chosen.tiers}
    top = singles[chosen.tiers[-1].name].cost_nanousd
    for told, row in {**{f"{ALWAYS}{tier}": row for tier, row in singles.items()}, **routed(chosen)}.items():
        right, cost = 100 * (row.accuracy or 0.0), row.cost_nanousd
        above = right - mixed(list(singles.values()), cost)
        judges = f"{row.judge_nanousd / 1e9:.3f}"
        print(
            f"| {name} | {ladder} | {told} | {right:.2f} | {cost / 1e9:.3f} | {judges} | {cost / top:.0%} "
            f"| {above:+.1f} |",
            flush=True,
        )


def routed(chosen: Stream) -> dict[str, Row]:
    """What each policy made of it, `auto` for several worths."""
    autos = {f"auto, worth {worth}": one(chosen, "auto", {"worth": worth}) for worth in WORTHS}
    return {**autos, **{policy: one(chosen, policy) for policy in OTHERS}}


def mixed(singles: list[Row], cost: float) -> float:
    """The accuracy in percent that the best mixture of two single models, chosen by coins, buys for this cost."""
    points = [(row.cost_nanousd, 100 * (row.accuracy or 0.0)) for row in singles]
    alone = max((right for price, right in points if price <= cost), default=min(points)[1])
    pairs = [(left, right) for left in points for right in points if left[0] <= cost < right[0]]
    shares = [(left, right, (cost - left[0]) / (right[0] - left[0])) for left, right in pairs]
    return max([alone, *(left[1] + share * (right[1] - left[1]) for left, right, share in shares)])


if __name__ == "__main__":
    sys.exit(main())
