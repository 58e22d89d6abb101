"""Teams on one server: what one of them asked, another sees nothing of, though its decisions may lean on it."""

from __future__ import annotations

import json
from contextlib import ExitStack

import pytest
from test_keys_feedback_health import KEYS, client_of
from test_request_errors import error_of
from test_request_headers import chat

QUESTION = "What is 17 + 25, asks canary-red?"  # the answer is in every tier's reach


@pytest.fixture(params=["team", "global"])
def tenants(request, serve):
    """A server of each scope, its teams' clients, and the request that the red team has made."""
    gearbox = serve(keys=KEYS, history={"scope": request.param})
    with ExitStack() as stack:
        red, blue, admin = (stack.enter_context(client_of(gearbox, each["key"])) for each in KEYS)
        asked = chat(red, {"x-gearbox-session": "canary-session", "x-gearbox-tags": "app=canary-tag"}, QUESTION)
        yield gearbox, request.param, (red, blue, admin), asked.headers["x-request-id"]


def test_a_decision_that_leans_on_another_teams_question_shows_label_and_similarity_and_no_text(tenants):
    _, scope, (_, blue, _), red_id = tenants
    mine = chat(blue, question=QUESTION.replace("canary-red", "blue")).headers["x-request-id"]
    story = blue.get(f"/v1/decisions/{mine}").json()
    near = story["evidence"]["neighbours"]
    assert [each["id"] for each in near] == ([red_id] if scope == "global" else [])
    assert all(set(each) == {"id", "similarity", "labels"} for each in near)
    assert "canary" not in json.dumps(story)
    route = blue.post("/v1/route", json={"model": "llm-at", "messages": [{"role": "user", "content": "17 + 25?"}]})
    assert "canary" not in route.text


def test_another_teams_request_is_a_404_whatever_is_asked_of_it(tenants):
    gearbox, _, (_, blue, _), red_id = tenants
    before = gearbox.sql("SELECT * FROM label ORDER BY id")
    for name in (red_id, f"chatcmpl-{red_id}", f"resp_{red_id}"):
        for reply in (blue.get(f"/v1/decisions/{name}"), blue.post("/v1/feedback", json={"id": name, "score": 0})):
            assert reply.status_code == 404
            assert error_of(reply)["param"] == "id"
    assert gearbox.sql("SELECT * FROM label ORDER BY id") == before


def test_an_admin_sees_and_labels_every_teams_requests(tenants):
    gearbox, _, (_, _, admin), red_id = tenants
    assert admin.get(f"/v1/decisions/{red_id}").json()["question"] == QUESTION
    assert admin.post("/v1/feedback", json={"id": red_id, "score": 0}).status_code == 200
    assert gearbox.sql("SELECT correct FROM label WHERE source = 'feedback'") == [{"correct": 0.0}]


def test_a_session_and_an_idempotency_key_of_another_team_mean_nothing(tenants):
    _, _, (red, blue, _), _ = tenants
    shared = {"x-gearbox-session": "canary-session", "idempotency-key": "same"}
    first, second = chat(red, shared, "What is 2 + 2?"), chat(blue, shared, "What is 3 + 3?")
    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["x-gearbox-cache"] == "miss"
