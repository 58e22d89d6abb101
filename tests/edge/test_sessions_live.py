"""Conversations: a session stays on its tier, a tool's result goes where it was called, and `why` tells the price."""

from __future__ import annotations

import json

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from test_chat_with_openai_client import WEATHER
from test_request_headers import chat
from test_stream_modes import HARD


def told(reply):
    assert reply.status_code == 200, reply.text
    return reply.json()["gearbox"]


def start_why(gearbox, reply):
    return gearbox.calls(reply.headers["x-request-id"])[0]["why"]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_session_stays_where_its_last_turn_was_answered(gearbox, http, stream):
    session = {"x-gearbox-session": f"stays-{stream}"}
    first = told(chat(http, session, HARD))
    assert (first["start_tier"], first["tier"]) == ("small", "medium")
    second = chat(http, session, EASY, stream=stream)
    row = gearbox.row(second.headers["x-request-id"])
    assert (row["start_tier"], row["served_tier"]) == ("medium", "medium")
    assert "the conversation stays on medium" in start_why(gearbox, second)
    assert "its warm cache reads the" in start_why(gearbox, second)


def test_other_sessions_and_none_start_at_the_bottom(http):
    chat(http, {"x-gearbox-session": "mine"}, HARD)
    assert told(chat(http, {"x-gearbox-session": "yours"}, EASY))["start_tier"] == "small"
    assert told(chat(http, {}, EASY))["start_tier"] == "small"


def test_a_dry_run_and_the_story_show_where_the_conversation_stands(http):
    session = {"x-gearbox-session": "shown"}
    chat(http, session, HARD)
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}
    dry = http.post("/v1/route", json=body, headers=session).json()
    assert dry["tier"] == "medium"
    talk = dry["evidence"]["conversation"]
    assert (talk["tier"], talk["warm"], talk["rejected"], talk["tool_result"]) == ("medium", True, False, False)
    assert talk["tokens"] > 0
    reply = chat(http, session, EASY)
    story = http.get(f"/v1/decisions/{reply.headers['x-request-id']}").json()
    assert story["evidence"]["conversation"]["tier"] == "medium"
    assert "medium answered the conversation's last turn" in story["rationale"]


def test_a_tools_result_goes_where_the_tool_was_called_without_any_session(http):
    question = "What is the weather in Paris?"
    asked = chat(http, {"x-gearbox-min-tier": "medium"}, question, tools=[WEATHER], tool_choice="required")
    assert told(asked)["tier"] == "medium"
    message = asked.json()["choices"][0]["message"]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": json.dumps({"temperature": 7})}
        for call in message["tool_calls"]
    ]
    messages = [{"role": "user", "content": question}, message, *results]
    reply = http.post("/v1/chat/completions", json={"model": "llm-at", "messages": messages, "tools": [WEATHER]})
    assert told(reply)["start_tier"] == "medium"
    story = http.get(f"/v1/decisions/{reply.headers['x-request-id']}").json()
    assert "medium called the tools" in story["attempts"][0]["why"]


def test_a_tool_loop_leaves_a_tier_that_is_down(http):
    question = "What is the weather in Oslo?"
    asked = chat(http, {}, question, tools=[WEATHER], tool_choice="required")
    message = asked.json()["choices"][0]["message"]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "7"} for call in message["tool_calls"]]
    body = {"model": "llm-at", "messages": [{"role": "user", "content": question}, message, *results]}
    down = {"simulate": {told(asked)["tier"]: "server_error"}}
    reply = http.post("/v1/chat/completions", json={**body, **down})
    assert told(reply)["tier"] != told(asked)["tier"]


def test_a_late_no_sets_a_conversation_free(serve):
    gearbox = serve()
    both = {"x-gearbox-session": "s", "x-gearbox-stream": "optimistic", "x-gearbox-min-tier": "small"}
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        first = chat(http, both, HARD)
        gearbox.wait_for_row("SELECT 1 FROM inference WHERE json_extract(evidence, '$.late.verdict') = 'invalid'")
        second = chat(http, both, EASY)
        assert "found to be wrong" in start_why(gearbox, second)
        assert first.headers["x-gearbox-tier"] == "small"


def test_feedback_that_says_wrong_sets_a_conversation_free(http, gearbox):
    session = {"x-gearbox-session": "feedback"}
    first = chat(http, session, HARD)
    http.post("/v1/feedback", json={"id": first.headers["x-request-id"], "valid": False})
    assert "found to be wrong" in start_why(gearbox, chat(http, session, EASY))


def test_a_restart_remembers_conversations(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    plan = plan_of(config(), database, catalog)
    session = {"x-gearbox-session": "long"}
    with serving(plan, database) as gearbox, httpx.Client(base_url=gearbox.url, timeout=20) as http:
        assert told(chat(http, session, HARD))["tier"] == "medium"
    with serving(plan, database) as gearbox, httpx.Client(base_url=gearbox.url, timeout=20) as http:
        assert told(chat(http, session, EASY))["start_tier"] == "medium"
        assert told(chat(http, {}, EASY))["start_tier"] == "small"
