import asyncio
import json

import httpx
import jsonschema
import pytest

from cascade.simulated import SimulatedUpstream
from cascade.simulated.faults import ANSWER_FAULTS, FAULTS, STATUS_FAULTS
from cascade.simulated.problems import problems
from cascade.upstreams.http_reply import InProcessTransport

EASY = "What is 17 + 25?"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the current weather of a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer"},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


@pytest.fixture
async def client():
    upstream = SimulatedUpstream(clock=lambda: 1_700_000_000.0)
    async with httpx.AsyncClient(transport=InProcessTransport(upstream), base_url="http://simulated/v1") as http:
        yield http


def ask(text=EASY, tier="small", **more):
    return {"model": tier, "messages": [{"role": "user", "content": text}], **more}


async def chat(client, body):
    return await client.post("/chat/completions", json=body)


async def message(client, body):
    reply = await chat(client, body)
    assert reply.status_code == 200, reply.text
    return reply.json()["choices"][0]["message"]


async def chunks(client, body):
    async with client.stream("POST", "/chat/completions", json={**body, "stream": True}) as reply:
        found = [line.removeprefix("data: ") async for line in reply.aiter_lines() if line.startswith("data: ")]
    assert found.pop() == "[DONE]"
    return [json.loads(chunk) for chunk in found]


@pytest.mark.parametrize("model", ["small", "simulated/small", "simulated-small"])
async def test_every_spelling_of_the_model_answers(client, model):
    body = (await chat(client, ask(tier=model))).json()
    assert body["model"] == "simulated-small"
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"]["content"].endswith("The answer is 42.")
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + body["usage"]["completion_tokens"]


async def test_the_models_are_listed_with_and_without_v1(client):
    body = (await client.get("/models")).json()
    assert [model["id"] for model in body["data"]] == ["small", "medium", "large"]
    assert (await client.get("http://simulated/models")).json() == body


async def test_the_same_request_gives_the_same_answer(client):
    assert (await chat(client, ask())).content == (await chat(client, ask())).content


async def test_outside_its_tasks_it_says_what_it_is(client):
    said = (await message(client, ask("Who was Napoleon?")))["content"]
    assert "simulated tier (small) of Gearbox" in said
    assert "add an API key" in said


async def test_an_image_is_honestly_not_seen(client):
    parts = [{"type": "text", "text": EASY}, {"type": "image_url", "image_url": {"url": "data:x"}}]
    said = (await message(client, {"model": "large", "messages": [{"role": "user", "content": parts}]}))["content"]
    assert said.startswith("I cannot see images")


async def test_max_tokens_cuts_and_says_so(client):
    body = (await chat(client, ask(max_tokens=3))).json()
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3


async def test_a_stop_sequence_ends_the_answer_before_it(client):
    body = (await chat(client, ask(stop=["The answer"]))).json()
    assert "The answer" not in body["choices"][0]["message"]["content"]
    assert body["choices"][0]["finish_reason"] == "stop"


async def test_n_gives_as_many_choices_that_agree_within_reach(client):
    choices = (await chat(client, ask(n=5, temperature=1, seed=3))).json()["choices"]
    contents = [choice["message"]["content"] for choice in choices]
    assert len(set(contents)) > 1
    assert all(content.endswith("The answer is 42.") for content in contents)


async def test_a_followup_refers_to_the_last_answer(client):
    turns = [("user", EASY), ("assistant", "The answer is 42."), ("user", "Now multiply that by 2.")]
    body = {"model": "large", "messages": [{"role": role, "content": text} for role, text in turns]}
    assert (await message(client, body))["content"].endswith("The answer is 84.")


async def test_only_the_letter_means_only_the_letter(client):
    said = await message(client, ask("What is 2 + 2?\nA) 3\nB) 4\nC) 5\nAnswer with only the letter."))
    assert said["content"] == "B"


async def test_the_margin_falls_with_difficulty(client):
    async def margin(question):
        body = ask(f"{question} Reply with only the number.", logprobs=True, top_logprobs=5)
        first = (await chat(client, body)).json()["choices"][0]["logprobs"]["content"][0]
        top = first["top_logprobs"]
        assert len(top) == 5
        assert top[0]["token"] == first["token"]
        assert first["bytes"] == list(first["token"].encode())
        return top[0]["logprob"] - top[1]["logprob"]

    assert await margin("What is 2 + 2?") > await margin("What is 347 * 968 - 212 * 87?") + 1


