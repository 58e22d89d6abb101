"""Several prompts in one streamed completion: choices come as they come, money is told once, an error ends it."""

from __future__ import annotations

import json
import socket
import time

import openai
import pytest
from edge_server import plan_of, serving
from two_tiers import config, variables
from vendor import TEXT, Failure

from app.edge.many import AT_ONCE
from router.catalog import Catalog

PROMPTS = ["one", "two", "three"]


def streamed(http, **body):
    reply = http.post("/v1/completions", json={"model": "small", "prompt": PROMPTS, "stream": True, **body})
    lines = [line for line in reply.text.split("\n\n") if line.startswith("data: ")]
    return reply, [json.loads(line.removeprefix("data: ")) for line in lines if line != "data: [DONE]"], lines[-1]


def texts(events):
    said = {}
    for event in events:
        for choice in event["choices"]:
            said[choice["index"]] = said.get(choice["index"], "") + choice["text"]
    return said


@pytest.mark.parametrize("model", ["small", "llm-at"], ids=["live", "held until it is judged"])
def test_each_prompts_choices_have_their_own_indices(http, vendor, model):
    _, events, last = streamed(http, model=model, n=2)
    ends = [choice["index"] for event in events for choice in event["choices"] if choice["finish_reason"]]
    assert texts(events) == dict.fromkeys(range(6), TEXT)
    assert sorted(ends) == list(range(6))
    assert last == "data: [DONE]"


def test_the_official_client_reads_it(client, vendor):
    with client.completions.create(model="small", prompt=PROMPTS, stream=True) as stream:
        chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.choices[0].index for chunk in chunks} == {0, 1, 2}
    assert chunks[0].id == f"cmpl-{chunks[-1].gearbox['id']}"


def test_each_prompt_has_a_row_and_the_last_event_tells_the_sum(http, gearbox, vendor):
    reply, events, _ = streamed(http)
    told = events[-1]["gearbox"]
    rows = [gearbox.row(run["id"]) for run in told["runs"]]
    assert [row["question"] for row in rows] == PROMPTS
    assert told["id"] == rows[0]["id"] == reply.headers["x-request-id"]
    assert round(told["cost"] * 1e9) == sum(row["cost_nanousd"] for row in rows) > 0
    assert [event for event in events[:-1] if "gearbox" in event] == []
    assert all("usage" not in event for event in events)


def test_usage_comes_once_at_the_end_where_it_is_wanted(http, vendor):
    _, events, _ = streamed(http, stream_options={"include_usage": True})
    assert all(event["usage"] is None for event in events[:-1])
    assert events[-1]["choices"] == []
    assert (events[-1]["usage"]["prompt_tokens"], events[-1]["usage"]["completion_tokens"]) == (66, 12)
    assert events[-1]["usage"]["cost"] == events[-1]["gearbox"]["cost"] > 0


def test_a_failure_before_the_first_byte_is_a_real_status(http, vendor):
    vendor.failure = Failure(400, {"error": {"message": "no such thing", "type": "invalid_request_error"}})
    reply = http.post("/v1/completions", json={"model": "small", "prompt": PROMPTS, "stream": True})
    assert (reply.status_code, reply.json()["error"]["message"]) == (400, "no such thing")


def test_a_failure_after_it_ends_the_stream_with_an_error_and_starts_nothing_more(http, vendor):
    vendor.failing = "two"
    prompts = [*["one"] * AT_ONCE, "two", *["more"] * 100]  # the failing one begins when another has answered
    _, events, last = streamed(http, prompt=prompts)
    assert texts(events[:-1])
    assert set(events[-1]["error"]) == {"message", "type", "param", "code"}
    assert last.startswith('data: {"error"')
    assert len(vendor.requests) < len(prompts)


def test_prompts_share_one_cap_and_it_ends_the_stream(http, vendor):
    headers = {"x-gearbox-budget-usd": "0.0002"}
    body = {"model": "small", "prompt": ["one"] * 40, "max_tokens": 20, "stream": True}
    text = http.post("/v1/completions", json=body, headers=headers).text
    assert '"code":"budget_' in text
    assert "[DONE]" not in text


def test_a_client_that_leaves_ends_what_has_not_begun(upstream, vendor, tmp_path):
    _, url = upstream
    vendor.delay_s = 0.5
    settings = {**config(url), "server": {"linger_s": 30}}
    plan = plan_of(settings, tmp_path / "gearbox.db", Catalog.load(), variables(url))
    body = json.dumps({"model": "small", "prompt": ["one"] * 30, "stream": True}).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    with serving(plan, tmp_path / "gearbox.db") as running:
        with socket.create_connection(running.address) as raw:
            raw.sendall(head + body)
            end = time.monotonic() + 20
            while not vendor.requests:
                assert time.monotonic() < end
                time.sleep(0.01)
        running.wait_for_row("SELECT * FROM inference WHERE client = 'disconnected'", seconds=20)
    assert len(vendor.requests) < 30
    assert {row["cost_nanousd"] > 0 for row in running.sql("SELECT * FROM inference")} == {True}


def test_an_idempotency_key_joins_each_prompts_own_run(client, http, vendor):
    body = {"model": "small", "prompt": PROMPTS, "stream": True}
    first = http.post("/v1/completions", json=body, headers={"idempotency-key": "streamed-together"})
    again = http.post("/v1/completions", json=body, headers={"idempotency-key": "streamed-together"})
    assert len(vendor.requests) == 3
    assert first.headers["x-request-id"] in again.text
    with pytest.raises(openai.BadRequestError):
        client.completions.create(
            model="small",
            prompt=["other", "another"],
            stream=True,
            extra_headers={"idempotency-key": "streamed-together"},
        )
