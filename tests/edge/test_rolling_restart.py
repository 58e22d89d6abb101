"""Two replicas behind a load balancer, one of which is told to end: no request fails and no stream is cut."""

from __future__ import annotations

import json
import signal
import threading

import httpx
import pytest
from balancer import Balancer
from edge_server import EASY
from test_workers import Load, running

from cascade.upstreams.sse import DONE

#: Longer than a loaded machine takes from a look at readiness to the request that follows it.
DRAIN_S = 10
#: Drain, open answers, open runs, on a machine that does much else.
END_S = 200
STREAM = {
    "model": "small",
    "messages": [{"role": "user", "content": EASY}],
    "stream": True,
    "simulate": {"small": {"fault": "slow_tokens", "seconds": 0.2}},
}


class Stream:
    """One client that reads a slow stream; `begun` is set at its first byte."""

    def __init__(self, url):
        self.begun, self.text, self._url = threading.Event(), b"", url
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self):
        with httpx.stream("POST", f"{self._url}/v1/chat/completions", json=STREAM, timeout=60) as reply:
            for part in reply.iter_bytes():
                self.text += part
                self.begun.set()

    def ended(self):
        self._thread.join(60)
        return self.text

    @property
    def id(self):
        first = next(line for line in self.text.splitlines() if line.startswith(b"data: "))
        return json.loads(first.removeprefix(b"data: "))["id"].removeprefix("chatcmpl-")


class Behind:
    """The replicas as clients see them."""

    def __init__(self, url):
        self.url = url

    def ask(self):
        body = {"model": "llm-at", "messages": STREAM["messages"]}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=60)


@pytest.mark.timeout(600)
def test_a_replica_that_is_told_to_end_fails_no_request_and_cuts_no_stream(tmp_path):
    with (
        running(tmp_path, 1, DRAIN_S) as leaving,
        running(tmp_path, 1) as staying,
        Balancer([leaving.url, staying.url]) as balancer,
    ):
        streams = [Stream(balancer.url) for _ in range(4)]
        assert all(stream.begun.wait(60) for stream in streams)
        assert balancer.passed == {leaving.url: 2, staying.url: 2}
        load = Load(Behind(balancer.url), clients=2)
        leaving.process.send_signal(signal.SIGTERM)
        assert leaving.process.wait(END_S) == 0
        leaving.process.stdout.close()
        last = balancer.passed[leaving.url]
        after = [Behind(balancer.url).ask().status_code for _ in range(5)]
        ended = load.stop()
        assert {status for status, _ in ended} == {200} == set(after)
        assert balancer.passed[leaving.url] == last
        assert all(stream.ended().endswith(DONE) for stream in streams)
        answered = {request_id for _, request_id in ended} | {stream.id for stream in streams}
        assert answered <= set(json.loads(staying.sql("SELECT json_group_array(id) FROM inference")))


@pytest.mark.timeout(600)
def test_readiness_says_no_before_the_first_connection_is_refused(tmp_path):
    with running(tmp_path, 1, DRAIN_S) as leaving:
        leaving.process.send_signal(signal.SIGTERM)
        leaving.wait(lambda: leaving.get("/health/ready") == 503)
        told = httpx.get(f"{leaving.url}/health/ready", timeout=10).json()
        answered = Behind(leaving.url).ask()
        assert leaving.process.wait(END_S) == 0
        leaving.process.stdout.close()
    assert (told["status"], told["down"]) == ("down", {"server": "shutting down"})
    assert (answered.status_code, answered.headers["connection"]) == (200, "close")
