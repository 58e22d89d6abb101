"""Azure, Bedrock and Vertex over HTTP: a real server, the real litellm, a vendor on loopback in their wire formats."""

from __future__ import annotations

import json
from contextlib import ExitStack
from urllib.parse import parse_qs

import httpx
import pytest
from edge_server import plan_of, serving
from two_tiers import AWS_KEY, AWS_SECRET, AZURE_KEY, config, service_account, variables
from vendor import TEXT, TOKEN, Failure
from vendor_bedrock import frame, signer

from router.catalog import Catalog

AZURE, BEDROCK, VERTEX = KINDS = ("litellm: Azure", "litellm: Bedrock", "litellm: Vertex")
by_kind = pytest.mark.parametrize("kind", KINDS)
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
#: What 22 (20) prompt tokens, 5 (6) of them cached, and 4 (7) said cost at 1.0, 0.5 and 2.0 USD a million.
COST_NANOUSD = {AZURE: 27_500, BEDROCK: 27_500, VERTEX: 31_000}
CACHED = {AZURE: 5, BEDROCK: 5, VERTEX: 6}


@pytest.fixture(scope="module")
def started(served, tmp_path_factory):
    """Start a server of a kind, once for each different configuration."""
    _, url = served
    running = {}
    with ExitStack() as stack:

        def start(kind, environment=None, **more):
            key = json.dumps([kind, environment, more])
            if key not in running:
                database = tmp_path_factory.mktemp("vendors") / "gearbox.db"
                plan = plan_of(config(url, kind, **more), database, Catalog.load(), environment or variables(url))
                server = stack.enter_context(serving(plan, database))
                running[key] = server, stack.enter_context(httpx.Client(base_url=server.url, timeout=60))
            return running[key]

        yield start


def ask(client, *, stream=False, model="small", **body):
    message = {"role": "user", "content": "hi"}
    return client.post("/v1/chat/completions", json={"model": model, "messages": [message], "stream": stream, **body})


def events(reply):
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line) for line in lines]


def said(reply, *, stream):
    if not stream:
        return reply.json()["choices"][0]["message"]["content"]
    return "".join(choice["delta"].get("content") or "" for event in events(reply) for choice in event["choices"])


@both
@by_kind
def test_an_answer_comes_through_and_cached_tokens_are_priced_as_such(started, vendor, kind, stream):
    server, client = started(kind)
    reply = ask(client, stream=stream, stream_options={"include_usage": True} if stream else None)
    usage = events(reply)[-1]["usage"] if stream else reply.json()["usage"]
    (call,) = server.calls(reply.headers["x-request-id"])
    assert said(reply, stream=stream) == TEXT
    assert usage["prompt_tokens_details"]["cached_tokens"] == CACHED[kind]
    assert round(usage["cost"] * 1e9) == call["cost_nanousd"] == COST_NANOUSD[kind]
    assert call["cost_source"] == "usage"


@both
def test_azure_is_asked_at_its_deployment_with_version_and_key(started, vendor, stream):
    ask(started(AZURE)[1], stream=stream)
    sent = vendor.last
    assert sent.path == "/openai/deployments/gpt-4.1-mini/chat/completions"
    assert sent.query == {"api-version": "2024-10-21"}
    assert sent.headers["api-key"] == AZURE_KEY
    assert "authorization" not in sent.headers


@both
def test_bedrock_is_asked_by_converse_and_signed_for_the_region(started, served, vendor, stream):
    ask(started(BEDROCK)[1], stream=stream)
    sent = vendor.last
    assert sent.path.endswith("/converse-stream" if stream else "/converse")
    assert signer(sent, served[1], {AWS_KEY: AWS_SECRET}) == (AWS_KEY, "eu-west-1")
    assert signer(sent, served[1], {AWS_KEY: "another secret"}) is None


