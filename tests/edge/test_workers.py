"""Several workers on one socket: none of them is missed when it comes, goes or dies."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import httpx
import pytest
from edge_server import EASY

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ASK = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}


class Workers:
    """A supervisor in a process of its own."""

    def __init__(self, database, count, drain_s):
        self.database = database
        program = [sys.executable, HERE / "serve_workers.py", str(database), str(count), str(drain_s)]
        paths = os.pathsep.join(map(str, (ROOT, HERE)))
        self.errors = Path(f"{database}.errors")
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                program,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "PYTHONPATH": paths},
                start_new_session=True,
            )
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"
        self.wait(lambda: self.get("/health/ready") == 200)
        self.wait(lambda: self.sql("SELECT count(*) FROM worker") >= count)  # each signs in as it starts

    def get(self, path):
        try:
            return httpx.get(f"{self.url}{path}", timeout=2).status_code
        except httpx.TransportError:
            return None

    def ask(self, idempotency_key=None, **more):
        headers = {} if idempotency_key is None else {"idempotency-key": idempotency_key}
        return httpx.post(f"{self.url}/v1/chat/completions", json=ASK | more, headers=headers, timeout=30)

    @property
    def pids(self):
        """The workers'; the supervisor's other child is multiprocessing's resource tracker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()}

    def wait(self, true, seconds=40):
        end = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end, "it took too long"
            assert self.process.poll() is None, "the supervisor ended"
            time.sleep(0.05)

    def sql(self, query):
        with closing(sqlite3.connect(self.database)) as connection:
            return connection.execute(query).fetchone()[0]

    def counted(self, name):
        """The sum of a metric over its labels."""
        text = httpx.get(f"{self.url}/metrics", timeout=5).text
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(40)
        self.process.stdout.close()
        return code


@contextmanager
def running(folder, count, drain_s=2):
    made = Workers(folder / "gearbox.db", count, drain_s)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.end()


@pytest.fixture(scope="module")
def workers(tmp_path_factory):
    """One pair for the whole file, for each start takes seconds; the test that ends it stands last."""
    with running(tmp_path_factory.mktemp("workers"), 2) as pair:
        yield pair


class Load:
    """Clients that ask on a new connection each time, until told to stop."""

    def __init__(self, workers, clients=4, **more):
        self.workers, self.more, self.going, self.ended = workers, more, True, []
        self.threads = [threading.Thread(target=self.client) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self):
        while self.going:
            try:
                reply = self.workers.ask(**self.more)
                self.ended.append((reply.status_code, reply.headers.get("x-request-id")))
            except httpx.TransportError as error:
                self.ended.append((type(error).__name__, None))

    def stop(self):
        self.going = False
        for thread in self.threads:
            thread.join()
        return self.ended


def test_every_worker_counts_and_the_sum_is_what_sql_says(workers):
    load = Load(workers, clients=8)
    time.sleep(1.5)
    ended = load.stop()
    assert {status for status, _ in ended} == {200}
    assert len(workers.pids) == 2
    assert workers.counted("gearbox_requests_total") == len(ended) == workers.sql("SELECT count(*) FROM inference")
    spent = workers.sql("SELECT sum(cost_nanousd) FROM inference")
    assert round(workers.counted("gearbox_cost_usd_total") * 1e9) == spent > 0
    workers.wait(lambda: workers.counted("gearbox_store_backlog") == 0)


def test_one_worker_learns_what_another_was_told(workers):
    learnt = workers.sql("SELECT count(DISTINCT inference_id) FROM label")
    assert learnt > 0
    known = []

    def all_that_answer_know():
        """Ten answers in a row, from whichever worker took the connection, rest on all that was learnt."""
        reply = workers.ask().json()["gearbox"]["id"]
        found = httpx.get(f"{workers.url}/v1/decisions/{reply}").json()
        known.append(found["evidence"]["history_size"] >= learnt)
        return len(known) >= 10 and all(known[-10:])

    workers.wait(all_that_answer_know)


