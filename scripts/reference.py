"""docs/reference/*.md out of the code: configuration, commands, metrics, alerts, errors. Run by scripts/reference.

Names, types, ranges, defaults, labels and help texts are the code's own; the prose beside them is
scripts/meanings.yaml, which has to name each of them and no other.
"""

from __future__ import annotations

import sys
from pathlib import Path

import reference_commands
import reference_configuration
import reference_errors
import reference_seen

ROOT = Path(__file__).parents[1]
PAGES = {
    "configuration": reference_configuration.page,
    "cli": reference_commands.page,
    "metrics": reference_seen.metrics_page,
    "alerts": reference_seen.alerts_page,
    "errors": reference_errors.page,
}


def files() -> dict[Path, str]:
    """Every page and what belongs in it."""
    return {ROOT / f"docs/reference/{name}.md": make() for name, make in PAGES.items()}


def main() -> int:
    """Write them; with --check, only say which differ."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is not what the code says: run scripts/reference")
        return 1 if stale else 0
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
