"""The Responses API through the official client: `create`, `parse`, the stream and its helper."""

from __future__ import annotations

import json

import openai
import pytest
from pydantic import BaseModel
from vendor import TEXT, Failure

TOOL = {
    "type": "function",
    "name": "add",
    "description": "Adds.",
    "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
    "strict": True,
}


class City(BaseModel):
    name: str
    people: int


def test_a_response_is_answered_and_accounted_for(client, gearbox, vendor):
    raw = client.responses.with_raw_response.create(
        model="gpt-5", input="Say hello", instructions="Be brief.", max_output_tokens=50, reasoning={"effort": "low"}
    )
    done = raw.parse()
    row = gearbox.row(raw.headers["x-request-id"])
    assert (done.object, done.status, done.output_text) == ("response", "completed", TEXT)
    assert done.id == f"resp_{raw.headers['x-request-id']}"
    assert (done.usage.input_tokens, done.usage.output_tokens, done.usage.total_tokens) == (22, 4, 26)
    assert done.usage.input_tokens_details.cached_tokens == 5
    assert done.usage.output_tokens_details.reasoning_tokens == 1
    assert round(done.usage.cost * 1e9) == row["cost_nanousd"]
    assert (done.instructions, done.max_output_tokens, done.reasoning.effort) == ("Be brief.", 50, "low")
    assert done.store is False
    assert done.gearbox["tier"] == "small"
    sent = vendor.asked[0].body
    assert sent["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Say hello"},
    ]
    assert sent["reasoning_effort"] == "low"
    assert sent["max_tokens" if "max_tokens" in sent else "max_completion_tokens"] == 50
    assert not {"input", "instructions", "reasoning", "store", "max_output_tokens"} & sent.keys()


def test_it_is_judged_and_shifted_up_like_a_chat(client, vendor):
    vendor.verdict = "no"
    raw = client.responses.with_raw_response.create(model="llm-at", input="Say hello")
    assert raw.headers["x-gearbox-attempts"].startswith("small:invalid,large:")