def test_a_repeated_idempotency_key_is_one_run_whichever_worker_it_reaches(workers):
    asked = []

    def repeat():
        reply = workers.ask(idempotency_key="order-7")
        asked.append((reply.json()["gearbox"]["cache"], reply.json()["gearbox"]["id"]))

    before = workers.sql("SELECT count(*) FROM inference")
    clients = [threading.Thread(target=repeat) for _ in range(12)]  # each on a connection of its own
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(cache for cache, _ in asked) == ["joined"] * 11 + ["miss"]
    assert len({run for _, run in asked}) == 1
    assert workers.sql("SELECT count(*) FROM inference") == before + 1


def test_a_killed_worker_is_replaced_and_what_was_answered_is_stored(workers):
    load = Load(workers)
    time.sleep(0.5)
    victim = min(workers.pids)
    os.kill(victim, signal.SIGKILL)
    workers.wait(lambda: victim not in workers.pids and len(workers.pids) == 2)
    time.sleep(1)
    ended = load.stop()
    answered = [request_id for status, request_id in ended if status == 200]
    assert len(ended) - len(answered) <= 4  # at most one in flight for each client
    kept = workers.sql("SELECT json_group_array(id) FROM inference")
    assert set(answered) <= set(json.loads(kept))
    assert workers.counted("gearbox_requests_total") >= len(answered)


def test_a_rolling_restart_fails_no_request_and_cuts_no_stream(workers):
    before = workers.pids
    load, streams = Load(workers, clients=2), []

    def stream():
        slow = {"small": {"fault": "slow_tokens", "seconds": 0.1}}
        streams.append(workers.ask(stream=True, simulate=slow).text)

    readers = [threading.Thread(target=stream) for _ in range(4)]
    for reader in readers:
        reader.start()
    time.sleep(0.3)
    workers.process.send_signal(signal.SIGHUP)
    workers.wait(lambda: len(workers.pids) == 2 and not workers.pids & before)
    ended = load.stop()
    for reader in readers:
        reader.join()
    assert {status for status, _ in ended} == {200}
    assert [text.rstrip().endswith("data: [DONE]") for text in streams] == [True] * 4


def test_workers_that_cannot_start_leave_the_old_ones_at_work(workers):
    before = workers.pids
    (workers.database.parent / "broken").touch()
    workers.process.send_signal(signal.SIGHUP)
    workers.wait(lambda: len(workers.pids) == 3)
    workers.wait(lambda: workers.pids == before)
    (workers.database.parent / "broken").unlink()
    assert workers.ask().status_code == 200


def test_workers_end_when_their_parent_was_killed(tmp_path):
    with running(tmp_path, 1) as single:
        pids = single.pids
        single.process.kill()
        single.process.wait()
        single.process.stdout.close()
        end = time.monotonic() + 20
        while any(Path(f"/proc/{pid}").exists() for pid in pids):
            assert time.monotonic() < end
            time.sleep(0.1)
        assert single.get("/health/live") is None


@pytest.mark.parametrize("told", ["the supervisor", "everybody, as by Ctrl-C"])
def test_workers_that_end_leave_no_semaphore_behind(tmp_path, told):
    with running(tmp_path, 1, drain_s=0) as single:
        if told == "the supervisor":
            single.process.send_signal(signal.SIGTERM)
        else:
            os.killpg(single.process.pid, signal.SIGINT)
        assert single.process.wait(40) == 0
        single.process.stdout.close()
        assert single.errors.read_text() == ""


def test_on_sigterm_readiness_says_no_at_once_and_open_answers_are_finished(workers):
    answers = []
    slow = {"small": {"fault": "slow_first_token", "seconds": 1.5}}
    asking = threading.Thread(target=lambda: answers.append(workers.ask(simulate=slow)))
    asking.start()
    time.sleep(0.3)
    before = workers.sql("SELECT count(*) FROM inference")
    workers.process.send_signal(signal.SIGTERM)
    workers.wait(lambda: workers.get("/health/ready") == 503)
    late = workers.ask()
    assert (late.status_code, late.headers["connection"]) == (200, "close")
    assert workers.process.wait(20) == 0
    workers.process.stdout.close()
    asking.join()
    assert answers[0].status_code == 200
    assert workers.sql("SELECT count(*) FROM inference") == before + 2
