"""The legacy endpoint, through the official client: a chat in the vendor's eyes, a text completion in the client's."""

from __future__ import annotations

import json

import openai
import pytest
from vendor import TEXT


def test_a_prompt_is_answered_and_accounted_for(client, gearbox, vendor):
    raw = client.completions.with_raw_response.create(model="gpt-3.5-turbo-instruct", prompt="Say hello", max_tokens=9)
    done = raw.parse()
    assert (done.object, done.choices[0].text, done.choices[0].finish_reason) == ("text_completion", TEXT, "stop")
    assert done.id == f"cmpl-{raw.headers['x-request-id']}"
    assert done.usage.prompt_tokens == 22
    row = gearbox.row(raw.headers["x-request-id"])
    assert f"{done.usage.cost:.9f}" == raw.headers["x-gearbox-cost-usd"]
    assert row["cost_nanousd"] == round(done.usage.cost * 1e9)
    assert row["question"] == "Say hello"
    assert vendor.asked[0].body["messages"] == [{"role": "user", "content": "Say hello"}]
    assert vendor.asked[0].body["max_tokens"] == 9


def test_it_is_judged_and_shifted_up_like_a_chat(client, vendor):
    vendor.verdict = "no"
    raw = client.completions.with_raw_response.create(model="llm-at", prompt="Say hello")
    assert raw.headers["x-gearbox-attempts"].startswith("small:invalid,large:")


def test_a_stream_comes_in_the_legacy_shape(client, vendor):
    vendor.verdict = "yes"
    with client.completions.create(
        model="small", prompt="Hi", stream=True, stream_options={"include_usage": True}
    ) as stream:
        chunks = list(stream)
    assert {chunk.object for chunk in chunks} == {"text_completion"}
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == TEXT
    assert [choice.finish_reason for chunk in chunks for choice in chunk.choices][-1] == "stop"
    assert all(chunk.choices[0].text or chunk.choices[0].finish_reason for chunk in chunks[:-1])
    assert chunks[-1].usage.completion_tokens == 4
    assert chunks[-1].gearbox["tier"] == "small"


def test_a_stream_without_usage_has_none_and_ends_as_streams_end(http, vendor):
    body = {"model": "small", "prompt": "Hi", "stream": True}
    lines = http.post("/v1/completions", json=body).text.strip().split("\n\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: {")]
    assert lines[-1] == "data: [DONE]"
    assert all("usage" not in event for event in events)


def test_log_probabilities_come_in_the_legacy_shape(client, vendor):
    logprobs = client.completions.create(model="small", prompt="Hi", logprobs=2).choices[0].logprobs
    assert logprobs.tokens == [TEXT[:5], TEXT[5:]]
    assert logprobs.token_logprobs == [-0.1, -0.1]
    assert logprobs.top_logprobs[0] == {TEXT[:5]: -0.1, "Bye": -2.5}
    assert logprobs.text_offset == [0, 5]
    assert vendor.last.body["top_logprobs"] == 2


def test_streamed_log_probabilities_count_on(client, vendor):
    chunks = list(client.completions.create(model="small", prompt="Hi", logprobs=1, stream=True))
    offsets = [o for chunk in chunks for c in chunk.choices if c.logprobs for o in c.logprobs.text_offset]
    assert offsets == [0, 5]


def test_several_choices_are_several_texts(client, vendor):
    done = client.completions.create(model="small", prompt="Hi", n=3)
    assert [choice.index for choice in done.choices] == [0, 1, 2]


def test_several_prompts_are_several_runs_in_one_answer(client, gearbox, vendor):
    raw = client.completions.with_raw_response.create(model="llm-at", prompt=["one", "two", "three"], n=2)
    done = raw.parse()
    runs = done.gearbox["runs"]
    rows = [gearbox.row(run["id"]) for run in runs]
    assert [choice.index for choice in done.choices] == list(range(6))
    assert [row["question"] for row in rows] == ["one", "two", "three"]
    assert runs[0]["id"] == raw.headers["x-request-id"]
    assert done.usage.prompt_tokens == 66
    assert round(done.usage.cost * 1e9) == sum(row["cost_nanousd"] for row in rows)
    assert raw.headers["x-gearbox-cost-usd"] == f"{done.usage.cost:.9f}"
    assert done.gearbox["cost"] == done.usage.cost


def test_several_prompts_share_one_cap(client, vendor):
    headers = {"x-gearbox-budget-usd": "0.0008"}
    done = client.completions.create(model="small", prompt=["one", "two"], max_tokens=20, extra_headers=headers)
    assert done.usage.cost < 0.0008
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="small", prompt=["one"] * 40, max_tokens=20, extra_headers=headers)
    assert caught.value.code in {"budget_too_small", "budget_exhausted"}


REFUSED = {
    "echo": ({"echo": True}, "echo"),
    "suffix": ({"suffix": "the end"}, "suffix"),
    "best_of": ({"best_of": 3}, "best_of"),
    "tokens": ({"prompt": [1, 2]}, "prompt"),
    "lists of tokens": ({"prompt": [[1], [2]]}, "prompt"),
    "no prompt": ({"prompt": []}, "prompt"),
    "too many prompts": ({"prompt": ["a"] * 129}, "prompt"),
    "log probabilities out of range": ({"logprobs": 6}, "logprobs"),
    "a boolean for a number": ({"logprobs": True}, "logprobs"),
    "a stream of too many": ({"prompt": ["a"] * 129, "stream": True}, "prompt"),
    "a wrong temperature": ({"temperature": 9}, "temperature"),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_a_400_that_names_it(http, row):
    body, param = row
    reply = http.post("/v1/completions", json={"model": "small", "prompt": "Hi", **body})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


def test_harmless_values_of_them_are_taken(client, vendor):
    done = client.completions.create(model="small", prompt="Hi", echo=False, suffix=None, best_of=1)
    assert done.choices[0].text == TEXT
    assert not {"echo", "suffix", "best_of", "prompt"} & vendor.last.body.keys()


def test_an_id_of_a_completion_names_its_decision(client, http, vendor):
    done = client.completions.create(model="small", prompt="Hi")
    assert http.get(f"/v1/decisions/{done.id}").json()["id"] == done.id.removeprefix("cmpl-")
