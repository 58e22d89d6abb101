"""Who may ask and see what, what a real label changes, and what operators look at."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace

import httpx
import openai
import pytest
from edge_server import EASY, WordEmbedder, config, plan_of, serving
from test_request_errors import error_of
from test_request_headers import HARD, chat

from router.errors import ConfigError

KEYS = [
    {"key": "key-of-red", "team": "red"},
    {"key": "key-of-blue", "team": "blue"},
    {"key": "key-of-admin", "team": "ops", "admin": True},
]
ROUTES = [
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/route"),
    ("POST", "/v1/feedback"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/auto"),
    ("GET", "/v1/decisions/x"),
]


@pytest.fixture
def keyed(serve):
    return serve(keys=KEYS)


def client_of(gearbox, key):
    return httpx.Client(base_url=gearbox.url, headers={"authorization": f"Bearer {key}"} if key else {}, timeout=20)


def test_without_a_known_key_every_route_is_a_401_that_repeats_no_key(keyed):
    for key in ("key-of-nobody", ""):
        with client_of(keyed, key) as http:
            for method, path in ROUTES:
                reply = http.request(method, path, json={} if method == "POST" else None)
                assert reply.status_code == 401, path
                assert error_of(reply)["code"] == "invalid_api_key"
                assert "nobody" not in reply.text


def test_openais_client_raises_authentication_error(keyed):
    stranger = openai.OpenAI(base_url=f"{keyed.url}/v1", api_key="wrong", max_retries=0)
    with stranger as client, pytest.raises(openai.AuthenticationError) as caught:
        client.chat.completions.create(model="llm-at", messages=[{"role": "user", "content": EASY}])
    assert caught.value.code == "invalid_api_key"


def test_health_and_metrics_need_no_key(keyed):
    with client_of(keyed, "") as http:
        assert [http.get(path).status_code for path in ("/health/live", "/health/ready", "/metrics")] == [200] * 3


def test_a_decision_and_its_feedback_belong_to_the_team_that_asked(keyed):
    with client_of(keyed, "key-of-red") as red, client_of(keyed, "key-of-blue") as blue:
        request_id = chat(red).headers["x-request-id"]
        assert keyed.row(request_id)["team"] == "red"
        assert red.get(f"/v1/decisions/{request_id}").status_code == 200
        assert blue.get(f"/v1/decisions/{request_id}").status_code == 404
        assert blue.post("/v1/feedback", json={"id": request_id, "valid": False}).status_code == 404
    with client_of(keyed, "key-of-admin") as admin:
        assert admin.get(f"/v1/decisions/{request_id}").status_code == 200


def test_no_key_is_ever_stored_or_told(keyed):
    with client_of(keyed, "key-of-red") as red:
        reply = chat(red)
        story = red.get(f"/v1/decisions/{reply.headers['x-request-id']}").text
        seen = [story, reply.text, red.get("/metrics").text]
    stored = [path.read_bytes() for path in keyed.database.parent.glob(f"{keyed.database.name}*") if path.is_file()]
    assert not any("key-of-red" in text for text in seen)
    assert not any(b"key-of-red" in content for content in stored)


def estimates(http, question=EASY):
    body = {"model": "llm-at", "messages": [{"role": "user", "content": question}]}
    return {rung["tier"]: rung["p_valid"] for rung in http.post("/v1/route", json=body).json()["ladder"]}


def test_one_teams_questions_teach_another_team_nothing(keyed):
    with client_of(keyed, "key-of-red") as red, client_of(keyed, "key-of-blue") as blue:
        before = estimates(blue)
        chat(red)
        assert estimates(red)["small"] > 0.5
        assert estimates(blue) == before


@pytest.mark.parametrize("key", ["key-of-red", "key-of-admin"])
def test_feedback_changes_the_label_and_the_next_estimate(keyed, key):
    with client_of(keyed, "key-of-red") as red, client_of(keyed, key) as judge:
        request_id = chat(red).headers["x-request-id"]
        assert estimates(red)["small"] == pytest.approx((1 + 5 * 0.5) / (1 + 5))
        feedback = {"id": f"chatcmpl-{request_id}", "valid": False, "by": "ann", "note": "wrong"}
        told = judge.post("/v1/feedback", json=feedback).json()
        assert {"tier": "small", "model": "simulated/small", "correct": 0.0, "source": "feedback"} in told["labels"]
        assert estimates(red)["small"] == pytest.approx(5 * 0.5 / (1 + 5))
        judge.post("/v1/feedback", json={"id": request_id, "score": 0.25})
        assert estimates(red)["small"] == pytest.approx((0.25 + 5 * 0.5) / (1 + 5))
        labels = red.get(f"/v1/decisions/{request_id}").json()["labels"]
    assert [label["correct"] for label in labels if label["source"] == "feedback"] == [0.0, 0.25]


def test_feedback_while_the_database_is_away_is_kept_and_learnt_when_it_is_back(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    plan = plan_of(config(), database, catalog)
    impatient = plan.config.store.model_copy(update={"patience_s": 0.2})
    plan = replace(plan, config=plan.config.model_copy(update={"store": impatient}))
    with serving(plan, database) as gearbox, client_of(gearbox, "") as http:
        asked = chat(http).headers["x-request-id"]
        with closing(sqlite3.connect(database, isolation_level=None)) as held:
            held.execute("BEGIN EXCLUSIVE")
            given = http.post("/v1/feedback", json={"id": asked, "valid": False})
            held.execute("ROLLBACK")
        assert (given.status_code, given.json()["queued"], given.json()["labels"]) == (202, True, [])
        label = gearbox.wait_for_row("SELECT * FROM label WHERE source = 'feedback'", seconds=30)
    assert (label["inference_id"], label["correct"]) == (asked, 0.0)


def test_feedback_on_an_unlabelled_answer_is_its_first_label(serve):
    gearbox = serve()
    with client_of(gearbox, "") as http:
        request_id = chat(http, {"x-gearbox-max-tier": "small"}).headers["x-request-id"]
        assert estimates(http)["small"] == 0.5
        http.post("/v1/feedback", json={"id": request_id, "valid": True})
        assert estimates(http)["small"] == pytest.approx((1 + 5 * 0.5) / (1 + 5))


def test_the_next_request_sees_the_one_before(serve):
    gearbox = serve()
    with client_of(gearbox, "") as http:
        for known in range(3):
            row = gearbox.row(chat(http).headers["x-request-id"])
            assert f'"history_size": {known}' in row["evidence"].replace('":', '": ').replace("  ", " ")


def test_the_start_follows_from_what_was_learnt(serve):
    gearbox = serve(policy={"llm-at": {"cold_start": 0, "threshold": 0.52}})
    with client_of(gearbox, "") as http:
        assert chat(http).headers["x-gearbox-start-tier"] == "medium"
        first = chat(http, {"x-gearbox-max-tier": "small"}, HARD).headers["x-request-id"]
        http.post("/v1/feedback", json={"id": first, "valid": True})
        assert chat(http, question=HARD).headers["x-gearbox-start-tier"] == "small"


@pytest.mark.parametrize("path", ["live", "liveliness", "liveness", "ready", "readiness"])
def test_health_names_the_product(http, path):
    reply = http.get(f"/health/{path}")
    assert reply.status_code == 200
    assert (reply.json()["product"], reply.json()["status"]) == ("gearbox", "ok")


class BrokenEmbedder(WordEmbedder):
    """Its weights are gone."""

    async def embed(self, text):
        raise ConfigError("the weights are gone")

    async def ping(self):
        raise ConfigError("the weights are gone")


def test_readiness_names_what_is_down_and_requests_are_served_all_the_same(serve):
    gearbox = serve(embedder=BrokenEmbedder())
    with client_of(gearbox, "") as http:
        reply = http.get("/health/ready")
        assert reply.status_code == 503
        assert reply.json()["down"] == {"embedding": "the weights are gone"}
        assert chat(http).status_code == 200
