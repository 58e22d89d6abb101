"""two-tier and skills through the real server: what the client sees, what is stored, what a restart remembers."""

from __future__ import annotations

import json

import httpx
import numpy as np
import openai
import pytest
from commands import gearbox_command
from edge_server import EASY, config, plan_of, serving

from cascade.profiling.profile_file import save_profile
from router.skill_lookup import ProfiledQuestion, SkillProfile
from router.skills import Count, ModelSkills

TWO_TIER = {"model": "two-tier", "messages": [{"role": "user", "content": EASY}]}
#: Nothing is ever sure enough.
STRICT = {"two-tier": {"threshold": 1.0, "large": "medium"}}


@pytest.fixture(scope="module")
def strict(catalog, tmp_path_factory):
    database = tmp_path_factory.mktemp("strict") / "gearbox.db"
    with serving(plan_of(config(policy=STRICT), database, catalog), database) as running:
        yield running


def client_of(running):
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0, timeout=20)


def told(answer, running):
    return httpx.get(f"{running.url}/v1/decisions/{answer.gearbox['id']}").json()


def test_the_policies_are_among_the_models(client):
    assert {"two-tier", "skills"} <= {model.id for model in client.models.list()}


@pytest.mark.parametrize("stream", [False, True])
def test_log_probabilities_that_the_client_did_not_ask_for_stay_inside(strict, stream):
    with httpx.Client(base_url=strict.url, timeout=20) as http:
        text = http.post("/v1/chat/completions", json={**TWO_TIER, "stream": stream}).text
    assert "top_logprobs" not in text
    assert "bytes" not in text


@pytest.mark.parametrize("wanted", [0, 3])
def test_log_probabilities_that_the_client_asked_for_come_as_asked(gearbox, wanted):
    with client_of(gearbox) as client:
        answer = client.chat.completions.create(**TWO_TIER, logprobs=True, top_logprobs=wanted)
        stream = client.chat.completions.create(**TWO_TIER, logprobs=True, top_logprobs=wanted, stream=True)
        streamed = [
            entry
            for chunk in stream
            for choice in chunk.choices
            for entry in (choice.logprobs.content or [] if choice.logprobs else [])
        ]
    whole = answer.choices[0].logprobs.content
    assert {len(entry.top_logprobs) for entry in whole} == {wanted}
    assert {len(entry.top_logprobs) for entry in streamed} == {wanted}
    assert "".join(entry.token for entry in streamed) == answer.choices[0].message.content


def test_an_unsure_answer_goes_to_the_large_tier_and_the_story_says_why(strict):
    with client_of(strict) as client:
        answer = client.chat.completions.create(**TWO_TIER)
    assert answer.gearbox["attempts"] == "small:unjudged,medium:unjudged"
    small, large = told(answer, strict)["attempts"]
    assert small["confidence_by"] == "first:probability"
    assert 0 < small["confidence"] < 1
    assert "is below 1.000 (fixed)" in large["why"]