@both
def test_vertex_is_asked_in_its_project_and_region_with_the_accounts_token(started, vendor, stream):
    ask(started(VERTEX)[1], stream=stream)
    place = "/v1/projects/our-project/locations/europe-west1/publishers/google/models/gemini-2.5-flash"
    assert vendor.last.path == f"{place}:{'streamGenerateContent' if stream else 'generateContent'}"
    assert vendor.last.headers["authorization"] == f"Bearer {TOKEN}"
    assert parse_qs(vendor.granted)["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]


def test_claude_on_vertex_speaks_its_own_dialect(started, vendor):
    _, client = started(VERTEX, model="vertex_ai/claude-sonnet-4-5@20250929")
    reply = ask(client, reasoning_effort="low", messages=[{"role": "user", "name": "bob", "content": "hi"}])
    assert reply.json()["choices"][0]["message"]["content"] == TEXT
    assert vendor.last.path.endswith("/publishers/anthropic/models/claude-sonnet-4-5@20250929:rawPredict")
    assert vendor.last.body["max_tokens"] == 64_000
    assert "name" not in json.dumps(vendor.last.body)


@both
@by_kind
def test_an_image_and_a_tool_go_there_and_its_call_comes_back(started, vendor, kind, stream):
    vendor.tool = ("add", {"a": 1})
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    tool = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    message = {"role": "user", "content": [{"type": "text", "text": "hi"}, image]}
    reply = ask(started(kind)[1], stream=stream, messages=[message], tools=[tool], tool_choice="required")
    assert "iVBORw0KGgo=" in vendor.last.raw.decode()
    parts = [event["choices"][0]["delta"] for event in events(reply) if event["choices"]] if stream else []
    calls = [part for delta in parts for part in delta.get("tool_calls") or ()]
    calls = calls or reply.json()["choices"][0]["message"]["tool_calls"]
    assert calls[0]["function"]["name"] == "add"
    assert json.loads("".join(call["function"].get("arguments") or "" for call in calls)) == {"a": 1}


def as_azure(status, words, code=None):
    return {"error": {"code": code or str(status), "message": words, "param": "messages", "type": None}}


def as_google(status, words, code=None):
    return {"error": {"code": status, "message": words, "status": code}}


SHAPES = {AZURE: as_azure, BEDROCK: lambda _, words, __=None: {"message": words}, VERTEX: as_google}
TOO_LONG = {
    AZURE: "This model's maximum context length is 8 tokens.",
    BEDROCK: "Input is too long for requested model.",
    VERTEX: "The input token count (9) exceeds the maximum number of tokens allowed (8).",
}
#: The vendor's status and headers -> ours.
FAILURES = {
    "400": (400, {}, 400, "invalid_request_error"),
    "401": (401, {}, 502, "upstream_error"),
    "403": (403, {}, 502, "upstream_error"),
    "404": (404, {}, 502, "upstream_error"),
    "429": (429, {"retry-after": "7"}, 429, "rate_limit_error"),
    "500": (500, {}, 503, "upstream_error"),
    "503": (503, {"retry-after": "7"}, 503, "upstream_error"),
}


@both
@pytest.mark.parametrize("row", FAILURES.values(), ids=FAILURES)
@by_kind
def test_a_vendors_error_becomes_ours_and_costs_nothing(started, vendor, kind, row, stream):
    status, headers, ours, word = row
    server, client = started(kind)
    vendor.failure = Failure(status, SHAPES[kind](status, "it is wrong"), headers)
    reply = ask(client, stream=stream)
    error = reply.json()["error"]
    assert (reply.status_code, error["type"]) == (ours, word)
    assert reply.headers.get("retry-after") == headers.get("retry-after")
    assert ("it is wrong" in error["message"]) == (status == 400)
    assert {"message", "type", "param", "code"} <= set(error)
    assert [call["cost_nanousd"] for call in server.calls(reply.headers["x-request-id"])] == [0]
    assert len(vendor.requests) == 1


@by_kind
def test_a_context_overflow_tries_the_next_tier(started, vendor, kind):
    server, client = started(kind, max_output_tokens=1000)  # of its own: no deployment rests after a test's failure
    vendor.failure = Failure(400, SHAPES[kind](400, TOO_LONG[kind]))
    reply = ask(client, model="llm-at")
    assert reply.status_code == 400
    assert reply.json()["error"]["message"] == TOO_LONG[kind]
    assert [call["tier"] for call in server.calls(reply.headers["x-request-id"])] == ["small", "large"]


def test_azure_keeps_the_code_and_the_param_of_a_refusal(started, vendor):
    vendor.failure = Failure(400, as_azure(400, "filtered", "content_filter"))
    error = ask(started(AZURE)[1]).json()["error"]
    assert (error["code"], error["param"]) == ("content_filter", "messages")


def test_a_bedrock_stream_that_fails_in_the_middle_ends_with_an_error(started, vendor):
    server, client = started(BEDROCK)
    vendor.frames = [
        frame("messageStart", {"role": "assistant"}),
        frame("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
        frame("throttlingException", {"message": "too fast"}, kind="exception"),
    ]
    reply = ask(client, stream=True)
    assert "error" in events(reply)[-1]
    assert "[DONE]" not in reply.text
    assert server.calls(reply.headers["x-request-id"])[-1]["cost_source"] == "reservation"


@pytest.mark.parametrize("status", [400, 401])
@by_kind
def test_no_secret_is_in_an_error_or_in_the_log(started, served, vendor, kind, status, capfd):
    account = json.loads(service_account(served[1]))
    lines = account["private_key"].splitlines()
    secrets = (
        [AZURE_KEY, AWS_KEY, AWS_SECRET] if kind != VERTEX else [TOKEN, account["private_key"], lines[1], lines[9]]
    )
    mine = {AZURE: secrets[:1], BEDROCK: secrets[1:], VERTEX: secrets}[kind]
    vendor.failure = Failure(status, SHAPES[kind](status, f"we were sent {' '.join(mine)}"))
    reply = ask(started(kind)[1])
    logged = capfd.readouterr()
    for secret in mine:
        for told in (reply.text, logged.out, logged.err):
            assert secret not in told
            assert json.dumps(secret)[1:-1] not in told
    assert "we were sent ***" in (reply.text if status == 400 else logged.out + logged.err)


#: What is wrong with the credentials, and the words for the operator's log.
CREDENTIALS = {
    "an account that is no JSON": (VERTEX, {"VERTEX_ACCOUNT": "{garbage"}, {}, "not valid JSON"),
    "an account the vendor does not know": (VERTEX, {}, {"vertex_project": "another"}, "no such account"),
    "a profile nobody has": (
        BEDROCK,
        {},
        {"aws_profile_name": "nobody", "aws_access_key_id": None, "aws_secret_access_key": None},
        "could not be found",
    ),
}


@pytest.mark.parametrize("row", CREDENTIALS.values(), ids=CREDENTIALS)
def test_credentials_that_are_none_are_the_operators_fault_and_nothing_is_billed(started, served, vendor, row, capfd):
    kind, changed, more, words = row
    vendor.token_status = 401
    environment = {**variables(served[1]), **changed}
    environment["VERTEX_ACCOUNT"] = environment["VERTEX_ACCOUNT"].replace('"k1"', '"another key"')
    server, client = started(kind, environment, **more)
    reply = ask(client)
    (call,) = server.calls(reply.headers["x-request-id"])
    assert (reply.status_code, call["cost_nanousd"], vendor.requests) == (502, 0, [])
    assert words not in reply.text
    assert words in "".join(capfd.readouterr())
