"""Where the clients live: a venv and a node_modules of their own, made once, outside the repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gearbox-tests"
NODE_PACKAGE = "openai@7.59.0"
INSTALL_S = 900


def python() -> Path:
    """The interpreter that has examples/requirements.txt."""
    requirements = EXAMPLES / "requirements.txt"
    folder = CACHE / f"python-{_digest(sys.version, requirements.read_text())}"

    def install() -> None:
        _do(sys.executable, "-m", "venv", folder)
        _do(folder / "bin" / "python", "-m", "pip", "install", "--quiet", "-r", requirements)

    _made_once(folder, install)
    return folder / "bin" / "python"


def node_modules() -> Path | None:
    """A folder whose node_modules holds openai-node; None where there is no node or no npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    folder = CACHE / f"node-{_digest(NODE_PACKAGE)}"

    def install() -> None:
        folder.mkdir(parents=True)
        _do(npm, "install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error", NODE_PACKAGE)

    _made_once(folder, install)
    return folder


def _made_once(folder: Path, install) -> None:
    """Install where no earlier run, and no other worker at this moment, has done so to the end."""
    CACHE.mkdir(parents=True, exist_ok=True)
    ready = folder / "ready"
    with _locked(CACHE / f"{folder.name}.lock"):
        if ready.exists():
            return
        shutil.rmtree(folder, ignore_errors=True)
        install()
        ready.touch()


@contextmanager
def _locked(path: Path):
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _do(*command) -> None:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, timeout=INSTALL_S, check=False
    )
    assert done.returncode == 0, f"{command[0]} failed:\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


def _digest(*words: str) -> str:
    return hashlib.sha256("\0".join(words).encode()).hexdigest()[:12]
