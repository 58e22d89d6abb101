"""The published numbers of replay, measured anew over the recordings in the folder that GEARBOX_RECORDINGS names.

Prints Markdown tables for BENCHMARKS.md, the failures included: what was expected, what came out, whether it is within
the tolerance. Run by `scripts/bench replay`; exit code 1 where a number was missed.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench_papers import areas, isotonic, skills, two_tier

from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.lockin import lock_in
from cascade.policies import registry
from cascade.recordings import load
from cascade.replay import Oracle, replay, stream
from router.embedding import SentenceTransformerEmbedder

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.lab.score import Row
    from cascade.lab.stream import Stream
    from cascade.recordings import Recording

#: Points of accuracy and share of cost within which a number counts as reached.
POINTS, COST = 0.7, 0.04
#: recording, ladder, policy, accuracy in percent, USD: an independent evaluator's numbers.
REACH = (
    ("llm-at-math", "default", "llm-at", 79.5, 15.87),
    ("zeroeval", "default", "llm-at", 81.6, 9.21),
    ("zeroeval", "openai", "llm-at", 86.2, 10.03),
    ("zeroeval", "llama", "llm-at", 78.0, 5.28),
    ("zeroeval", "wide", "llm-at", 81.0, 4.60),
    ("mmlu-pro", "default", "llm-at", 69.9, 1.945),
    ("llm-at-math", "default", "bottom-up", 75.5, 9.07),
    ("zeroeval", "default", "bottom-up", 73.5, 5.07),
    ("llm-at-math", "default", "agreement", 79.75, 20.34),
    ("zeroeval", "openai", "agreement", 93.4, 25.19),
    ("zeroeval", "default", "agreement", 82.6, 9.95),
)
SPEED_QUERIES = 10_000


def main() -> int:
    """Measure and print."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    if "GEARBOX_RECORDINGS" not in os.environ:
        print("bench replay: set GEARBOX_RECORDINGS to the folder that holds the recordings", file=sys.stderr)
        return 2
    missed = reached() + two_tier(recording("confidence"))
    isotonic(recording("confidence"))
    areas(recording("confidence"))
    missed += skills(recording("mmlu-pro"), embedder())
    singles()
    locked()
    speed()
    return 1 if missed else 0


def reached() -> int:
    """The policies against an independent evaluator; how many numbers were missed."""
    print("| recording | ladder | policy | right % | expected | USD | expected | starts | reached |")
    print("|---|---|---|---|---|---|---|---|---|")
    missed = 0
    for name, ladder, policy, accuracy, usd in REACH:
        row = one(stream(recording(name), ladder), policy)
        found, cost = 100 * (row.accuracy or 0.0), row.cost_nanousd / 1e9
        good = abs(found - accuracy) <= POINTS and abs(cost - usd) <= COST * usd
        missed += not good
        starts = "/".join(map(str, row.starts.values()))
        told = "yes" if good else "**no**"
        print(f"| {name} | {ladder} | {policy} | {found:.2f} | {accuracy} | {cost:.3f} | {usd} | {starts} | {told} |")
    print()
    return missed


def singles() -> None:
    """One model alone, and the oracle, on every ladder there is."""
    print("| recording | ladder | policy | right % | USD per 1,000 |")
    print("|---|---|---|---|---|")
    for folder in sorted(path.parent for path in root().glob("*/recording.yaml")):
        for ladder in recording(folder.name).ladders:
            chosen = stream(recording(folder.name), ladder)
            for row in replay(chosen, [*(registry.build(f"always:{tier.name}") for tier in chosen.tiers), Oracle()]):
                cost = row.cost_nanousd / 1e6 / row.queries
                name = row.policy.removeprefix("always:")
                print(f"| {folder.name} | {ladder} | {name} | {100 * (row.accuracy or 0):.2f} | {cost:.4f} |")
    print()


def locked() -> None:
    """Where llm-at stops choosing, and what it saw then."""
    print(
        "| recording | ladder | share that starts at the top, later half | tier | prior | labels of k | mean estimate |"
    )
    print("|---|---|---|---|---|---|---|")
    for name, ladder in dict.fromkeys((name, ladder) for name, ladder, policy, *_ in REACH if policy == "llm-at"):
        chosen = stream(recording(name), ladder)
        found = lock_in(one(chosen, "llm-at"), chosen.tiers)
        for view in found.views if found else ():
            share = f"{found.share:.1%}" if found else ""
            seen = f"{view.labels:.1f} of {found.k if found else 0}"
            print(f"| {name} | {ladder} | {share} | {view.tier} | {view.prior} | {seen} | {view.estimate:.2f} |")
    print()


def speed() -> None:
    """Seconds for 10,000 queries, embedded already: a recording's queries several times over, under other ids."""
    base = stream(recording("zeroeval"), "default")
    copies = -(-SPEED_QUERIES // len(base.queries))
    chosen = repeated(base, copies)
    embedder().vectors([query.messages[-1]["content"] for query in base.queries])
    print(f"| policy | seconds for {SPEED_QUERIES:,} queries |")
    print("|---|---|")
    for policy in ("always:claude-3-haiku-20240307", "bottom-up", "agreement", "llm-at", "auto"):
        started = time.perf_counter()
        one(chosen, policy)
        print(f"| {policy} | {time.perf_counter() - started:.1f} |")


def repeated(base: Stream, copies: int) -> Stream:
    """The stream several times over, each copy's queries with ids of their own."""
    named = [(copy, query) for copy in range(copies) for query in base.queries][:SPEED_QUERIES]
    queries = tuple(replace(query, id=f"{copy}/{query.id}") for copy, query in named)
    answers = {
        model: {f"{copy}/{query.id}": replace(told[query.id], id=f"{copy}/{query.id}") for copy, query in named}
        for model, told in base.recording.answers.items()
    }
    return replace(base, queries=queries, recording=replace(base.recording, answers=answers))


def one(chosen: Stream, policy: str, settings: Mapping[str, Any] | None = None) -> Row:
    """One policy; without settings with its defaults."""
    (row,) = replay(chosen, [registry.build(policy, settings)], embedder())
    return row


def root() -> Path:
    """The folder of the recordings."""
    return Path(os.environ["GEARBOX_RECORDINGS"])


@cache
def recording(name: str) -> Recording:
    """A recording, read once."""
    return load(root() / name)


@cache
def embedder() -> CachedEmbedder:
    """The embedding model, loaded once."""
    return CachedEmbedder(SentenceTransformerEmbedder())


if __name__ == "__main__":
    sys.exit(main())
