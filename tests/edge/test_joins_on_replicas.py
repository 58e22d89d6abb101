"""Two servers on one store without Redis: what one runs, the other joins; what is limited, both limit."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from test_cache_and_joins import rows, told
from test_chat_with_openai_client import WEATHER
from test_clients_that_leave import PATIENT, send_and_leave
from test_request_errors import error_of
from test_request_headers import chat
from test_stream_modes import HARD

from app.config.environment import Environment

SLOW = {"small": {"fault": "slow_first_token", "seconds": 1.5}}
KEYED = {"idempotency-key": "order-7"}
RETRY = {"x-stainless-retry-count": "1"}


@pytest.fixture
def pair(catalog, tmp_path):
    """Starts two servers on one SQLite file, as two of `--workers N` are."""
    with ExitStack() as stack:

        def start(**overrides):
            database = tmp_path / "gearbox.db"
            plan = replace(plan_of(config(**overrides), database, catalog), environment=Environment(workers=2))
            return tuple(stack.enter_context(serving(plan, database)) for _ in range(2))

        yield start


def ask(gearbox, **more):
    with httpx.Client(base_url=gearbox.url, timeout=30) as http:
        return chat(http, **more)


def body(**more):
    return {"model": "llm-at", "messages": [{"role": "user", "content": EASY}], "simulate": SLOW, **more}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_idempotency_key_is_answered_by_the_other_servers_run(pair, stream):
    one, other = pair()
    first, second = (told(ask(each, stream=stream, headers=KEYED)) for each in (one, other))
    assert (first[0], second[0]) == ("miss", "joined")
    assert first[1:] == second[1:]
    assert len(rows(one)) == 1


async def test_repeats_that_reach_both_servers_at_once_are_one_run(pair):
    servers = pair(**PATIENT)
    async with httpx.AsyncClient(timeout=30) as http:
        asked = [http.post(f"{server.url}/v1/chat/completions", json=body(), headers=KEYED) for server in servers * 2]
        found = [told(reply) for reply in await asyncio.gather(*asked)]
    assert sorted(each[0] for each in found) == ["joined", "joined", "joined", "miss"]
    assert len({each[1:] for each in found}) == 1
    assert len(rows(servers[0])) == 1


def test_a_key_that_comes_to_the_other_server_with_another_body_is_a_400(pair):
    one, other = pair()
    ask(one, headers=KEYED)
    refused = ask(other, question="Another one?", headers=KEYED)
    assert (refused.status_code, error_of(refused)["param"]) == (400, "idempotency-key")


def test_an_answer_outlives_the_server_that_gave_it(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    plan, found = plan_of(config(), database, catalog), []
    for _ in range(2):
        with serving(plan, database) as gearbox:
            found.append(told(ask(gearbox, headers=KEYED)))
    assert [each[0] for each in found] == ["miss", "joined"]
    assert found[0][1:] == found[1][1:]


def test_a_retry_on_the_other_server_joins_the_run_that_its_client_left(pair):
    one, other = pair(**PATIENT)
    send_and_leave(one, 0.3, simulate=SLOW)
    one.wait_for_row("SELECT * FROM claim")
    assert told(ask(other, simulate=SLOW, headers=RETRY))[0] == "joined"
    assert len(rows(one)) == 1


async def test_three_samples_that_their_client_left_are_found_by_three_retries_once_each(pair):
    one, other = pair(**PATIENT)
    await asyncio.gather(*(asyncio.to_thread(send_and_leave, one, 0.3, simulate=SLOW) for _ in range(3)))
    one.wait_for_row("SELECT body FROM claim GROUP BY body HAVING count(*) = 3")
    async with httpx.AsyncClient(timeout=30) as http:
        asked = [http.post(f"{other.url}/v1/chat/completions", json=body(), headers=RETRY) for _ in range(4)]
        found = [told(reply) for reply in await asyncio.gather(*asked)]
    assert sorted(each[0] for each in found) == ["joined", "joined", "joined", "miss"]
    assert len({each[1] for each in found}) == len(rows(one)) == 4


def test_both_servers_together_allow_a_keys_rate_limit_once(pair):
    one, other = pair(keys=[{"key": "k", "limits": {"requests_per_minute": 3}}])
    authorized = {"authorization": "Bearer k"}
    asked = [ask(server, headers=authorized).status_code for server in (one, other) * 3]
    assert sorted(asked) == [200, 200, 200, 429, 429, 429]


def test_nothing_of_a_request_that_is_not_to_be_stored_stays_for_its_idempotency_key(serve):
    gearbox = serve()
    kept = []
    for store in ("on", "off"):
        ask(gearbox, headers={"idempotency-key": store, "x-gearbox-store": store})
        kept += gearbox.sql("SELECT (julianday(max(expires_at)) - julianday('now')) * 86400 AS s FROM claim")
        gearbox.sql("DELETE FROM claim")
    assert kept[0]["s"] > 80_000
    assert kept[1]["s"] < 61


def test_a_conversation_stays_on_its_tier_whichever_server_gets_the_next_turn(pair):
    one, other = pair()
    session = {"x-gearbox-session": "chat-1"}
    assert ask(one, headers=session, question=HARD).headers["x-gearbox-tier"] == "medium"
    for server in (other, one, other):
        assert ask(server, headers=session).headers["x-gearbox-start-tier"] == "medium"
    assert ask(other, headers={"x-gearbox-session": "chat-2"}).headers["x-gearbox-start-tier"] == "small"


def test_feedback_that_says_wrong_sets_a_conversation_free_on_every_server(pair):
    one, other = pair()
    session = {"x-gearbox-session": "chat-1"}
    first = ask(one, headers=session, question=HARD)
    said = httpx.post(f"{one.url}/v1/feedback", json={"id": first.headers["x-request-id"], "valid": False})
    assert said.status_code == 200
    turn = ask(other, headers=session)
    assert "found to be wrong" in other.calls(turn.headers["x-request-id"])[0]["why"]


def test_a_tools_result_that_reaches_the_other_server_goes_where_the_tool_was_called(pair):
    one, other = pair()
    tools = {"tools": [WEATHER], "tool_choice": "required"}
    question = "What is the weather in Paris?"
    asked = ask(one, headers={"x-gearbox-min-tier": "medium"}, question=question, **tools)
    (call,) = asked.json()["choices"][0]["message"]["tool_calls"]
    messages = [
        {"role": "user", "content": question},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": "Sunny."},
    ]
    body = {"model": "llm-at", "messages": messages, "tools": [WEATHER]}
    reply = httpx.post(f"{other.url}/v1/chat/completions", json=body, timeout=30)
    assert reply.headers["x-gearbox-start-tier"] == "medium"