async def test_a_small_tier_told_to_abstain_sometimes_does(client):
    system = {"role": "system", "content": "If in doubt reply Abstain."}
    hard = [problem.question for problem in problems(1, 60)[40:]]
    said = [
        (await message(client, {"model": "small", "messages": [system, {"role": "user", "content": q}]}))["content"]
        for q in hard
    ]
    assert 4 < said.count("Abstain") < 18


async def test_a_stream_adds_up_to_the_completion(client):
    whole = (await chat(client, ask(logprobs=True, top_logprobs=2))).json()
    found = await chunks(client, ask(logprobs=True, top_logprobs=2, stream_options={"include_usage": True}))
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in found[:-1])
    assert text == whole["choices"][0]["message"]["content"]
    assert found[0]["choices"][0]["delta"]["role"] == "assistant"
    assert found[-2]["choices"][0]["finish_reason"] == "stop"
    assert found[-1]["choices"] == []
    assert found[-1]["usage"] == whole["usage"]
    assert all(chunk["usage"] is None for chunk in found[:-1])


async def test_without_include_usage_a_stream_has_none(client):
    assert all("usage" not in chunk for chunk in await chunks(client, ask()))


async def test_a_tool_is_called_with_arguments_that_fit_its_schema(client):
    said = await message(client, ask("What is the weather in Paris in celsius for 3 days?", tools=[WEATHER]))
    (call,) = said["tool_calls"]
    arguments = json.loads(call["function"]["arguments"])
    jsonschema.validate(arguments, WEATHER["function"]["parameters"])
    assert arguments == {"city": "Paris", "unit": "celsius"}


async def test_two_places_are_two_parallel_calls_unless_forbidden(client):
    body = ask("What is the weather in Paris and London?", tools=[WEATHER])
    assert len((await message(client, body))["tool_calls"]) == 2
    assert len((await message(client, {**body, "parallel_tool_calls": False}))["tool_calls"]) == 1


TOOL_CHOICES = {
    "none": ("What is the weather in Paris?", "none", False),
    "auto-unrelated": (EASY, "auto", False),
    "required": (EASY, "required", True),
    "named": (EASY, {"type": "function", "function": {"name": "get_weather"}}, True),
}


@pytest.mark.parametrize(("text", "choice", "called"), TOOL_CHOICES.values(), ids=TOOL_CHOICES)
async def test_tool_choice_is_respected(client, text, choice, called):
    assert ("tool_calls" in await message(client, ask(text, tools=[WEATHER], tool_choice=choice))) is called


async def test_a_streamed_tool_call_adds_up(client):
    body = ask("What is the weather in Paris?", tools=[WEATHER])
    whole = (await message(client, body))["tool_calls"][0]["function"]["arguments"]
    deltas = [chunk["choices"][0]["delta"].get("tool_calls", []) for chunk in await chunks(client, body)]
    assert "".join(call["function"]["arguments"] for calls in deltas for call in calls) == whole


async def test_a_tools_result_is_what_it_answers_with(client):
    call = {"id": "c", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "What is the weather in Paris?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": '{"sky": "rain"}'},
    ]
    assert (
        "sky: rain" in (await message(client, {"model": "small", "messages": messages, "tools": [WEATHER]}))["content"]
    )


SCHEMAS = {
    "answer-number": {"type": "object", "properties": {"answer": {"type": "number"}}, "required": ["answer"]},
    "everything": {
        "type": "object",
        "properties": {
            "answer": {"type": "integer"},
            "reasoning": {"type": "string"},
            "sure": {"type": "boolean"},
            "kind": {"enum": ["sum", "product"]},
            "parts": {"type": "array", "items": {"type": "number"}, "minItems": 2},
            "unit": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "score": {"type": "number", "minimum": 0, "maximum": 1},
        },
        "required": ["answer", "reasoning", "sure", "kind", "parts", "unit", "score"],
        "additionalProperties": False,
    },
    "recursive": {
        "$ref": "#/$defs/node",
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "answer": {"type": "string"},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                    "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
                },
                "required": ["answer", "next", "children"],
            }
        },
    },
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
async def test_structured_output_satisfies_its_schema_and_holds_the_answer(client, schema):
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    content = json.loads((await message(client, ask(response_format=wanted)))["content"])
    jsonschema.validate(content, schema)
    assert str(content["answer"]) == "42"


