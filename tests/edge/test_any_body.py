"""Whatever is sent to an endpoint: an answer, or an error in OpenAI's shape; never a fault of ours."""

from __future__ import annotations

import json

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.catalog import Catalog

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": [{"type": "text", "text": EASY}]}]
TOOL = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
#: A good body for each endpoint, of which any part may be replaced.
BODIES = {
    "/v1/chat/completions": {
        "model": "llm-at",
        "messages": MESSAGES,
        "tools": [TOOL],
        "tool_choice": "auto",
        "response_format": {"type": "text"},
        "stream": False,
        "stream_options": None,
        "n": 1,
        "max_tokens": 50,
        "stop": ["x"],
        "temperature": 1,
        "logprobs": False,
        "user": "u",
    },
    "/v1/completions": {"model": "small", "prompt": ["a", "b"], "n": 1, "stream": False, "logprobs": 1, "stop": "x"},
    "/v1/embeddings": {"model": "words", "input": ["a"], "encoding_format": "float", "user": "u"},
    "/v1/responses": {
        "model": "llm-at",
        "input": [{"role": "user", "content": EASY}],
        "instructions": "Be brief.",
        "tools": [{"type": "function", "name": "add", "parameters": {}}],
        "text": {"format": {"type": "text"}},
        "stream": False,
        "max_output_tokens": 50,
    },
    "/v1/route": {"model": "llm-at", "messages": MESSAGES},
    "/v1/feedback": {"id": "nobody", "valid": True, "by": "me", "note": "n"},
}
HEADERS = (
    *("x-gearbox-budget-usd", "x-gearbox-budget-end", "x-gearbox-quality", "x-gearbox-policy", "x-gearbox-min-tier"),
    *("x-gearbox-max-tier", "x-gearbox-stream", "x-gearbox-tags", "x-gearbox-session", "x-gearbox-store"),
    *("x-gearbox-cache", "idempotency-key", "x-stainless-retry-count", "content-type", "authorization"),
)
#: Never the field by which a simulated tier is told to fail.
WORDS = st.text(max_size=12).filter(lambda word: word != "simulate")
LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3))
VISIBLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
WISHES = st.sampled_from(["0", "1", "-1", "1e-9", "nan", "hold", "direct", "small", "large", "off", "a=b", "always:x"])
enough = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None
)
by_route = pytest.mark.parametrize("route", BODIES)


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    database = tmp_path_factory.mktemp("any") / "gearbox.db"
    patient = {"timeouts": {"first_token_s": 30, "total_s": 60}}
    with (
        serving(plan_of(config(**patient), database, Catalog.load()), database) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def answered(reply):
    """An answer, or a proper error that says it is not our fault."""
    assert reply.status_code < 500, (reply.status_code, reply.text)
    assert reply.status_code != 422
    kind = reply.headers["content-type"]
    if reply.status_code == 200 and kind.startswith("text/event-stream"):
        lines = [line for line in reply.text.split("\n") if line.startswith("data: ") and line != "data: [DONE]"]
        assert all(isinstance(json.loads(line.removeprefix("data: ")), dict) for line in lines)
        return
    assert kind == "application/json"
    if reply.status_code != 200:
        error = reply.json()["error"]
        assert {"message", "type", "param", "code"} <= set(error)
        assert all(error[name] is None or isinstance(error[name], str) for name in ("message", "type", "param", "code"))


@st.composite
def changed(draw, body):
    """The body with some of its parts replaced, some left out, and fields that nobody knows."""
    told = dict(body)
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=2, unique=True)):
        told[name] = draw(VALUES)
    for name in draw(st.lists(st.sampled_from(sorted(body)), max_size=1)):
        told.pop(name, None)
    return told | draw(st.dictionaries(WORDS, VALUES, max_size=1))


@by_route
@enough
@given(data=st.data())
def test_any_change_of_a_body_is_answered(http, route, data):
    answered(http.post(route, json=data.draw(changed(BODIES[route]))))


@by_route
@enough
@given(content=st.binary(max_size=40) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_answered(http, route, content):
    answered(http.post(route, content=content))


@by_route
@enough
@given(headers=st.dictionaries(st.sampled_from(HEADERS), VISIBLE | WISHES, max_size=3), stream=st.booleans())
def test_any_headers_are_answered(http, route, headers, stream):
    body = BODIES[route] | ({"stream": stream} if "stream" in BODIES[route] else {})
    answered(http.post(route, json=body, headers=headers))
