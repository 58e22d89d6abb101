"""The response cache, idempotency keys and retries that join: what is paid once, and what stays apart."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import openai
import pytest
from edge_server import EASY, config, plan_of
from test_clients_that_leave import PATIENT, send_and_leave
from test_faults import with_medium
from test_request_errors import error_of
from test_request_headers import chat

from app.wiring_money import answered_by
from cascade.upstreams.sse import DONE

CACHED = {"cache": {"ttl_s": 60}}
SLOW = {"small": {"fault": "slow_first_token", "seconds": 0.7}}
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


def asking(gearbox):
    return httpx.Client(base_url=gearbox.url, timeout=20)


def told(reply):
    """What a reply says of the cache, its id and its text, whole or streamed."""
    if "text/event-stream" not in reply.headers["content-type"]:
        body = reply.json()
        return body["gearbox"]["cache"], body["gearbox"]["id"], body["choices"][0]["message"]["content"]
    assert reply.content.endswith(DONE)
    events = [json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content") or "" for event in events for choice in event["choices"])
    return events[-1]["gearbox"]["cache"], events[-1]["gearbox"]["id"], text


def rows(gearbox):
    return gearbox.sql("SELECT * FROM inference ORDER BY created_at")


@both
def test_the_same_question_is_answered_from_the_cache_at_no_cost(serve, stream):
    gearbox = serve(**CACHED)
    with asking(gearbox) as http:
        first = chat(http, temperature=0)
        second = told(chat(http, temperature=0, stream=stream))
    assert told(first)[0] == "miss"
    assert (second[0], second[2]) == ("hit", told(first)[2])
    paid, free = rows(gearbox)
    assert (free["id"], free["cost_nanousd"]) == (second[1], 0)
    assert paid["cost_nanousd"] > 0
    assert free["baseline_nanousd"] == paid["baseline_nanousd"] > 0
    assert [call["cost_source"] for call in gearbox.calls(second[1])] == ["cache"]


def test_a_cached_stream_serves_those_who_want_it_whole(serve):
    with asking(serve(**CACHED)) as http:
        first = told(chat(http, seed=7, stream=True))
        second = chat(http, seed=7)
    assert (second.headers["x-gearbox-cache"], told(second)[2]) == ("hit", first[2])


@pytest.mark.parametrize(
    "change",
    [{"temperature": 0.5}, {"temperature": None}, {"seed": 1}, {"max_tokens": 900}, {"model": "medium"}],
    ids=str,
)
def test_another_question_is_not_answered_from_the_cache(serve, change):
    with asking(serve(**CACHED)) as http:
        chat(http, temperature=0)
        assert told(chat(http, **{"temperature": 0, **change}))[0] == "miss"


def test_teams_do_not_share_answers_unless_they_are_meant_to(serve, catalog, tmp_path):
    keys = [{"key": "red", "team": "red"}, {"key": "blue", "team": "blue"}]
    gearbox = serve(keys=keys, **CACHED)
    found = []
    for key in ("red", "blue", "blue"):
        with httpx.Client(base_url=gearbox.url, headers={"authorization": f"Bearer {key}"}) as http:
            found.append(told(chat(http, temperature=0))[0])
    assert found == ["miss", "miss", "hit"]


@pytest.mark.parametrize("header", ["x-gearbox-cache", "x-gearbox-store"])
def test_whoever_switches_it_off_is_neither_read_from_it_nor_kept_in_it(serve, header):
    with asking(serve(**CACHED)) as http:
        for _ in range(2):
            assert told(chat(http, temperature=0, headers={header: "off"}))[0] == "miss"


@pytest.mark.parametrize("mode", ["direct", "optimistic"])
def test_an_answer_that_nobody_judged_is_not_for_those_who_wait_for_the_judge(serve, mode):
    with asking(serve(**CACHED)) as http:
        at_once, judged = (chat(http, temperature=0, headers={"x-gearbox-stream": each}) for each in (mode, "hold"))
    assert (at_once.headers["x-gearbox-attempts"], told(at_once)[0]) == ("small:unjudged", "miss")
    assert (judged.headers["x-gearbox-attempts"], told(judged)[0]) == ("small:valid", "miss")


def test_an_answer_whose_verdict_is_still_to_come_is_not_kept(serve):
    with asking(serve(**CACHED)) as http:
        found = [chat(http, temperature=0, headers={"x-gearbox-stream": "optimistic"}) for _ in range(2)]
    assert [told(each)[0] for each in found] == ["miss", "miss"]


def test_whoever_wants_no_judge_is_answered_from_the_cache_too(serve):
    with asking(serve(**CACHED)) as http:
        found = [chat(http, temperature=0, headers={"x-gearbox-stream": "direct"}) for _ in range(2)]
    assert [told(each)[0] for each in found] == ["miss", "hit"]


def test_an_answer_whose_judge_failed_is_not_kept(serve):
    with asking(serve(**CACHED, tiers=with_medium("simulated/medium+server_error"))) as http:
        found = [chat(http, temperature=0) for _ in range(2)]
    assert [each.headers["x-gearbox-attempts"] for each in found] == ["small:unjudged"] * 2
    assert [told(each)[0] for each in found] == ["miss", "miss"]


OTHERS = {
    "verifiers": [{"name": "short", "kind": "regex", "pattern": "^.{1,20}$"}],
    "judge": {"fail": "closed"},
    "tiers": [{**config()["tiers"][0], "deployments": [{"model": "simulated/small", "simulate": {"seed": 7}}]}],
}


@pytest.mark.parametrize("changed", OTHERS)
def test_an_answer_given_under_another_configuration_is_not_served(catalog, tmp_path, changed):
    before, after = (
        answered_by(plan_of(config(**more), tmp_path / "gearbox.db", catalog))
        for more in ({}, {changed: OTHERS[changed]})
    )
    assert before != after


def test_another_key_and_another_budget_change_no_answer(catalog, tmp_path):
    name = "KEY"
    keyed = {**config()["tiers"][0], "deployments": [{"model": "openai/gpt-5-nano", "api_key": f"os.environ/{name}"}]}
    plans = [
        plan_of(config(tiers=[keyed], **more), tmp_path / "gearbox.db", catalog, {name: key})
        for key, more in (("a", {}), ("b", {"budgets": [{"per": "day", "usd": 1}]}))
    ]
    assert len({answered_by(plan) for plan in plans}) == 1


def test_without_a_time_to_live_there_is_no_cache(serve):
    with asking(serve()) as http:
        assert [told(chat(http, temperature=0))[0] for _ in range(2)] == ["miss", "miss"]


@both
def test_a_repeated_idempotency_key_gets_the_stored_answer(serve, stream):
    gearbox = serve()
    with asking(gearbox) as http:
        first, second = (told(chat(http, stream=stream, headers={"idempotency-key": "order-7"})) for _ in range(2))
    assert (first[0], second[0]) == ("miss", "joined")
    assert first[1:] == second[1:]
    assert len(rows(gearbox)) == 1


def test_an_idempotency_key_with_another_body_is_a_400(serve):
    with asking(serve()) as http:
        chat(http, headers={"idempotency-key": "a"})
        refused = chat(http, question="Another one?", headers={"idempotency-key": "a"})
    assert (refused.status_code, error_of(refused)["param"]) == (400, "idempotency-key")


def test_idempotency_keys_of_two_callers_never_meet(serve):
    gearbox = serve(keys=[{"key": "red", "team": "red"}, {"key": "blue", "team": "blue"}])
    for key in ("red", "blue"):
        with httpx.Client(base_url=gearbox.url, headers={"authorization": f"Bearer {key}"}) as http:
            assert told(chat(http, headers={"idempotency-key": "a"}))[0] == "miss"


@both
async def test_repeats_of_an_idempotency_key_join_the_run_in_flight(serve, stream):
    gearbox = serve(**PATIENT)
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}], "simulate": SLOW, "stream": stream}
    async with httpx.AsyncClient(base_url=gearbox.url, timeout=20) as http:
        ask = [http.post("/v1/chat/completions", json=body, headers={"idempotency-key": "k"}) for _ in range(4)]
        found = [told(reply) for reply in await asyncio.gather(*ask)]
    assert sorted(each[0] for each in found) == ["joined", "joined", "joined", "miss"]
    assert len({each[1:] for each in found}) == 1
    assert len(rows(gearbox)) == 1


def test_a_failure_is_not_kept_under_an_idempotency_key(serve):
    with asking(serve()) as http:
        failing = dict.fromkeys(("small", "medium", "large"), "unavailable")
        headers = {"idempotency-key": "k"}
        body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}], "simulate": failing}
        assert [http.post("/v1/chat/completions", json=body, headers=headers).status_code for _ in range(2)] == [
            503
        ] * 2


async def test_five_parallel_samples_stay_five(serve):
    gearbox = serve()
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}], "temperature": 0}
    async with httpx.AsyncClient(base_url=gearbox.url, timeout=20) as http:
        replies = await asyncio.gather(*(http.post("/v1/chat/completions", json=body) for _ in range(5)))
    assert len({told(reply)[1] for reply in replies}) == len(rows(gearbox)) == 5


@both
def test_a_retry_joins_the_run_that_its_client_left(serve, stream):
    gearbox = serve(**PATIENT)
    send_and_leave(gearbox, 0.2, stream=stream, simulate=SLOW)
    with asking(gearbox) as http:
        reply = chat(http, stream=stream, simulate=SLOW, headers={"x-stainless-retry-count": "1"})
    assert told(reply)[0] == "joined"
    (row,) = rows(gearbox)
    assert (row["id"], row["stopped"], row["client"]) == (told(reply)[1], None, "answered")


def test_a_retry_that_comes_after_the_end_gets_the_answer_that_nobody_read(serve):
    gearbox = serve(**PATIENT)
    send_and_leave(gearbox, 0.2, model="large", simulate={"large": {"fault": "slow_first_token", "seconds": 0.4}})
    gearbox.wait_for_row("SELECT * FROM inference")
    body = {"model": "large", "simulate": {"large": {"fault": "slow_first_token", "seconds": 0.4}}}
    with asking(gearbox) as http:
        reply = chat(http, headers={"x-stainless-retry-count": "2"}, **body)
        again = chat(http, headers={"x-stainless-retry-count": "2"}, **body)
    assert (told(reply)[0], told(again)[0]) == ("joined", "miss")
    assert len(rows(gearbox)) == 2


def test_a_retry_of_a_request_that_nobody_left_is_a_request_of_its_own(serve):
    gearbox = serve()
    with asking(gearbox) as http:
        assert [told(chat(http, headers={"x-stainless-retry-count": "1"}))[0] for _ in range(2)] == ["miss"] * 2


def test_openais_client_that_times_out_is_answered_by_the_same_run_and_pays_once(serve):
    gearbox = serve(**PATIENT)
    started = time.monotonic()
    slow = {"small": {"fault": "slow_first_token", "seconds": 1.2}}
    with openai.OpenAI(base_url=f"{gearbox.url}/v1", api_key="any", max_retries=2, timeout=0.8) as client:
        reply = client.chat.completions.create(
            model="llm-at", messages=[{"role": "user", "content": EASY}], extra_body={"simulate": slow}
        )
    assert reply.choices[0].message.content
    assert time.monotonic() - started < 10
    assert reply.id == f"chatcmpl-{rows(gearbox)[0]['id']}"
    assert len(rows(gearbox)) == 1
