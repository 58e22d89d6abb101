"""What watching a request costs: counting, a scrape, telling neighbouring settings. Run by scripts/bench metrics."""

from __future__ import annotations

import sys
import time
from pathlib import Path

for folder in ("storage", "cascade"):
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / folder))

from outcomes import build_outcome  # noqa: E402 - the paths come first
from runs import attempt, evidence, near, run  # noqa: E402 - the paths come first

from app.observe.metrics import Metrics  # noqa: E402 - the paths come first
from cascade.nearby import nearby  # noqa: E402 - the paths come first
from cascade.policies import registry  # noqa: E402 - the paths come first
from router.domain import Verdict  # noqa: E402 - the paths come first

ROUNDS = 20_000
EXPLAINED = 2_000


def main() -> None:
    """Print the two numbers."""
    metrics, outcome = Metrics(), build_outcome()
    metrics.observe(outcome)
    started = time.process_time()
    for _ in range(ROUNDS):
        metrics.observe(outcome)
    each = (time.process_time() - started) / ROUNDS
    started = time.process_time()
    for _ in range(100):
        metrics.exposition()
    scrape = (time.process_time() - started) / 100
    print(f"observe (2 rungs, 4 calls): {each * 1e6:.1f} us; scrape: {scrape * 1e3:.2f} ms")
    for name in ("llm-at", "two-tier", "skills"):
        print(f"neighbouring settings of {name}: {_explained_s(name) * 1e6:.0f} us")


def _explained_s(name: str) -> float:
    """Seconds of telling what neighbouring settings would have made of one request."""
    policy, first = registry.build(name), run(evidence=evidence(*[near(0.9, small=1.0, medium=1.0)] * 5))
    finished = first.with_attempt(attempt("small", Verdict.VALID))
    started = time.process_time()
    for _ in range(EXPLAINED):
        nearby(policy, first, finished)
    return (time.process_time() - started) / EXPLAINED


if __name__ == "__main__":
    main()
