"""`auto` through the real server: what the client sees, what is stored and learnt, what a restart remembers."""

from __future__ import annotations

import json

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving

#: A judge that says nothing is not paid, so answers are compared; and no lots are drawn.
COMPARING = {"default": "auto", "auto": {"worth": 5.0, "second_opinions": 0, "judge_accepts_wrong": 0.9}}
#: One answer is enough.
CONTENT = {"default": "auto", "auto": {"worth": 0.1, "second_opinions": 0}}


def body(**more):
    return {"model": "auto", "messages": [{"role": "user", "content": EASY}], **more}


def routed_by(policy, catalog, folder):
    """A server with these policies' settings."""
    return serving(plan_of(config(policy=policy), folder / "gearbox.db", catalog), folder / "gearbox.db")


@pytest.fixture(scope="module")
def comparing(catalog, tmp_path_factory):
    with routed_by(COMPARING, catalog, tmp_path_factory.mktemp("comparing")) as running:
        yield running


@pytest.fixture(scope="module")
def content(catalog, tmp_path_factory):
    with routed_by(CONTENT, catalog, tmp_path_factory.mktemp("content")) as running:
        yield running


def ask(running, headers=None, **more):
    reply = httpx.post(f"{running.url}/v1/chat/completions", json=body(**more), headers=headers, timeout=20)
    assert reply.status_code == 200, reply.text
    return reply


def test_two_tiers_that_agree_are_served_and_the_story_says_what_was_weighed(comparing):
    reply = ask(comparing)
    assert reply.headers["x-gearbox-policy"] == "auto"
    tried = reply.headers["x-gearbox-attempts"].split(",")
    assert len(tried) > 1
    story = httpx.get(f"{comparing.url}/v1/decisions/{reply.json()['gearbox']['id']}").json()
    assert "a right answer being worth" in story["why"]
    assert set(story["evidence"]["estimates"]) == {"small", "medium", "large"}
    assert story["settings"]["worth"] == 5.0


def test_what_it_believes_of_each_compared_answer_is_stored_as_its_label(comparing):
    reply = ask(comparing)
    labels = comparing.sql("SELECT * FROM label WHERE inference_id = ?", reply.json()["gearbox"]["id"])
    assert len(labels) == len(reply.headers["x-gearbox-attempts"].split(","))
    assert all(0.5 < label["correct"] < 1 for label in labels)


def test_an_answer_that_nothing_was_compared_with_has_no_label(content):
    reply = ask(content)
    assert reply.headers["x-gearbox-attempts"] == "small:unjudged"
    assert content.sql("SELECT * FROM label WHERE inference_id = ?", reply.json()["gearbox"]["id"]) == []


def test_a_wanted_quality_is_bought(content):
    assert ask(content, {"x-gearbox-quality": "0.95"}).headers["x-gearbox-attempts"] != "small:unjudged"


def test_second_opinions_are_asked_and_said_to_be_some(catalog, tmp_path):
    asking = {"worth": 3.0, "second_opinions": 1, "judge_accepts_wrong": 0.9}
    policy = {"default": "auto", "auto": asking}
    with routed_by(policy, catalog, tmp_path) as running:
        assert {ask(running, {"x-gearbox-budget-usd": "1"}).headers["x-gearbox-attempts"] for _ in range(20)} == {
            "medium:unjudged"
        }
        for _ in range(20):
            ask(running)
        found = running.sql("SELECT why FROM attempt WHERE tier = 'small' AND position = 1")
    assert found
    assert all("second opinion" in row["why"] for row in found)


def test_the_dry_run_tells_the_first_step_and_spends_nothing(comparing):
    before = comparing.sql("SELECT count(*) AS n FROM inference")[0]["n"]
    told = httpx.post(f"{comparing.url}/v1/route", json=body()).json()
    assert "best first call" in told["why"]
    assert comparing.sql("SELECT count(*) AS n FROM inference")[0]["n"] == before


def test_a_restart_knows_what_answers_cost(catalog, tmp_path):
    """The price of the first call is told from the answers so far, not from imagined ones."""
    whys = []
    for _ in range(2):
        with routed_by(CONTENT, catalog, tmp_path) as running:
            for _ in range(3):
                reply = ask(running)
            (row,) = running.sql("SELECT evidence FROM inference WHERE id = ?", reply.json()["gearbox"]["id"])
            whys.append(json.loads(row["evidence"])["margins"]["mean_cost_nanousd"])
    assert whys[0].keys() == whys[1].keys() == {"simulated/small"}
