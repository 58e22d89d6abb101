"""What `scripts/audit` runs."""

from __future__ import annotations

import argparse
import contextlib
import re
import subprocess
import sys
import tempfile
from importlib.metadata import distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from detect_secrets import SecretsCollection
from detect_secrets.core import baseline
from detect_secrets.settings import default_settings
from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import Distribution

ROOT = Path(__file__).parents[1]
BASELINE = ".secrets.baseline"
PROCESSORS = 2
#: Ours, and what every environment has.
UNPINNED = {"gearbox-router", "pip", "setuptools", "wheel"}
#: A licence is fine when every word of it is; copyleft beyond the file (GPL, AGPL, LGPL) is not among them.
PERMISSIVE = re.compile(
    r"mit(-0| license.*)?|(apache|apache[ -]2\.0|apache software license|apache 2\.0 license)( with llvm-exception)?"
    r"|(new |modified |3-clause )?bsd( license|-[23]-clause)?|0bsd|isc( license iscl)?|mpl-2\.0|bsl-1\.0|zlib"
    r"|cc0-1\.0|mozilla public license 2\.0 mpl 2\.0|python software foundation license|psf-2\.0|cnri-python"
    r"|(the )?unlicense|dfsg approved",
    re.IGNORECASE,
)
#: Where the metadata says it in words of its own. Each was looked at.
READ = {"httpx-aiohttp": "BSD-3-Clause", "tiktoken": "MIT"}
#: Files that are no text of ours: pictures, packed recordings, hashes of pins, and the baseline itself.
PASSED_OVER = re.compile(r"\.(png|gz)$|^constraints\.txt$|^\.secrets\.baseline$")


def pins() -> dict[str, str]:
    """Name -> version, as constraints.txt has it."""
    lines = [line.split(";")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    found = [line.split("==") for line in lines if "==" in line and not line.startswith("#")]
    return {canonical(name): version.strip() for name, version in found}


def canonical(name: str) -> str:
    """A package's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).strip().lower()


def needed() -> set[str]:
    """All that Gearbox and its development need, directly or not; what else lies in the environment is nobody's."""
    found: set[str] = set()
    asked = [Requirement("gearbox-router[dev]")]
    while asked:
        each = asked.pop()
        key = f"{canonical(each.name)}[{','.join(sorted(each.extras))}]"
        if key in found or not is_installed(each.name):
            continue
        found.add(key)
        for line in distribution(each.name).requires or ():
            more = Requirement(line)
            if more.marker is None or any(more.marker.evaluate({"extra": extra}) for extra in (*each.extras, "")):
                asked.append(more)
    return {key.partition("[")[0] for key in found}


def is_installed(name: str) -> bool:
    """Whether it is; a marker may have kept it out."""
    return any(canonical(each.name) == canonical(name) for each in distributions(name=name))


def unpinned() -> Iterator[str]:
    """What is needed and installed in another version than the pinned one, or with none pinned."""
    pinned = pins()
    for name in sorted(needed() - UNPINNED):
        version = distribution(name).version.partition("+")[0]
        if pinned.get(name) != version:
            yield f"{name} {version} is installed, {pinned.get(name, 'no version')} is pinned in constraints.txt"


def licence_of(each: Distribution) -> str:
    """What a package says of its licence, the most exact way first."""
    told = each.metadata
    named = [line.rpartition("::")[2].strip() for line in told.get_all("Classifier", []) if line.startswith("License")]
    return READ.get(canonical(each.name)) or told.get("License-Expression") or " AND ".join(named) or told["License"]


def unfree() -> Iterator[str]:
    """Packages whose licence is none that we know to be permissive."""
    for each in map(distribution, sorted(needed() - UNPINNED)):
        licence = re.sub(r"[()]", "", " ".join((licence_of(each) or "").split()))
        words = re.split(r" AND | OR |; ", licence)
        if not all(PERMISSIVE.fullmatch(word) for word in words):
            yield f"{each.name} {each.version}: {licence[:80] or 'no licence told'}"


def written() -> list[str]:
    """The files that git knows or would take."""
    told = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607 - the developer's own git
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in told.stdout.splitlines() if not PASSED_OVER.search(name) and (ROOT / name).is_file()]


def secrets(*, accept: bool) -> Iterator[str]:
    """What looks like a secret and is not in the baseline; both name files as they stand below this folder."""
    found = SecretsCollection()
    if accept:
        with default_settings(), contextlib.chdir(ROOT):
            found.scan_files(*written(), num_processors=PROCESSORS)
            baseline.save_to_file(found, str(ROOT / BASELINE))
        return
    known = baseline.load(baseline.load_from_file(str(ROOT / BASELINE)), BASELINE)
    with contextlib.chdir(ROOT):
        found.scan_files(*written(), num_processors=PROCESSORS)
    for name, secret in found - known:
        yield f"{name}:{secret.line_number}: {secret.type}. Take it out, or say scripts/audit --accept"


def vulnerable() -> Iterator[str]:
    """What pip-audit, in an environment of its own, knows of the pins."""
    with tempfile.TemporaryDirectory() as folder:
        python = f"{folder}/bin/python"
        asked = [python, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
        steps = [sys.executable, "-m", "venv", folder], [python, "-m", "pip", "install", "-q", "pip-audit"], asked
        failed = [step for step in steps if subprocess.run(step, cwd=ROOT, check=False).returncode]  # noqa: S603 - ours
    if failed:
        yield f"pip-audit found something, or could not ask: {' '.join(failed[0][1:4])}"


def main() -> None:
    """Read the options and go."""
    parser = argparse.ArgumentParser(prog="audit", description="What is installed and what is written.")
    parser.add_argument("--online", action="store_true", help="ask for known vulnerabilities, too")
    parser.add_argument("--accept", action="store_true", help="write .secrets.baseline anew")
    options = parser.parse_args()
    checks = {"pins": unpinned(), "licences": unfree(), "secrets": secrets(accept=options.accept)}
    if options.online:
        checks["vulnerabilities"] = vulnerable()
    failed = False
    for name, faults in checks.items():
        told = list(faults)
        failed |= bool(told)
        print(f"{name}: {'ok' if not told else f'{len(told)} faults'}")
        print("".join(f"  {fault}\n" for fault in told), end="")
    if not options.online:
        print("vulnerabilities: not asked for, that needs the net: scripts/audit --online")
    sys.exit(failed)


if __name__ == "__main__":
    main()
