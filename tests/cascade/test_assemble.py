"""The same answer in its two shapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cascade.upstreams.assemble import as_chunks, assemble

HEAD = {"id": "x", "created": 1, "model": "m", "system_fingerprint": "f"}


def chunk(delta, finish=None, index=0, **more):
    return {
        **HEAD,
        "object": "chat.completion.chunk",
        "choices": [{"index": index, "delta": delta, "finish_reason": finish, **more}],
    }


def message(*deltas):
    return assemble([*(chunk(delta) for delta in deltas), chunk({}, "stop")])["choices"][0]["message"]


DELTAS = {
    "text": ([{"role": "assistant"}, {"content": "a"}, {"content": "b"}], {"content": "ab", "refusal": None}),
    "a refusal": ([{"refusal": "n"}, {"refusal": "o"}], {"content": None, "refusal": "no"}),
    "reasoning of a vendor's own": (
        [{"reasoning_content": "h"}, {"reasoning_content": "m"}],
        {"reasoning_content": "hm"},
    ),
    "null content beside text": ([{"content": "a"}, {"content": None}], {"content": "a"}),
    "a legacy function call": (
        [
            {"function_call": {"name": "f", "arguments": ""}},
            {"function_call": {"arguments": '{"a"'}},
            {"function_call": {"arguments": ":1}"}},
        ],
        {"function_call": {"name": "f", "arguments": '{"a":1}'}},
    ),
    "audio in pieces": (
        [
            {"audio": {"id": "a", "data": "AA"}},
            {"audio": {"data": "BB", "transcript": "hi"}},
            {"audio": {"transcript": " you"}},
        ],
        {"audio": {"id": "a", "data": "AABB", "transcript": "hi you"}},
    ),
    "lists of a vendor's own": ([{"annotations": [1]}, {"annotations": [2]}], {"annotations": [1, 2]}),
}


@pytest.mark.parametrize(("deltas", "wanted"), DELTAS.values(), ids=DELTAS.keys())
def test_deltas_add_up(deltas, wanted):
    assert wanted.items() <= message(*deltas).items()


def call(index, arguments="", **more):
    found = {} if index is None else {"index": index}
    return {"tool_calls": [{**found, **more, "function": {"arguments": arguments, **more.pop("function", {})}}]}


TOOLS = {
    "in order": [
        call(0, id="a", type="function", function={"name": "f"}),
        call(0, "{"),
        call(0, "}"),
        call(1, "[]", id="b", type="function", function={"name": "g"}),
    ],
    "interleaved": [
        call(1, "[", id="b", type="function", function={"name": "g"}),
        call(0, "{", id="a", type="function", function={"name": "f"}),
        call(1, "]"),
        call(0, "}"),
    ],
    "without index": [
        call(None, "{", id="a", type="function", function={"name": "f"}),
        call(None, "}"),
        call(None, "[]", id="b", type="function", function={"name": "g"}),
    ],
}


@pytest.mark.parametrize("deltas", TOOLS.values(), ids=TOOLS.keys())
def test_tool_calls_add_up(deltas):
    assert message(*deltas)["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "[]"}},
    ]


def test_choices_are_kept_apart_and_usage_and_vendors_fields_come_along():
    body = assemble(
        [
            chunk({"content": "x"}, index=1, logprobs={"content": [{"token": "x"}]}),
            chunk({"content": "a"}, provider="p"),
            chunk({}, "length", index=1),
            chunk({"content": "b"}, "stop"),
            {**HEAD, "choices": [], "usage": {"total_tokens": 3}, "x_groq": 1},
        ]
    )
    assert [choice["message"]["content"] for choice in body["choices"]] == ["ab", "x"]
    assert [choice["finish_reason"] for choice in body["choices"]] == ["stop", "length"]
    assert body["choices"][1]["logprobs"]["content"] == [{"token": "x"}]
    assert body["choices"][0]["provider"] == "p"
    assert (body["usage"], body["x_groq"], body["object"]) == ({"total_tokens": 3}, 1, "chat.completion")


TOOL_CALLS = st.lists(
    st.builds(
        lambda name, arguments, number: {
            "id": f"c{number}",
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        },
        st.text(min_size=1),
        st.text(),
        st.integers(),
    ),
    min_size=1,
    max_size=3,
)


@st.composite
def completions(draw):
    choices = []
    for index in range(draw(st.integers(1, 3))):
        said = {"role": "assistant", "content": draw(st.none() | st.text()), "refusal": draw(st.none() | st.text())}
        if draw(st.booleans()):
            said["tool_calls"] = draw(TOOL_CALLS)
        reason = draw(st.sampled_from(["stop", "length", "tool_calls"]))
        choices.append({"index": index, "message": said, "finish_reason": reason, "logprobs": None})
    return {**HEAD, "object": "chat.completion", "choices": choices}


@given(completions())
def test_told_as_a_stream_and_put_together_again_nothing_is_lost(body):
    assert assemble(as_chunks(body)) == body
