"""Bodies with something wrong anywhere in them: a 400 in OpenAI's shape or an answer, never a fault of ours."""

from __future__ import annotations

import json
import random

import pytest

ODD = [None, True, 0, -1, 3.5, "", "x", [], {}, [1], [[]], [{}], [None], {"type": 5}, {"type": ["x"]}, {"a": {"b": []}}]
TOOL = {"type": "function", "name": "add", "parameters": {}, "strict": True}
BODIES = {
    "/v1/responses": {
        "model": "small",
        "input": [
            {
                "role": "user",
                "content": [{"type": "input_text", "text": "hi"}, {"type": "input_image", "image_url": "x"}],
            },
            {"type": "function_call", "call_id": "c", "name": "n", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "o"}]},
            {"type": "reasoning", "summary": []},
        ],
        "tools": [TOOL],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "add"}]},
        "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}}, "verbosity": "low"},
        "reasoning": {"effort": "low"},
        "include": ["message.output_text.logprobs"],
        "top_logprobs": 2,
        "max_output_tokens": 50,
        "stream": False,
    },
    "/v1/completions": {"model": "small", "prompt": ["a"], "n": 1, "logprobs": 1, "stop": ["x"], "stream": False},
    "/v1/embeddings": {"model": "small", "input": ["a"], "encoding_format": "float", "dimensions": None},
}


def places(value, path=()):
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in inside:
        yield from places(inner, (*path, key))


@pytest.mark.parametrize("route", BODIES)
def test_an_odd_value_anywhere_is_no_fault_of_ours(http, vendor, route):
    chance = random.Random(5)
    for _ in range(120):
        body = json.loads(json.dumps(BODIES[route]))
        *above, last = chance.choice([path for path in places(body) if path])
        part = body
        for key in above:
            part = part[key]
        part[last] = chance.choice(ODD)
        reply = http.post(route, json=body)
        assert reply.status_code in {200, 400, 404}, (reply.text, body)
        if reply.status_code != 200:
            assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
