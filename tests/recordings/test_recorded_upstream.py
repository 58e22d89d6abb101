"""The recorded upstream, through its HTTP surface."""

import json
import math
import time

import pytest
from recording_builder import Draft

from cascade.recordings import load
from cascade.upstreams.recorded import RecordedUpstream

CHAT = "/v1/chat/completions"


class Client:
    """Speaks to the handler as HTTP would."""

    def __init__(self, handler):
        self.handler = handler

    async def raw(self, method, path, headers=None, body=b""):
        reply = await self.handler.handle(method, path, headers or {}, body)
        return reply.status, b"".join([piece async for piece in reply.body])

    async def chat(self, text="What is 1 + 1?", model="small", headers=None, **extra):
        body = {"model": model, "messages": [{"role": "user", "content": text}], **extra}
        status, data = await self.raw("POST", CHAT, headers, json.dumps(body).encode())
        return status, json.loads(data)

    async def events(self, **extra):
        body = {"model": "small", "messages": [{"role": "user", "content": "What is 1 + 1?"}], "stream": True, **extra}
        _, data = await self.raw("POST", CHAT, {}, json.dumps(body).encode())
        *events, done = data.decode().strip().split("\n\n")
        assert done == "data: [DONE]"
        return [json.loads(event.removeprefix("data: ")) for event in events]


@pytest.fixture
def draft():
    return Draft()


@pytest.fixture
def client(draft, tmp_path):
    return Client(RecordedUpstream(load(draft.write(tmp_path / "r")), clock=lambda: 1.0))


def text_of(reply):
    return reply["choices"][0]["message"]["content"]


def case(text, nonce="c0ffee"):
    return f"Judge it.\n<question id={nonce}>\n{text}\n</question id={nonce}>\n<answer id={nonce}>\n2\n</answer>"


async def test_the_recorded_answer_comes_with_its_tokens(client):
    status, reply = await client.chat()
    assert status == 200
    assert reply["object"] == "chat.completion"
    assert reply["model"] == "small"
    assert text_of(reply) == "I think the answer is 2"
    assert reply["choices"][0]["finish_reason"] == "stop"
    assert reply["usage"] == {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}


async def test_the_final_answer_is_told_only_to_who_sends_hints(client):
    _, plain = await client.chat()
    _, hinted = await client.chat(headers={"x-gearbox-call": "generate"})
    assert "final_answer" not in plain["choices"][0]["message"]
    assert hinted["choices"][0]["message"]["final_answer"] == "2"


async def test_a_question_is_found_whatever_the_system_message_and_as_parts(client):
    messages = [
        {"role": "system", "content": "Sing."},
        {"role": "user", "content": [{"type": "text", "text": "Which one?"}]},
    ]
    _, reply = await client.chat(messages=messages)
    assert text_of(reply) == "I think the answer is A"


async def test_the_nth_time_a_model_is_asked_a_text_it_gives_the_nth_occurrence(client):
    said = [text_of((await client.chat("Which one?"))[1])[-1] for _ in range(3)]
    other = text_of((await client.chat("Which one?", model="large"))[1])[-1]
    assert said == ["A", "g", "g"]  # q5 is answered "wrong" by small; the last occurrence stays
    assert other == "A"


@pytest.mark.parametrize("how", ["header", "metadata"])
async def test_an_explicit_id_decides(client, how):
    headers = {"x-gearbox-recording-id": "q5"} if how == "header" else {}
    extra = {"metadata": {"recording_id": "q5"}} if how == "metadata" else {}
    _, reply = await client.chat("Which one?", model="large", headers=headers, **extra)
    assert text_of(reply) == "I think the answer is B"


async def test_an_abstention_is_the_bare_word(client, draft):
    _, reply = await client.chat("What is 4 + 4?")
    assert text_of(reply) == "Abstain"


async def test_a_provider_before_the_models_name_does_not_matter(client):
    assert (await client.chat(model="openai/small"))[0] == 200
    assert (await client.chat(model="medium"))[0] == 200


async def test_a_judge_call_gets_the_recorded_verdict_and_its_tokens(client):
    headers = {"x-gearbox-call": "judge; of=small"}
    _, right = await client.chat(case("What is 1 + 1?"), "vendor/medium", headers)
    _, wrong = await client.chat(case("What is 2 + 2?"), "vendor/medium", headers)
    assert (text_of(right), text_of(wrong)) == ("validity: yes", "validity: no")
    assert right["usage"] == {"prompt_tokens": 100, "completion_tokens": 3, "total_tokens": 103}


async def test_a_judge_judges_the_answer_that_was_given_last(client):
    headers = {"x-gearbox-call": "judge; of=small"}
    verdicts = []
    for _ in range(2):
        await client.chat("Which one?")
        verdicts.append(text_of((await client.chat(case("Which one?"), "vendor/medium", headers))[1]))
    assert verdicts == ["validity: yes", "validity: no"]


