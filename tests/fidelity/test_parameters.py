"""Every OpenAI chat parameter x deployment kind x stream or not x first tier or after an escalation, on the wire."""

from __future__ import annotations

import json
from contextlib import ExitStack

import httpx
import pytest
from edge_server import plan_of, serving
from fidelity_table import GEMINI, KINDS, OPENAI, TABLE, VERTEX
from loopback import Loopback
from two_tiers import MODELS, config, variables
from vendor import Vendor

from router.catalog import Catalog

ASK = {"model": "llm-at", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def vendor():
    return Vendor()


@pytest.fixture(scope="module")
def servers(vendor, tmp_path_factory):
    """kind -> (its running server, an HTTP client of it)."""
    catalog = Catalog.load()
    with ExitStack() as stack:
        upstream = stack.enter_context(Loopback(vendor.app))
        found = {}
        for place, kind in enumerate(KINDS):
            database = tmp_path_factory.mktemp("fidelity") / f"{place}.db"
            running = stack.enter_context(
                serving(plan_of(config(upstream.url, kind), database, catalog, variables(upstream.url)), database)
            )
            client = stack.enter_context(httpx.Client(base_url=running.url, timeout=20))
            found[kind] = running, client
        yield found


def ask(client, vendor, body, *, stream, escalated, text=None):
    vendor.reset()
    vendor.verdict = "no" if escalated else "yes"
    vendor.text = text or vendor.text
    model = "llm-at" if escalated else "small"
    return client.post("/v1/chat/completions", json={**ASK, "model": model, **body, "stream": stream})


def holds(sent, wanted):
    """Whether `sent` has everything that `wanted` names, at the same places."""
    if isinstance(wanted, dict):
        return isinstance(sent, dict) and all(key in sent and holds(sent[key], value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(sent, list) and len(sent) >= len(wanted) and all(map(holds, sent, wanted))
    return sent == wanted


def dropped(running, reply):
    """What the decision says was translated or left out in the last generation."""
    calls = [call for call in running.calls(reply.headers["x-request-id"]) if call["purpose"] == "generate"]
    return " ".join(json.loads(calls[-1]["dropped"]))


#: (streamed, after an escalation)
PLACES = {
    "whole-first": (False, False),
    "whole-escalated": (False, True),
    "stream-first": (True, False),
    "stream-escalated": (True, True),
}


@pytest.mark.parametrize("place", PLACES.values(), ids=PLACES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_cell_is_what_happens(servers, vendor, row, kind, place):
    (running, client), cell, (stream, escalated) = servers[kind], row.cells[kind], place
    reply = ask(client, vendor, row.body, stream=stream, escalated=escalated, text=row.text)
    if cell.word == "refused":
        assert reply.status_code == 400, reply.text
        assert vendor.requests == []
        return
    assert reply.status_code == 200, reply.text
    assert not stream or '"error"' not in reply.text, reply.text
    sent = vendor.asked[-1]
    model = MODELS[kind][1][1 if escalated else 0].partition("/")[2]
    assert model in (sent.body.get("model") or sent.path)
    assert len(vendor.asked) == (2 if escalated else 1)
    last = next(reversed(row.body))
    match cell.word:
        case "yes":
            assert holds(sent.body, row.body)
        case "translated":
            assert holds(sent.body, cell.sent), sent.body
        case "no":
            assert last in dropped(running, reply)
            assert not holds(sent.body, row.body)


@pytest.mark.parametrize("escalated", [False, True])
@pytest.mark.parametrize("stream", [False, True])
def test_unknown_fields_of_an_answer_survive(servers, vendor, stream, escalated):
    _, client = servers[OPENAI]
    reply = ask(client, vendor, {}, stream=stream, escalated=escalated)
    if not stream:
        told = reply.json()
        assert told["x_upstream"] == {"kept": True}
        assert told["choices"][0]["message"]["x_message"] == "kept"
        return
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: {")]
    chunks = [json.loads(line) for line in lines]
    assert all(chunk["x_upstream"] == {"kept": True} for chunk in chunks)
    assert any(choice["delta"].get("x_message") == "kept" for chunk in chunks for choice in chunk["choices"])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_call_comes_back_in_openais_shape(servers, vendor, kind, stream):
    _, client = servers[kind]
    vendor.reset()
    vendor.tool = ("add", {"a": 1})
    tool = next(row for row in TABLE if row.name == "tools").body
    reply = client.post("/v1/chat/completions", json={**ASK, "model": "small", **tool, "stream": stream})
    if not stream:
        choice = reply.json()["choices"][0]
        (call,) = choice["message"]["tool_calls"]
        assert (call["function"]["name"], json.loads(call["function"]["arguments"])) == ("add", {"a": 1})
        assert choice["finish_reason"] == "tool_calls"
        return
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: {")]
    parts = [call for line in lines for c in json.loads(line)["choices"] for call in c["delta"].get("tool_calls") or ()]
    assert "".join(part["function"].get("arguments") or "" for part in parts).replace(" ", "") == '{"a":1}'
    assert parts[0]["function"]["name"] == "add"


@pytest.mark.parametrize("kind", KINDS)
def test_usage_details_come_through(servers, vendor, kind):
    _, client = servers[kind]
    usage = ask(client, vendor, {}, stream=False, escalated=False).json()["usage"]
    assert usage["prompt_tokens_details"]["cached_tokens"] == (6 if kind in {GEMINI, VERTEX} else 5)
    assert usage["cost"] > 0


def test_stream_options_are_ours_and_the_clients_are_kept(servers, vendor):
    _, client = servers[OPENAI]
    body = {"stream_options": {"include_usage": False, "include_obfuscation": False}}
    reply = ask(client, vendor, body, stream=True, escalated=False)
    assert vendor.asked[-1].body["stream_options"] == {"include_usage": True, "include_obfuscation": False}
    assert '"usage"' not in reply.text
