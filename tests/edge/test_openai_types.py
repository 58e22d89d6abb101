"""Every answer is what OpenAI's own types say, strictly, with nothing more than `gearbox` and `usage.cost` in it."""

from __future__ import annotations

import json

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from openai.types import Completion, CreateEmbeddingResponse, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent
from openai.types.shared import ErrorObject
from pydantic import BaseModel, TypeAdapter

from router.catalog import Catalog

OURS = {"gearbox", "cost"}
#: OpenAI's own document or https://www.openresponses.org demands these; the SDK's types lack them: fields of a
#: Response, and the function's `name` in the event that closes a call.
NOT_IN_THE_SDK = {"store", "frequency_penalty", "presence_penalty", "name"}
SCHEMA = {"type": "object", "properties": {"answer": {"type": "integer"}}, "required": ["answer"]}
TOOL = {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
ASK = {"messages": [{"role": "user", "content": EASY}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
CHATS = {
    "plain": ASK,
    "two choices": {**ASK, "n": 2},
    "log probabilities": {**ASK, "logprobs": True, "top_logprobs": 2},
    "a schema": {**ASK, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}},
    "a tool": {**ASK, "tools": [{"type": "function", "function": TOOL}], "tool_choice": "required"},
    "cut": {**ASK, "max_tokens": 3},
    "an image": {"messages": [{"role": "user", "content": [{"type": "text", "text": EASY}, IMAGE]}]},
}
TEXTS = {
    "one prompt": {"prompt": EASY},
    "several prompts": {"prompt": [EASY, "What is 2 + 2?"], "n": 2},
    "log probabilities": {"prompt": EASY, "logprobs": 2},
}
RESPONSES = {
    "a string": {"input": EASY},
    "instructions and items": {"instructions": "Be brief.", "input": [{"role": "user", "content": EASY}]},
    "a tool": {"input": EASY, "tools": [{"type": "function", **TOOL}], "tool_choice": "required"},
    "a schema": {"input": EASY, "text": {"format": {"type": "json_schema", "name": "x", "schema": SCHEMA}}},
    "cut": {"input": EASY, "max_output_tokens": 3},
    "what is echoed": {"input": EASY, "metadata": {"a": "b"}, "temperature": 0.5, "reasoning": {"effort": "low"}},
}


@pytest.fixture(scope="module")
def http(tmp_path_factory):
    """A server of its own, patient with a loaded machine; every request may start anywhere."""
    database = tmp_path_factory.mktemp("types") / "gearbox.db"
    patient = {"timeouts": {"first_token_s": 30, "total_s": 60}}
    with (
        serving(plan_of(config(**patient), database, Catalog.load()), database) as running,
        httpx.Client(base_url=running.url, timeout=60) as client,
    ):
        yield client


def strictly(kind, text):
    """The text as this type, with every required field there, and the names of what the type does not know."""
    found = TypeAdapter(kind).validate_json(text, strict=True)
    return found, sorted(extras(found))


def extras(value):
    if isinstance(value, BaseModel):
        yield from (value.model_extra or {}).keys()
        for name in type(value).model_fields:
            yield from extras(getattr(value, name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from extras(inner)


def events(reply):
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    lines = [line for part in reply.text.split("\n\n") for line in part.split("\n") if line.startswith("data: ")]
    return [line.removeprefix("data: ") for line in lines if line != "data: [DONE]"]


def asked(http, path, body, **more):
    reply = http.post(path, json={"model": "llm-at", **body, **more})
    assert reply.status_code == 200, reply.text
    return reply


def known(kind, texts, also=frozenset()):
    for text in texts:
        _, more = strictly(kind, text)
        assert set(more) <= OURS | also, (more, text)


@pytest.mark.parametrize("body", CHATS.values(), ids=CHATS)
def test_a_chat_completion(http, body):
    reply = asked(http, "/v1/chat/completions", body)
    assert reply.headers["content-type"] == "application/json"
    assert strictly(ChatCompletion, reply.text)[1] == sorted(OURS)


@pytest.mark.parametrize("mode", ["hold", "direct", "optimistic"])
@pytest.mark.parametrize("body", CHATS.values(), ids=CHATS)
def test_its_chunks(http, body, mode):
    reply = http.post(
        "/v1/chat/completions",
        json={"model": "llm-at", **body, "stream": True, "stream_options": {"include_usage": True}},
        headers={"x-gearbox-stream": mode},
    )
    known(ChatCompletionChunk, events(reply))


@pytest.mark.parametrize("body", TEXTS.values(), ids=TEXTS)
def test_a_completion_and_its_chunks(http, body):
    known(Completion, [asked(http, "/v1/completions", body).text])
    for options in ({}, {"stream_options": {"include_usage": True}}):
        told = events(asked(http, "/v1/completions", body, stream=True, **options))
        # OpenAI streams null until a choice ends; the SDK has one type for both, which does not say so.
        known(Completion, [text.replace('"finish_reason":null', '"finish_reason":"stop"') for text in told])


@pytest.mark.parametrize("given", ["one", ["one", "two"]], ids=["a string", "an array"])
def test_embeddings(http, given):
    known(CreateEmbeddingResponse, [asked(http, "/v1/embeddings", {"input": given}, model="words").text])


@pytest.mark.parametrize("body", RESPONSES.values(), ids=RESPONSES)
def test_a_response_and_its_events(http, body):
    known(Response, [asked(http, "/v1/responses", body).text], NOT_IN_THE_SDK)
    told = events(asked(http, "/v1/responses", body, stream=True))
    known(ResponseStreamEvent, told, NOT_IN_THE_SDK)
    numbers = [json.loads(text)["sequence_number"] for text in told]
    assert numbers == list(range(len(told)))


def test_the_models(http):
    listed = http.get("/v1/models").json()
    assert listed["object"] == "list"
    known(Model, [json.dumps(model) for model in listed["data"]])
    known(Model, [http.get("/v1/models/auto").text])


ERRORS = {
    "bad JSON": ("POST", "/v1/chat/completions", b"{", {}, 400),
    "a wrong type": ("POST", "/v1/chat/completions", b'{"model": "llm-at", "messages": 3}', {}, 400),
    "a bad header": ("POST", "/v1/responses", b'{"model": "llm-at", "input": "x"}', {"x-gearbox-quality": "7"}, 400),
    "an unknown model": ("POST", "/v1/completions", b'{"model": "nobody", "prompt": "x"}', {}, 404),
    "an unknown route": ("GET", "/v1/nothing", b"", {}, 404),
    "a wrong method": ("GET", "/v1/embeddings", b"", {}, 405),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_an_error(http, row):
    method, path, content, headers, status = row
    reply = http.request(method, path, content=content, headers=headers)
    assert (reply.status_code, reply.headers["content-type"]) == (status, "application/json")
    error = json.loads(reply.text)["error"]
    assert strictly(ErrorObject, json.dumps(error))[1] == []
    assert set(error) == {"message", "type", "param", "code"}
