"""What counting one request costs: microseconds per `observe`, and per scrape. Run by scripts/bench metrics."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "storage"))

from outcomes import build_outcome

from app.observe.metrics import Metrics

ROUNDS = 20_000


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


if __name__ == "__main__":
    main()