async def test_json_object_is_json(client):
    content = (await message(client, ask(response_format={"type": "json_object"})))["content"]
    assert json.loads(content)["answer"] == "42"


BAD = {
    "no-json": (b"{", None, None, 400),
    "no-messages": (b'{"model": "small"}', "messages", None, 400),
    "unknown-model": (b'{"model": "gpt", "messages": [{"role": "user"}]}', "model", "model_not_found", 404),
    "bad-n": (b'{"model": "small", "messages": [{"role": "user"}], "n": 0}', "n", None, 400),
    "unknown-fault": (b'{"model": "small+boom", "messages": [{"role": "user"}]}', "simulate", "unknown_fault", 400),
}


@pytest.mark.parametrize(("raw", "param", "code", "status"), BAD.values(), ids=BAD)
async def test_a_bad_request_gets_openais_error(client, raw, param, code, status):
    reply = await client.post("/chat/completions", content=raw)
    error = reply.json()["error"]
    assert reply.status_code == status
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["param"], error["code"]) == (param, code)


async def test_an_unknown_fault_names_the_known_ones(client):
    reply = await chat(client, ask(simulate={"small": "boom"}))
    assert all(name in reply.json()["error"]["message"] for name in FAULTS)


async def test_unknown_routes_and_methods_are_errors(client):
    assert (await client.get("/nothing")).status_code == 404
    assert (await client.get("/chat/completions")).status_code == 405


@pytest.mark.parametrize("name", STATUS_FAULTS)
async def test_a_status_fault_is_that_status(client, name):
    reply = await chat(client, ask(tier=f"simulated/small+{name}"))
    assert reply.status_code == STATUS_FAULTS[name][0]
    assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert ("retry-after" in reply.headers) is (name == "rate_limit")


async def test_a_fault_happens_to_its_tier_and_as_often_as_asked(client):
    wish = {"small": {"fault": "unavailable", "times": 2}}
    found = [(await chat(client, ask(simulate=wish))).status_code for _ in range(4)]
    assert found == [503, 503, 200, 200]
    assert (await chat(client, ask(tier="medium", simulate=wish))).status_code == 200


async def test_answer_faults_change_the_answer(client):
    bodies = {name: (await chat(client, ask(tier=f"small+{name}"))).json() for name in ANSWER_FAULTS}
    first = {name: body["choices"][0] for name, body in bodies.items()}
    assert first["empty_answer"]["message"]["content"] == ""
    assert "usage" not in bodies["no_usage"]
    assert first["truncated"]["finish_reason"] == "length"
    assert first["content_filter"]["finish_reason"] == "content_filter"
    assert first["refusal"]["message"]["refusal"]
    assert first["refusal"]["message"]["content"] is None


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_connection_is_a_transport_error(client, stream):
    with pytest.raises(httpx.RemoteProtocolError):
        await chat(client, ask(tier="small+cut_stream", stream=stream))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("name", ["timeout", "slow_first_token"])
async def test_silence_runs_into_the_clients_read_timeout(client, name, stream):
    body = ask(simulate={"small": {"fault": name, "seconds": 5}}, stream=stream)
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/chat/completions", json=body, timeout=0.05)


async def test_an_endless_stream_lasts_until_it_is_cancelled(client):
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await chat(client, ask(tier="small+endless_stream", stream=True))


async def test_an_error_comes_midway_in_the_stream(client):
    found = await chunks(client, ask(tier="small+error_in_stream"))
    assert "choices" in found[0]
    assert set(found[-1]["error"]) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("stream", [True, False])
async def test_malformed_json_does_not_parse(client, stream):
    reply = await chat(client, ask(tier="small+malformed_json", stream=stream))
    events = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line and "[DONE]" not in line]
    with pytest.raises(ValueError, match="char"):
        [json.loads(event) for event in events]


async def test_a_wrong_content_type_is_a_page(client):
    reply = await chat(client, ask(tier="small+wrong_content_type"))
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html"


async def test_hints_hand_over_the_final_answer_when_asked(client):
    reply = await client.post("/chat/completions", json=ask(), headers={"x-gearbox-call": "generate"})
    assert reply.json()["choices"][0]["message"]["final_answer"] == "42"
    assert "final_answer" not in await message(client, ask())
