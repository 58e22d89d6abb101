"""Whatever is wrong with a request, the answer is OpenAI's error object: four keys, and the parameter at fault."""

from __future__ import annotations

import json
import socket

import httpx
import openai
import pytest
from edge_server import EASY

MESSAGES = [{"role": "user", "content": EASY}]


def error_of(reply: httpx.Response) -> dict:
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert isinstance(error["type"], str)
    assert all(isinstance(error[key], str | None) for key in ("param", "code"))
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["x-request-id"]
    return error


BAD_PARAMETERS = [
    ("model", None),
    ("model", 7),
    ("model", ""),
    ("messages", None),
    ("messages", []),
    ("messages", "hello"),
    ("messages", {}),
    ("stream", "yes"),
    ("stream", 1),
    ("n", 0),
    ("n", 1.5),
    ("n", "2"),
    ("n", True),
    ("n", 129),
    ("max_tokens", 0),
    ("max_tokens", -1),
    ("max_tokens", "10"),
    ("max_completion_tokens", 1.5),
    ("temperature", -0.1),
    ("temperature", 2.1),
    ("temperature", "hot"),
    ("top_p", 1.1),
    ("presence_penalty", 3),
    ("frequency_penalty", -3),
    ("logprobs", "yes"),
    ("top_logprobs", 21),
    ("top_logprobs", 2),
    ("logit_bias", []),
    ("seed", "x"),
    ("stop", 7),
    ("stop", [1]),
    ("tools", {}),
    ("tools", ["x"]),
    ("tools", [{"type": "function"}]),
    ("tools", [{"type": "function", "function": {}}]),
    ("functions", [1]),
    ("tool_choice", 1),
    ("response_format", "json"),
    ("response_format", {}),
    ("response_format", {"type": "json_schema"}),
    ("user", 7),
    ("metadata", "x"),
    ("parallel_tool_calls", "x"),
    ("stream_options", {"include_usage": True}),
    ("stream_options", "x"),
]


@pytest.mark.parametrize(
    ("param", "value"), BAD_PARAMETERS, ids=[f"{param}={json.dumps(value)[:30]}" for param, value in BAD_PARAMETERS]
)
def test_a_bad_parameter_is_a_400_that_names_it(http, param, value):
    reply = http.post("/v1/chat/completions", json={"model": "llm-at", "messages": MESSAGES, param: value})
    assert reply.status_code == 400
    error = error_of(reply)
    assert error["param"] == param
    assert error["type"] == "invalid_request_error"


BAD_MESSAGES = [
    ("messages.0", ["hello"]),
    ("messages.0.role", [{"content": "hello"}]),
    ("messages.0.role", [{"role": "robot", "content": "hello"}]),
    ("messages.0.role", [{"role": ["user"], "content": "hello"}]),
    ("messages.0.content", [{"role": "user", "content": 7}]),
    ("messages.0.content", [{"role": "user", "content": ["hello"]}]),
    ("messages.1", [{"role": "user", "content": "hello"}, None]),
]


@pytest.mark.parametrize(("param", "messages"), BAD_MESSAGES)
def test_a_bad_message_is_a_400_that_says_which(http, param, messages):
    reply = http.post("/v1/chat/completions", json={"model": "llm-at", "messages": messages})
    assert reply.status_code == 400
    assert error_of(reply)["param"] == param


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{not json",
    "cut JSON": b'{"model": "llm-at"',
    "no UTF-8": b'{"model": "\xff"}',
    "a lone surrogate": b'{"model": "\\ud800"}',
    "NaN": b'{"model": "llm-at", "temperature": NaN}',
    "a list": b"[1]",
    "a string": b'"auto"',
    "null": b"null",
    "nested 100 deep": b'{"model":"auto","x":' + b"[" * 100 + b"]" * 100 + b"}",
    "nested 100,000 deep": b'{"model":"auto","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/route", "/v1/feedback"])
def test_a_body_that_is_no_json_object_is_a_400(http, path, body):
    reply = http.post(path, content=body, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    assert error_of(reply)["type"] == "invalid_request_error"


def test_the_body_is_read_as_json_whatever_its_content_type_says(http):
    body = json.dumps({"model": "llm-at", "messages": MESSAGES}).encode()
    assert http.post("/v1/chat/completions", content=body, headers={"content-type": "text/plain"}).status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["content-length", "chunked"])
def test_a_body_beyond_the_limit_is_a_413_in_openais_shape(serve, chunked):
    gearbox = serve(server={"max_body_mb": 0.01})
    body = json.dumps({"model": "llm-at", "messages": [{"role": "user", "content": "x" * 1_000_000}]}).encode()
    content = (body[start : start + 9000] for start in range(0, len(body), 9000)) if chunked else body
    reply = httpx.post(f"{gearbox.url}/v1/chat/completions", content=content)
    assert reply.status_code == 413
    assert error_of(reply)["code"] == "request_too_large"


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/nothing", "/v1/chat", "/docs", "/v1/chat/completions/x"])
def test_an_unknown_route_is_a_404(http, path):
    reply = http.get(path)
    assert reply.status_code == 404
    assert path in error_of(reply)["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/chat/completions"), ("DELETE", "/v1/models"), ("PUT", "/v1/feedback"), ("POST", "/health/live")],
)
def test_a_wrong_method_is_a_405_that_names_the_right_one(http, method, path):
    reply = http.request(method, path)
    assert reply.status_code == 405
    assert error_of(reply)["code"] == "method_not_allowed"
    assert reply.headers["allow"]


@pytest.mark.parametrize("stream", [False, True])
def test_openais_client_raises_its_own_errors(client, stream):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="llm-at", messages=MESSAGES, temperature=9, stream=stream)
    assert caught.value.param == "temperature"
    assert caught.value.request_id


def test_a_client_that_leaves_before_its_body_is_complete_disturbs_nobody(gearbox, http):
    with socket.create_connection(gearbox.address) as raw:
        raw.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{")
    assert http.get("/health/live").status_code == 200


FEEDBACK = [
    ("id", {"valid": True}),
    ("id", {"id": 7, "valid": True}),
    ("valid", {"id": "x"}),
    ("valid", {"id": "x", "valid": True, "score": 1}),
    ("valid", {"id": "x", "valid": "yes"}),
    ("score", {"id": "x", "score": 1.5}),
    ("score", {"id": "x", "score": True}),
    ("by", {"id": "x", "valid": True, "by": 7}),
    ("note", {"id": "x", "valid": True, "note": []}),
]


@pytest.mark.parametrize(("param", "body"), FEEDBACK)
def test_bad_feedback_is_a_400_that_names_the_key(http, param, body):
    reply = http.post("/v1/feedback", json=body)
    assert reply.status_code == 400
    assert error_of(reply)["param"] == param


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [("GET", "/v1/decisions/nobody", None), ("POST", "/v1/feedback", {"id": "nobody", "valid": True})],
)
def test_an_unknown_request_is_a_404(http, method, path, body):
    reply = http.request(method, path, json=body)
    assert reply.status_code == 404
    assert error_of(reply)["param"] == "id"