def test_a_restart_remembers_every_margin(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    plan = plan_of(config(), database, catalog)
    for expected in (0, 3):
        with serving(plan, database) as running, client_of(running) as client:
            answers = [client.chat.completions.create(**TWO_TIER) for _ in range(3)]
            evidence = told(answers[0], running)["evidence"]["margins"]
            assert sum(evidence["seen"].values()) == expected
            assert evidence["asked"] == expected
            assert f"warm-up: {expected} answers seen" in answers[0].gearbox["why"]


def test_an_upstream_without_log_probabilities_is_judged_and_said(catalog, tmp_path):
    settings = config()
    settings["tiers"][0]["deployments"][0]["capabilities"] = {"logprobs": False}
    database = tmp_path / "gearbox.db"
    with serving(plan_of(settings, database, catalog), database) as running, client_of(running) as client:
        answer = client.chat.completions.create(**TWO_TIER)
        assert answer.gearbox["attempts"] == "small:valid"
        assert "gives no log-probabilities, so its answers are judged" in told(answer, running)["attempts"][0]["why"]


def test_self_agreement_pays_for_its_samples(catalog, tmp_path):
    settings = config(policy={"two-tier": {"fallback": "agreement", "samples": 3, "threshold": 0.5}})
    settings["tiers"][0]["deployments"][0]["capabilities"] = {"logprobs": False}
    database = tmp_path / "gearbox.db"
    with serving(plan_of(settings, database, catalog), database) as running, client_of(running) as client:
        answer = client.chat.completions.create(**TWO_TIER)
        (small,) = told(answer, running)["attempts"]
        assert (small["confidence"], small["confidence_by"]) == (1.0, "agreement:3")
        assert [call["verdict"] for call in small["calls"]] == [None, None, "unjudged"]
        paid = sum(call["cost_nanousd"] for call in small["calls"])
        assert answer.usage.cost == pytest.approx(paid / 1e9)


def test_a_small_only_budget_streams_live(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    plan = plan_of(config(policy={"two-tier": {"budget_share": 0}}), database, catalog)
    with serving(plan, database) as running, httpx.Client(base_url=running.url, timeout=20) as http:
        lines = http.post("/v1/chat/completions", json={**TWO_TIER, "stream": True}).text.splitlines()
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    assert events[-1]["gearbox"]["tier"] == "small"
    assert "the budget pays for small only" in events[-1]["gearbox"]["why"]


async def test_skills_picks_by_the_nearest_profiled_questions(catalog, tmp_path):
    from edge_server import WordEmbedder  # noqa: PLC0415 - only here

    words = WordEmbedder()
    questions = {"What is 17 + 25?": "sums", "Summarise this contract clause": "law"}
    vectors = [await words.embed(text) for text in questions]
    counts = {"small": (90, 30), "medium": (60, 60), "large": (80, 90)}
    profile = SkillProfile(
        "p",
        words.model,
        {
            f"simulated/{name}": ModelSkills({"sums": Count(sums, 100), "law": Count(law, 100)})
            for name, (sums, law) in counts.items()
        },
        tuple(ProfiledQuestion(text, {skill: 1.0}) for text, skill in questions.items()),
        np.array(vectors),
    )
    path = tmp_path / "skills.json"
    save_profile(profile, path)
    plan = plan_of(config(policy={"skills": {"profile": str(path), "neighbours": 1}}), tmp_path / "gearbox.db", catalog)
    with serving(plan, tmp_path / "gearbox.db", words) as running, client_of(running) as client:
        for text, skill, tier in (
            ("What is 17 + 25?", "sums", "small"),
            ("Summarise this contract clause", "law", "large"),
        ):
            answer = client.chat.completions.create(model="skills", messages=[{"role": "user", "content": text}])
            story = told(answer, running)
            assert answer.gearbox["tier"] == tier
            assert f"the question needs {skill}" in answer.gearbox["why"]
            assert story["evidence"]["skills"]["needs"] == {skill: 1.0}
            assert "ΔC against the best alternative" in story["attempts"][0]["why"]


def test_a_decision_tells_what_neighbouring_settings_would_have_done(gearbox, http):
    told = http.post("/v1/chat/completions", json={"model": "llm-at", "messages": [{"role": "user", "content": EASY}]})
    story = http.get(f"/v1/decisions/{told.headers['x-request-id']}").json()
    assert [(each["setting"], each["value"]) for each in story["nearby"]] == [("threshold", 0.6), ("threshold", 0.8)]
    # The fixture's history never leaves its cold start, so no threshold changes anything.
    assert all(each["cost_nanousd"] == story["cost_nanousd"] and each["exact"] for each in story["nearby"])
    assert "With threshold 0.6 or threshold 0.8 it would have gone the same way." in story["rationale"]
    printed = gearbox_command(gearbox, "explain", story["id"])
    assert "neighbouring setting" in printed
    assert "threshold 0.8" in printed
    dry = http.post("/v1/route", json={"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}).json()
    assert [each["tier"] for each in dry["nearby"]] == ["small", "small"]
