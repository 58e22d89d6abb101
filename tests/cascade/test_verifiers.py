"""What is certainly wrong with an answer, found for nothing."""

from __future__ import annotations

import pytest
from runs import body

from cascade.verifiers import is_abstention, verify
from router.domain import Answer

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
JSON_SCHEMA = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}}
JSON_OBJECT = {"response_format": {"type": "json_object"}}
TOOLS = {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]}


def call(arguments: str, name: str = "f") -> dict:
    return {
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}],
    }


ROWS = [
    # request, message, finish reason, our limit -> check
    ({}, {}, "stop", False, None),
    ({}, {"content": ""}, "stop", False, "empty"),
    ({}, {"content": None}, "stop", False, "empty"),
    ({}, {"content": " \n"}, "stop", False, "empty"),
    ({}, {"content": None, "audio": {"id": "a"}}, "stop", False, None),
    ({}, {"content": "half"}, "content_filter", False, "content_filter"),
    ({}, {"content": None, "refusal": "no"}, "stop", False, "refusal"),
    ({}, {"content": "half"}, "length", False, "length"),
    ({"max_tokens": 5}, {"content": "half"}, "length", False, None),
    ({"max_completion_tokens": 5}, {"content": ""}, "length", False, None),
    ({"max_tokens": 5}, {"content": "half"}, "length", True, "length"),
    ({"max_tokens": 5, **JSON_SCHEMA}, {"content": '{"a"'}, "length", False, None),
    (JSON_OBJECT, {"content": "{}"}, "stop", False, None),
    (JSON_OBJECT, {"content": "[1]"}, "stop", False, "json"),
    (JSON_OBJECT, {"content": "sure: {}"}, "stop", False, "json"),
    (JSON_SCHEMA, {"content": '{"a": 1}'}, "stop", False, None),
    (JSON_SCHEMA, {"content": '{"a": "1"}'}, "stop", False, "json_schema"),
    (JSON_SCHEMA, {"content": "{}"}, "stop", False, "json_schema"),
    (JSON_SCHEMA, {"content": "{'a': 1}"}, "stop", False, "json"),
    ({"response_format": {"type": "text"}}, {"content": "x"}, "stop", False, None),
    (TOOLS, call('{"a": 1}'), "tool_calls", False, None),
    (TOOLS, call('{"a": "x"}'), "tool_calls", False, "tool"),
    (TOOLS, call("{"), "tool_calls", False, "tool"),
    (TOOLS, call("", "g"), "tool_calls", False, "tool"),
    ({}, call("{}"), "tool_calls", False, "tool"),
    ({**TOOLS, **JSON_SCHEMA}, call('{"a": 1}'), "tool_calls", False, None),
    (
        {"functions": [{"name": "f"}]},
        {"content": None, "function_call": {"name": "f", "arguments": ""}},
        "function_call",
        False,
        None,
    ),
]


@pytest.mark.parametrize(("request_body", "message", "finish", "ours", "check"), ROWS)
def test_an_answer_is_checked_against_the_requests_own_words(request_body, message, finish, ours, check):
    said = body(**{"text": "4", **{key: value for key, value in message.items() if key != "content"}})
    said["choices"][0]["message"] |= message
    said["choices"][0]["finish_reason"] = finish
    finding = verify(request_body, Answer(said), limit_was_ours=ours)
    assert (finding.check if finding else None) == check


def test_every_choice_is_checked():
    said = body()
    said["choices"].append({"index": 1, "message": {"content": ""}, "finish_reason": "stop"})
    assert verify({"n": 2}, Answer(said), limit_was_ours=False).check == "empty"


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nonsense"},
        {"$ref": "http://127.0.0.1:1/schema.json"},
        {"$ref": "#/nowhere"},
        {"$ref": "#"},
        True,
        "x",
        {"pattern": "("},
    ],
)
def test_a_schema_that_cannot_be_used_accuses_nobody(schema):
    wanted = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}
    assert verify(wanted, Answer(body('{"a": 1}')), limit_was_ours=False) is None


@pytest.mark.parametrize("text", ["Abstain", "abstain.", " ABSTAIN\n", "**Abstain**", '"Abstain"'])
def test_the_bare_word_is_an_abstention(text):
    assert is_abstention(Answer(body(text)))


@pytest.mark.parametrize("text", ["", "I abstain", "Abstain from it: 4", "abstained"])
def test_anything_more_is_an_answer(text):
    assert not is_abstention(Answer(body(text)))


def patterned(pattern: str) -> dict:
    schema = {"type": "object", "properties": {"a": {"type": "string", "pattern": pattern}}}
    return {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}}


def said(text: str) -> Answer:
    return Answer({"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]})


def test_a_pattern_of_the_schema_is_checked():
    assert verify(patterned("^b+$"), said('{"a": "bb"}'), limit_was_ours=False) is None
    assert verify(patterned("^b+$"), said('{"a": "c"}'), limit_was_ours=False).check == "json_schema"


def test_a_pattern_that_never_ends_holds_nobody_up():
    endless = patterned("^(a|a?)+$")
    assert verify(endless, said('{"a": "' + "a" * 50_000 + 'b"}'), limit_was_ours=False) is None
