"""`gearbox serve --workers N`: one process that serves nothing holds the socket, and N that serve.

The law of this file: the parent opens no database, loads no model and answers nobody. The socket is its own and is
never closed while it lives, so that a worker may come and go without a connection being refused:

    a worker dies ........ another is started (after a pause that grows where they die young)
    SIGHUP ............... one after the other: start the new one, wait until it listens, send SIGTERM to the old one;
                           configuration and code are read anew, and nothing changes where the new ones cannot start
    SIGTERM, Ctrl-C ...... SIGTERM to all; whoever is not done in time is killed
    the parent dies ...... the workers end as after SIGTERM

Each worker has its own index, caches and connections. Numbers meet in /metrics (a shared folder), everything else in
the store.
"""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING

import structlog
from prometheus_client import multiprocess

from app.config.environment import share_metrics
from router.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess
    from types import FrameType

#: How long a new worker may take to listen; torch alone takes seconds, a large index a minute.
START_S = 300.0
#: On top of its own limits, before a worker that was told to end is killed.
KILL_AFTER_S = 30.0
#: A worker that dies younger than this is started again only after a pause.
YOUNG_S = 5.0
MAX_PAUSE_S = 10.0
BACKLOG = 2048
_LOOK_S = 0.2
_log = structlog.get_logger("gearbox.workers")
_spawn = multiprocessing.get_context("spawn")


@dataclass(slots=True, eq=False)
class _Worker:
    process: SpawnProcess
    listens: Connection
    born: float = field(default_factory=time.monotonic)
    ready: bool = False
    told_at: float | None = None

    def look(self) -> bool:
        """Whether it listens."""
        if not self.ready and self.listens.poll():
            try:
                self.ready = bool(self.listens.recv())
            except EOFError:
                self.ready = False
        return self.ready

    def end(self) -> None:
        """Tell it to end; once."""
        if self.told_at is None and self.process.is_alive():
            self.told_at = time.monotonic()
            self.process.terminate()


class Supervisor:
    """Keeps N workers alive.

    Args:
        serve: runs in each worker, with the socket and a function to call once it listens; must be importable.
        count: how many.
        listener: the socket, bound.
        stop_s: how long a worker may take to end.
    """

    def __init__(
        self,
        serve: Callable[[socket.socket, Callable[[], None]], None],
        count: int,
        listener: socket.socket,
        stop_s: float,
    ) -> None:
        self._serve = serve
        self._count = count
        self._listener = listener
        self._stop_s = stop_s + KILL_AFTER_S
        self._workers: list[_Worker] = []
        self._leaving: list[_Worker] = []
        self._stopping = False
        self._roll_wanted = False
        self._pause_s = 0.0

    def run(self) -> None:
        """Until SIGTERM or Ctrl-C.

        Raises:
            ConfigError: the first workers could not start; their own words are on standard error.
        """
        folder = Path(tempfile.mkdtemp(prefix="gearbox-metrics-"))
        share_metrics(folder)
        before = {each: signal.signal(each, self._signalled) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            self._workers = [self._start() for _ in range(self._count)]
            listening = [self._wait(worker) for worker in self._workers]
            if not all(listening) and not self._stopping:
                raise ConfigError("a worker could not start; what it said stands above")
            _log.info("workers listen", workers=self._count)
            while not self._stopping:
                self._look()
        finally:
            self._stop()
            for each, handler in before.items():
                signal.signal(each, handler)
            shutil.rmtree(folder, ignore_errors=True)

    def _signalled(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            self._roll_wanted = True
        else:
            self._stopping = True

    def _start(self) -> _Worker:
        receive, send = _spawn.Pipe(duplex=False)
        process = _spawn.Process(target=_work, args=(self._serve, self._listener, send), name="gearbox-worker")
        process.start()
        send.close()
        return _Worker(process, receive)

    def _wait(self, worker: _Worker) -> bool:
        """Whether it listens in time."""
        deadline = time.monotonic() + START_S
        while not worker.look() and worker.process.is_alive() and time.monotonic() < deadline and not self._stopping:
            connection.wait([worker.listens, worker.process.sentinel], _LOOK_S)
        return worker.look()

    def _look(self) -> None:
        connection.wait([worker.process.sentinel for worker in (*self._workers, *self._leaving)], _LOOK_S)
        self._bury(self._leaving)
        for worker in self._bury(self._workers):
            young = time.monotonic() - worker.born < YOUNG_S
            self._pause_s = min(2 * self._pause_s + 0.5, MAX_PAUSE_S) if young else 0.0
            _log.error("a worker died; starting another", exit_code=worker.process.exitcode, pause_s=self._pause_s)
            time.sleep(self._pause_s)
            self._workers.append(self._start())
        if self._roll_wanted:
            self._roll_wanted = False
            self._roll()

    def _roll(self) -> None:
        for old in tuple(self._workers):
            new = self._start()
            if not self._wait(new):
                new.process.kill()
                _log.error("a new worker could not start; the old ones go on")
                return
            self._workers[self._workers.index(old)] = new
            old.end()
            self._leaving.append(old)
        _log.info("all workers are new", workers=self._count)

    def _bury(self, workers: list[_Worker]) -> list[_Worker]:
        """Take those out that have ended, and kill those that take too long."""
        dead = [worker for worker in workers if not worker.process.is_alive()]
        for worker in dead:
            workers.remove(worker)
            worker.process.join()
            multiprocess.mark_process_dead(worker.process.pid)  # type: ignore[no-untyped-call]
        for worker in workers:
            if worker.told_at is not None and time.monotonic() - worker.told_at > self._stop_s:
                worker.process.kill()
        return dead

    def _stop(self) -> None:
        everyone = [*self._workers, *self._leaving]
        for worker in everyone:
            worker.end()
        while everyone:
            connection.wait([worker.process.sentinel for worker in everyone], _LOOK_S)
            self._bury(everyone)


def bind(host: str, port: int) -> socket.socket:
    """A listening address for all workers.

    Raises:
        ConfigError: it is taken, or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _work(
    serve: Callable[[socket.socket, Callable[[], None]], None], listener: socket.socket, listens: Connection
) -> None:
    """A worker's life.

    It ends by returning, never by the signal that told it to: uvicorn raises that once more when it is done, and a
    process that dies of it leaves behind what its libraries would have given back, such as semaphores.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: sys.exit())
    threading.Thread(target=_follow_parent, name="gearbox-parent", daemon=True).start()
    serve(listener, lambda: listens.send("listening"))


def _follow_parent() -> None:
    """End when the parent has ended, however it ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