async def test_a_question_behind_context_is_found_by_the_judge(client):
    headers = {"x-gearbox-call": "judge; of=small"}
    status, _ = await client.chat(case("Earlier talk\nWhat is 1 + 1?"), "vendor/medium", headers)
    assert status == 200


@pytest.mark.parametrize(
    ("text", "hint", "words"),
    [
        (case("What is 1 + 1?"), "judge; of=large", "no recorded verdict for large's answer to the query 'q0'"),
        (case("What is 4 + 4?"), "judge; of=small", "no recorded verdict"),
        ("no tags", "judge; of=small", "<question id="),
        (case("What is 1 + 1?"), "judge", "judge; of=MODEL"),
    ],
)
async def test_a_judge_call_that_cannot_be_answered_is_a_400(client, text, hint, words):
    status, reply = await client.chat(text, "large", {"x-gearbox-call": hint})
    assert status == 400
    assert words in reply["error"]["message"]


async def test_an_unknown_question_is_a_404_that_says_so(client):
    status, reply = await client.chat("Who are you?")
    assert (status, reply["error"]["code"]) == (404, "question_not_recorded")
    assert set(reply["error"]) == {"message", "type", "param", "code"}


async def test_an_unknown_model_is_a_404_that_lists_the_recorded_ones(client):
    status, reply = await client.chat(model="huge")
    assert (status, reply["error"]["code"]) == (404, "model_not_found")
    assert "small, vendor/medium, large" in reply["error"]["message"]


async def test_a_stream_says_the_same_words(client):
    events = await client.events()
    words = [event["choices"][0]["delta"].get("content", "") for event in events]
    assert "".join(words) == "I think the answer is 2"
    assert len(events) > 5
    assert events[-1]["choices"][0]["finish_reason"] == "stop"
    assert all("usage" not in event for event in events)


async def test_a_stream_with_usage_ends_with_it(client):
    events = await client.events(stream_options={"include_usage": True})
    assert events[-1]["choices"] == []
    assert events[-1]["usage"]["completion_tokens"] == 10
    assert all(event["usage"] is None for event in events[:-1])


@pytest.mark.parametrize("confidence", [0, 0.25, 0.9, 1])
async def test_the_first_tokens_margin_is_the_recorded_confidence(draft, tmp_path, confidence):
    draft.answers["small"][0]["confidence"] = confidence
    client = Client(RecordedUpstream(load(draft.write(tmp_path / "r"))))
    _, reply = await client.chat(logprobs=True, top_logprobs=5)
    best, second = reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    assert best["token"] == "I"
    assert math.exp(best["logprob"]) - math.exp(second["logprob"]) == pytest.approx(confidence)


async def test_log_probabilities_come_only_where_asked_for_and_recorded(client, draft, tmp_path):
    assert (await client.chat())[1]["choices"][0]["logprobs"] is None
    del draft.answers["small"][0]["confidence"]
    other = Client(RecordedUpstream(load(draft.write(tmp_path / "other"))))
    assert (await other.chat(logprobs=True))[1]["choices"][0]["logprobs"] is None


async def test_fewer_allowed_tokens_cut_the_answer_as_a_vendor_would(client):
    _, reply = await client.chat(max_tokens=5)
    assert reply["choices"][0]["finish_reason"] == "length"
    assert text_of(reply) == "I think the"
    assert reply["usage"]["completion_tokens"] == 5


async def test_n_choices_are_billed_n_times(client):
    _, reply = await client.chat(n=3)
    assert [choice["index"] for choice in reply["choices"]] == [0, 1, 2]
    assert reply["usage"]["completion_tokens"] == 30


async def test_the_models_are_listed(client):
    _, data = await client.raw("GET", "/v1/models")
    assert [model["id"] for model in json.loads(data)["data"]] == ["small", "vendor/medium", "large"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", CHAT, b"", 405),
        ("POST", "/v1/models", b"", 405),
        ("GET", "/v1/other", b"", 404),
        ("POST", CHAT, b"{", 400),
        ("POST", CHAT, b"[]", 400),
        ("POST", CHAT, b'{"model": "small"}', 400),
        ("POST", CHAT, b'{"model": "small", "messages": []}', 400),
        ("POST", CHAT, b'{"model": "small", "messages": [7, {"role": 3}]}', 404),
        ("POST", CHAT, b'{"model": "small", "messages": [{"role": "user", "content": "x"}], "n": 0}', 400),
    ],
)
async def test_what_is_no_chat_request_gets_openais_error(client, method, path, body, status):
    got, data = await client.raw(method, path, {}, body)
    assert got == status
    assert set(json.loads(data)["error"]) == {"message", "type", "param", "code"}


async def test_the_recorded_latency_can_be_lived_through(draft, tmp_path):
    client = Client(RecordedUpstream(load(draft.write(tmp_path / "r")), pace=0.1))
    started = time.monotonic()
    await client.chat()
    assert time.monotonic() - started >= 0.05
