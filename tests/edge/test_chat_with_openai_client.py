"""The main job: OpenAI's own client, pointed at Gearbox, sees OpenAI."""

from __future__ import annotations

import json

import openai
import pytest
from edge_server import EASY, EASY_ANSWER

ASK = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
}
SCHEMA = {
    "type": "json_schema",
    "json_schema": {
        "name": "result",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {"answer": {"type": "string"}},
            "required": ["answer"],
            "additionalProperties": False,
        },
    },
}


def text_of(chunks):
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)


def test_a_chat_is_answered_with_who_answered_and_what_it_cost(client):
    answer = client.chat.completions.create(**ASK)
    assert EASY_ANSWER in answer.choices[0].message.content
    assert answer.object == "chat.completion"
    assert answer.model == "simulated-small"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
    assert answer.usage.cost > 0
    assert answer.gearbox["tier"] == "small"
    assert answer.gearbox["attempts"] == "small:valid"
    assert answer.id == f"chatcmpl-{answer.gearbox['id']}"


async def test_the_async_client_gets_the_same(gearbox):
    async with openai.AsyncOpenAI(base_url=f"{gearbox.url}/v1", api_key="any", max_retries=0) as client:
        answer = await client.chat.completions.create(**ASK)
        stream = await client.chat.completions.create(**ASK, stream=True)
        streamed = text_of([chunk async for chunk in stream])
    assert streamed == answer.choices[0].message.content


def test_a_stream_tells_the_same_text_as_the_whole_answer(client):
    whole = client.chat.completions.create(**ASK).choices[0].message.content
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert text_of(chunks) == whole
    assert [chunk.choices[0].finish_reason for chunk in chunks][-1] == "stop"
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk.id for chunk in chunks}) == 1


def test_a_stream_without_include_usage_has_no_usage_anywhere(client):
    chunks = list(client.chat.completions.create(**ASK, stream=True))
    assert all("usage" not in chunk.model_fields_set for chunk in chunks)
    assert all(chunk.choices for chunk in chunks)


def test_the_last_chunk_alone_carries_the_gearbox_object(client):
    *others, last = client.chat.completions.create(**ASK, stream=True)
    assert last.gearbox["attempts"] == "small:valid"
    assert not any(hasattr(chunk, "gearbox") for chunk in others)


def test_with_include_usage_a_last_chunk_without_choices_carries_it_and_all_others_say_null(client):
    *others, last = client.chat.completions.create(**ASK, stream=True, stream_options={"include_usage": True})
    assert last.choices == []
    assert last.usage.total_tokens > 0
    assert last.usage.cost == last.gearbox["cost"] > 0
    assert all("usage" in chunk.model_fields_set and chunk.usage is None for chunk in others)


def test_a_stream_on_the_wire_is_data_lines_and_ends_with_done(http):
    with http.stream("POST", "/v1/chat/completions", json={**ASK, "stream": True}) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        events = reply.read().decode().split("\n\n")
    assert events[-2:] == ["data: [DONE]", ""]
    assert all(event.startswith(("data: {", ": ")) for event in events[:-2])


def test_a_tool_is_called_and_its_result_is_answered(client):
    messages = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]
    called = client.chat.completions.create(model="llm-at", messages=messages, tools=[WEATHER], tool_choice="required")
    (call,) = called.choices[0].message.tool_calls
    assert called.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "get_weather"
    assert isinstance(json.loads(call.function.arguments)["city"], str)
    result = {"role": "tool", "tool_call_id": call.id, "content": '{"sky": "clear"}'}
    after = [*messages, called.choices[0].message.model_dump(exclude_none=True), result]
    assert client.chat.completions.create(model="llm-at", messages=after, tools=[WEATHER]).choices[0].message.content


def test_a_streamed_tool_call_adds_up_to_the_whole_one(client):
    ask = {
        "model": "llm-at",
        "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
        "tools": [WEATHER],
        "tool_choice": "required",
    }
    whole = client.chat.completions.create(**ask).choices[0].message.tool_calls[0].function
    parts = [
        call.function
        for chunk in client.chat.completions.create(**ask, stream=True)
        for choice in chunk.choices
        for call in choice.delta.tool_calls or ()
    ]
    assert "".join(part.name or "" for part in parts) == whole.name
    assert json.loads("".join(part.arguments or "" for part in parts)) == json.loads(whole.arguments)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_json_schema_is_kept(client, stream):
    answer = client.chat.completions.create(**ASK, response_format=SCHEMA, stream=stream)
    text = text_of(answer) if stream else answer.choices[0].message.content
    assert json.loads(text) == {"answer": EASY_ANSWER}


def test_n_2_gives_two_choices_and_one_judge_looks_at_the_first(client, gearbox):
    answer = client.chat.completions.create(**ASK, n=2)
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [call["purpose"] for call in gearbox.calls(answer.gearbox["id"])] == ["generate", "judge"]


def test_n_2_streams_both_choices_to_their_ends(client):
    ends: dict[int, str] = {}
    texts = {0: "", 1: ""}
    for chunk in client.chat.completions.create(**ASK, n=2, stream=True):
        for choice in chunk.choices:
            assert choice.index not in ends, "text after its choice's end"
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert ends == {0: "stop", 1: "stop"}
    assert all(EASY_ANSWER in text for text in texts.values())


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_logprobs_come_through(client, stream):
    answer = client.chat.completions.create(**ASK, logprobs=True, top_logprobs=2, stream=stream)
    chunks = list(answer) if stream else [answer]
    tokens = [
        token
        for chunk in chunks
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content or ()
    ]
    assert len(tokens) > 3
    assert all(len(token.top_logprobs) == 2 for token in tokens)


def test_the_models_are_policies_tiers_and_aliases(client):
    names = [model.id for model in client.models.list()]
    assert names[:2] == ["auto", "llm-at"]
    assert {"small", "medium", "large", "gpt-4o", "gpt-*"} <= set(names)


@pytest.mark.parametrize("name", ["auto", "llm-at", "small", "gpt-4o", "gpt-5-nano"])
def test_a_model_is_retrieved_by_its_name(client, name):
    model = client.models.retrieve(name)
    assert (model.id, model.object) == (name, "model")


def test_retrieving_an_unknown_model_is_model_not_found(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("claude-3")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("alias", ["gpt-4o", "gpt-5.4-mini"])
def test_an_alias_is_served_by_its_policy(client, gearbox, alias):
    answer = client.chat.completions.create(**{**ASK, "model": alias})
    assert answer.gearbox["policy"] == "llm-at"
    assert gearbox.row(answer.id)["asked_model"] == alias


def test_a_tier_named_as_model_answers_alone_and_unjudged(client):
    answer = client.chat.completions.create(**{**ASK, "model": "medium"})
    assert answer.gearbox["policy"] == "always:medium"
    assert answer.gearbox["attempts"] == "medium:unjudged"


def test_an_unknown_model_is_told_the_alias_line_that_would_serve_it(client):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(**{**ASK, "model": "claude-3"})
    assert caught.value.code == "model_not_found"
    assert caught.value.param == "model"
    assert 'aliases: {"claude-3": auto}' in caught.value.message


def test_parameters_nobody_knows_are_passed_on(client):
    answer = client.chat.completions.create(**ASK, extra_body={"reasoning_effort": "low", "made_up": {"a": [1]}})
    assert answer.choices[0].message.content
