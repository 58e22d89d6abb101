"""Optimistic and adaptive: the answer at once, the verdict after the last byte, for learning only."""

from __future__ import annotations

import json
import time

import httpx
import pytest
from edge_server import EASY, config, plan_of, serving
from test_clients_that_leave import PATIENT, send_and_leave
from test_money import nanousd, samples
from test_request_headers import chat

from cascade.simulated.problems import problems

#: Beyond small's reach and within medium's, so that medium knows better.
HARD = next(problem.question for problem in problems(3, 60) if 0.48 < problem.difficulty < 0.55)
OPTIMISTIC = {"x-gearbox-stream": "optimistic"}
LATE = "SELECT * FROM inference WHERE json_extract(evidence, '$.late') IS NOT NULL"
SLOW = config()["tiers"]
SLOW[1] = {**SLOW[1], "deployments": [{"model": "simulated/medium+slow_first_token"}]}


def events(reply):
    lines = [line.removeprefix("data: ") for line in reply.text.splitlines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def labels_of(gearbox, request_id):
    found = gearbox.sql("SELECT * FROM label WHERE inference_id = ? ORDER BY id", request_id)
    return {row["tier"]: (row["correct"], row["source"]) for row in found}


def late_row(gearbox, reply):
    return gearbox.wait_for_row(f"{LATE} AND id = ?", reply.headers["x-request-id"])


def never_judged(gearbox, reply):
    time.sleep(0.3)
    return [call["purpose"] for call in gearbox.calls(reply.headers["x-request-id"])] == ["generate"]


@pytest.fixture(scope="module")
def slow(catalog, tmp_path_factory):
    """A server whose judge takes a second."""
    database = tmp_path_factory.mktemp("slow") / "gearbox.db"
    with serving(plan_of(config(**PATIENT, tiers=SLOW), database, catalog), database) as running:
        yield running


def test_an_optimistic_stream_shows_the_start_tiers_answer_and_judges_it_afterwards(gearbox, http):
    reply = chat(http, OPTIMISTIC, HARD, stream=True)
    told = events(reply)[-1]["gearbox"]
    assert (told["tier"], told["attempts"]) == ("small", "small:unjudged")

    row = late_row(gearbox, reply)
    late = json.loads(row["evidence"])["late"]
    assert (late["tier"], late["verdict"], late["by"]) == ("small", "invalid", "judge:medium")
    generate, judge = gearbox.calls(row["id"])
    assert (generate["verdict"], judge["purpose"], judge["verdict"]) == ("unjudged", "judge", "invalid")
    assert row["cost_nanousd"] == generate["cost_nanousd"] == round(told["cost"] * 1e9)
    assert row["late_cost_nanousd"] == judge["cost_nanousd"] > 0
    assert labels_of(gearbox, row["id"]) == {"small": (0.0, "judge")}


def test_a_late_yes_labels_the_served_tier_and_those_above(gearbox, http):
    row = late_row(gearbox, chat(http, OPTIMISTIC, EASY, stream=True))
    assert labels_of(gearbox, row["id"]) == {
        "small": (1.0, "judge"),
        "medium": (1.0, "assumed"),
        "large": (1.0, "assumed"),
    }


def test_what_a_late_verdict_says_is_evidence_for_the_next_request(serve):
    gearbox = serve(policy={"llm-at": {"cold_start": 1, "k": 1}})
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        late_row(gearbox, chat(http, OPTIMISTIC, HARD, stream=True))
        near = chat_route(http, HARD)["evidence"]["neighbours"]
    assert [each["labels"] for each in near] == [{"simulated/small": 0.0}]


def chat_route(http, question):
    body = {"model": "llm-at", "messages": [{"role": "user", "content": question}]}
    return http.post("/v1/route", json=body).json()


def test_a_whole_answer_is_judged_afterwards_too(gearbox, http):
    reply = chat(http, OPTIMISTIC, HARD)
    assert reply.headers["x-gearbox-attempts"] == "small:unjudged"
    row = late_row(gearbox, reply)
    assert nanousd(reply.headers["x-gearbox-cost-usd"]) == row["cost_nanousd"]
    assert row["late_cost_nanousd"] > 0


def test_late_costs_are_counted_and_agree_with_sql(serve):
    gearbox = serve()
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        row = late_row(gearbox, chat(http, OPTIMISTIC, HARD, stream=True))
        end = time.monotonic() + 5
        while "late_verdicts_total{" not in (text := http.get("/metrics").text):
            assert time.monotonic() < end
            time.sleep(0.02)
    cost = samples(text, "gearbox_cost_usd_total")
    assert round(sum(cost.values()) * 1e9) == row["cost_nanousd"] + row["late_cost_nanousd"]
    assert samples(text, "gearbox_late_verdicts_total") == {'{tier="small",verdict="invalid"}': 1.0}
    assert samples(text, "gearbox_attempts_total") == {'{tier="small",verdict="unjudged"}': 1.0}


def test_the_last_byte_does_not_wait_for_the_judge(slow):
    with httpx.Client(base_url=slow.url, timeout=20) as http:
        started = time.monotonic()
        reply = chat(http, OPTIMISTIC, EASY, stream=True)
        assert time.monotonic() - started < 0.8
    assert not slow.sql(f"{LATE} AND id = ?", reply.headers["x-request-id"])
    late_row(slow, reply)


def test_a_client_that_closes_after_its_answer_does_not_end_the_judging(slow):
    send_and_leave(slow, 0.5, ["x-gearbox-stream: optimistic", "x-gearbox-tags: who=closes"], stream=True)
    row = slow.wait_for_row(f"{LATE} AND json_extract(tags, '$.who') = 'closes'")
    assert row["client"] == "answered"


def test_a_client_that_leaves_before_the_end_is_judged_no_more(slow):
    pace = {"small": {"fault": "slow_tokens", "seconds": 0.05}}
    headers = ["x-gearbox-stream: optimistic", "x-gearbox-tags: who=leaves"]
    send_and_leave(slow, 0.15, headers, stream=True, simulate=pace)
    row = slow.wait_for_row("SELECT * FROM inference WHERE json_extract(tags, '$.who') = 'leaves'")
    assert row["client"] == "disconnected"
    time.sleep(0.3)
    assert [call["purpose"] for call in slow.calls(row["id"])] == ["generate"]


def test_nothing_is_judged_for_learning_where_nothing_may_be_learnt(gearbox, http):
    assert never_judged(gearbox, chat(http, {**OPTIMISTIC, "x-gearbox-store": "off"}, HARD, stream=True))


def test_a_late_judge_is_inside_the_requests_cap(gearbox, http):
    """A cap that pays for the answer and for no judge leaves it unjudged, for ever."""
    reply = chat(http, {**OPTIMISTIC, "x-gearbox-budget-usd": "0.0003"}, HARD, stream=True, max_tokens=50)
    assert events(reply)[-1]["gearbox"]["attempts"] == "small:unjudged"
    assert never_judged(gearbox, reply)
    assert gearbox.row(reply.headers["x-request-id"])["late_cost_nanousd"] == 0


def test_under_a_cap_that_pays_for_both_the_sum_stays_below_it(gearbox, http):
    row = late_row(gearbox, chat(http, {**OPTIMISTIC, "x-gearbox-budget-usd": "0.05"}, HARD, stream=True))
    assert 0 < row["cost_nanousd"] + row["late_cost_nanousd"] <= 50_000_000


def test_a_tier_named_by_the_client_is_never_judged(gearbox, http):
    reply = chat(http, OPTIMISTIC, HARD, model="small", stream=True)
    assert never_judged(gearbox, reply)
    assert json.loads(gearbox.row(reply.headers["x-request-id"])["evidence"])["judging"] == "never"


def test_adaptive_holds_what_is_doubtful_and_shows_what_is_likely(serve):
    gearbox = serve(policy={"llm-at": {"cold_start": 0}}, stream={"optimistic_from": 0.7})
    adaptive = {"x-gearbox-stream": "adaptive", "x-gearbox-quality": "0.5"}
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        doubtful = chat(http, adaptive, EASY)
        assert doubtful.headers["x-gearbox-attempts"] == "small:valid"
        likely = chat(http, {**adaptive, "x-gearbox-min-tier": "medium"}, EASY)
        assert likely.headers["x-gearbox-attempts"] == "medium:unjudged"


def test_a_judge_that_fails_late_leaves_its_price_and_no_label(serve):
    tiers = config()["tiers"]
    tiers[1]["deployments"] = [{"model": "simulated/medium+cut_stream"}]
    gearbox = serve(tiers=tiers)
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        row = late_row(gearbox, chat(http, OPTIMISTIC, HARD, stream=True))
    assert json.loads(row["evidence"])["late"]["verdict"] == "unjudged"
    assert row["late_cost_nanousd"] > 0
    assert labels_of(gearbox, row["id"]) == {}


def test_shutdown_waits_for_late_verdicts(catalog, tmp_path):
    database = tmp_path / "gearbox.db"
    with (
        serving(plan_of(config(**PATIENT, tiers=SLOW), database, catalog), database) as gearbox,
        httpx.Client(base_url=gearbox.url, timeout=20) as http,
    ):
        chat(http, OPTIMISTIC, HARD, stream=True)
    assert len(gearbox.sql(LATE)) == 1


def test_the_story_and_its_words_tell_the_late_verdict(gearbox, http):
    row = late_row(gearbox, chat(http, OPTIMISTIC, HARD, stream=True))
    story = http.get(f"/v1/decisions/{row['id']}").json()
    assert story["late_cost_nanousd"] == row["late_cost_nanousd"]
    assert "Afterwards, for learning only, small's answer was rejected by judge medium" in story["rationale"]


@pytest.mark.parametrize(("cap", "judged"), [({}, 2), ({"x-gearbox-budget-usd": "0.05"}, 0)], ids=["free", "capped"])
def test_prompts_asked_together_are_judged_afterwards_unless_they_share_a_cap(gearbox, http, cap, judged):
    tag = f"together-{judged}"
    body = {"model": "llm-at", "prompt": [EASY, HARD], "max_tokens": 50}
    reply = http.post("/v1/completions", json=body, headers={**OPTIMISTIC, **cap, "x-gearbox-tags": f"who={tag}"})
    assert reply.status_code == 200, reply.text
    end = time.monotonic() + (5 if judged else 0.5)
    while True:
        rows = gearbox.sql("SELECT * FROM inference WHERE json_extract(tags, '$.who') = ?", tag)
        late = [row for row in rows if row["late_cost_nanousd"] > 0]
        if len(late) > judged or time.monotonic() > end or (judged and len(late) == judged):
            break
        time.sleep(0.05)
    assert (len(rows), len(late)) == (2, judged)