def test_items_become_messages(client, vendor):
    vendor.tool = None
    items = [
        {"role": "developer", "content": "Be exact."},
        {"role": "user", "content": [{"type": "input_text", "text": "add"}]},
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Sure."}]},
        {"type": "function_call", "call_id": "c1", "name": "add", "arguments": '{"a":1}'},
        {"type": "function_call", "call_id": "c2", "name": "add", "arguments": '{"a":2}'},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "and this?"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
            ],
        },
    ]
    client.responses.create(model="small", input=items, tools=[TOOL])
    calls = [
        {"id": call, "type": "function", "function": {"name": "add", "arguments": arguments}}
        for call, arguments in (("c1", '{"a":1}'), ("c2", '{"a":2}'))
    ]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
    assert vendor.last.body["messages"] == [
        {"role": "developer", "content": "Be exact."},
        {"role": "user", "content": [{"type": "text", "text": "add"}]},
        {"role": "assistant", "content": "Sure.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "2"}]},
        {"role": "user", "content": [{"type": "text", "text": "and this?"}, image]},
    ]


def test_functions_are_called(client, vendor):
    vendor.tool = ("add", {"a": 1})
    done = client.responses.create(
        model="small", input="add 1", tools=[TOOL], tool_choice={"type": "function", "name": "add"}
    )
    (call,) = done.output
    assert (call.type, call.name, call.call_id, json.loads(call.arguments)) == (
        "function_call",
        "add",
        "call_1",
        {"a": 1},
    )
    assert vendor.last.body["tools"] == [
        {"type": "function", "function": {key: value for key, value in TOOL.items() if key != "type"}}
    ]
    assert vendor.last.body["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert done.tools[0].name == "add"


def test_a_response_goes_back_in_as_the_next_input(client, vendor):
    vendor.tool = ("add", {"a": 1})
    done = client.responses.create(model="small", input="add 1", tools=[TOOL])
    output = {"type": "function_call_output", "call_id": done.output[0].call_id, "output": "1"}
    vendor.tool = None
    again = client.responses.create(
        model="small", input=[{"role": "user", "content": "add 1"}, *done.output, output], tools=[TOOL]
    )
    assert again.output_text == TEXT
    assert [message["role"] for message in vendor.last.body["messages"]] == ["user", "assistant", "tool"]


def test_parse_gives_the_wanted_shape(client, vendor):
    vendor.text = '{"name": "Ulm", "people": 126000}'
    done = client.responses.parse(model="small", input="a city", text_format=City)
    assert done.output_parsed == City(name="Ulm", people=126000)
    wanted = vendor.asked[0].body["response_format"]
    assert (wanted["type"], wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == (
        "json_schema",
        "City",
        True,
    )


CUT = {"choices": [{"index": 0, "message": {"role": "assistant", "content": "Hel"}, "finish_reason": "length"}]}


def test_an_answer_cut_by_its_limit_is_incomplete_and_so_is_its_message(client, vendor):
    vendor.extra = CUT
    done = client.responses.create(model="small", input="Hi", max_output_tokens=16)
    assert (done.status, done.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert [item.status for item in done.output] == ["incomplete"]


def test_a_streamed_message_that_was_cut_is_incomplete(client, vendor):
    vendor.extra = CUT
    with client.responses.create(model="llm-at", input="Hi", max_output_tokens=16, stream=True) as stream:
        *_, item, end = (event for event in stream if event.type != "error")
    assert (item.type, item.item.status) == ("response.output_item.done", "incomplete")
    assert (end.type, end.response.output[0].status) == ("response.incomplete", "incomplete")


def test_log_probabilities_are_included_where_asked_for(client, vendor):
    done = client.responses.create(model="small", input="Hi", include=["message.output_text.logprobs"], top_logprobs=2)
    assert [entry.token for entry in done.output[0].content[0].logprobs] == [TEXT[:5], TEXT[5:]]
    assert vendor.last.body["logprobs"] is True


@pytest.mark.parametrize("mode", ["hold", "direct"])
def test_a_stream_has_every_event_in_order(client, vendor, mode):
    headers = {"x-gearbox-stream": mode}
    with client.responses.create(model="llm-at", input="Hi", stream=True, extra_headers=headers) as stream:
        events = list(stream)
    kinds = [event.type for event in events]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert "".join(event.delta for event in events if event.type.endswith(".delta")) == TEXT
    last = events[-1].response
    assert last.output_text == TEXT
    assert last.usage.total_tokens == 26
    assert last.usage.cost > 0
    assert last.id == events[0].response.id
    assert events[8].item == last.output[0]


def test_a_streamed_call_is_put_together(client, vendor):
    vendor.tool = ("add", {"a": 1})
    with client.responses.stream(model="small", input="add 1", tools=[TOOL]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    kinds = [event.type for event in events]
    assert "response.function_call_arguments.delta" in kinds
    assert kinds[-2:] == ["response.output_item.done", "response.completed"]
    assert json.loads(final.output[0].arguments) == {"a": 1}
    done = next(event for event in events if event.type == "response.output_item.done")
    assert done.item.call_id == "call_1"


def test_the_stream_helper_parses(client, vendor):
    vendor.text = '{"name": "Ulm", "people": 126000}'
    with client.responses.stream(model="small", input="a city", text_format=City) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_parsed == City(name="Ulm", people=126000)


def test_the_stream_ends_without_a_word_of_another_api(http, vendor):
    text = http.post("/v1/responses", json={"model": "small", "input": "Hi", "stream": True}).text
    assert "[DONE]" not in text
    assert text.startswith("event: response.created\ndata: {")


REFUSED = {
    "an earlier response": ({"previous_response_id": "resp_1"}, "previous_response_id"),
    "a conversation": ({"conversation": "conv_1"}, "conversation"),
    "the background": ({"background": True}, "background"),
    "a template": ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    "a tool of OpenAI's": ({"tools": [{"type": "web_search"}]}, "tools.0"),
    "a tool without a name": ({"tools": [{"type": "function"}]}, "tools.0.name"),
    "a reference": ({"input": [{"type": "item_reference", "id": "x"}]}, "input.0"),
    "a file by id": (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input.0.content.0",
    ),
    "no input": ({"input": None}, "input"),
    "a wrong role": ({"input": [{"role": "king", "content": "x"}]}, "messages.0.role"),
    "a wrong limit": ({"max_output_tokens": 0}, "max_output_tokens"),
    "a wrong text": ({"text": "json"}, "text"),
    "a format without a schema": ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
    "reasoning of a wrong type": ({"reasoning": "high"}, "reasoning"),
    "include of a wrong type": ({"include": 5}, "include"),
    "instructions of a wrong type": ({"instructions": 5}, "instructions"),
    "an output of a wrong type": (
        {"input": [{"type": "function_call_output", "call_id": "c", "output": 5}]},
        "input.0.output",
    ),
    "a choice of a wrong kind": ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_a_400_that_names_it(http, row):
    body, param = row
    reply = http.post("/v1/responses", json={"model": "small", "input": "Hi", **body})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


def test_what_is_only_about_keeping_is_taken_and_not_passed_on(client, vendor):
    done = client.responses.create(
        model="small", input="Hi", store=True, metadata={"a": "b"}, truncation="auto", background=False
    )
    assert done.metadata == {"a": "b"}
    assert not {"store", "metadata", "truncation", "background"} & vendor.last.body.keys()


@pytest.mark.parametrize("stream", [False, True])
def test_an_early_failure_has_a_status_of_its_own(client, vendor, stream):
    vendor.failure = Failure(400, {"error": {"message": "no such thing", "code": "odd"}})
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="small", input="Hi", stream=stream)
    assert caught.value.code == "odd"


def test_a_late_failure_is_raised_by_the_client(client, vendor):
    vendor.cut = True
    live = {"x-gearbox-stream": "direct"}
    with (
        pytest.raises(openai.APIError) as caught,
        client.responses.create(model="small", input="Hi", stream=True, extra_headers=live) as stream,
    ):
        list(stream)
    assert "middle of the answer" in str(caught.value)


def test_what_identifies_a_caller_is_repeated_where_it_was_given(http, vendor):
    given = {"user": "u", "safety_identifier": "s", "prompt_cache_key": "k"}
    with_them = http.post("/v1/responses", json={"model": "small", "input": "hi", **given}).json()
    without = http.post("/v1/responses", json={"model": "small", "input": "hi"}).json()
    assert {name: with_them[name] for name in given} == given
    assert {name: without.get(name) for name in given} == {
        "user": None,
        "safety_identifier": "",
        "prompt_cache_key": "",
    }
    assert "user" not in without
