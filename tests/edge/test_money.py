"""Money: header, body, SQL and metrics agree to the last digit, and a cap is never exceeded, not once."""

from __future__ import annotations

import asyncio
import json
import random
import re
from decimal import Decimal

import httpx
import pytest
from edge_server import EASY
from test_chat_with_openai_client import SCHEMA, WEATHER
from test_request_errors import error_of
from test_request_headers import HARD, HARDER, chat

from cascade.simulated.problems import problems

NANO = Decimal(10) ** 9


def nanousd(text: str) -> int:
    assert re.fullmatch(r"-?\d+\.\d{9}", text)
    return int(Decimal(text) * NANO)


SHAPES = {
    "easy": {},
    "n": {"n": 2},
    "tools": {"tools": [WEATHER], "tool_choice": "required"},
    "schema": {"response_format": SCHEMA},
    "short": {"max_tokens": 5},
    "no usage": {"simulate": {"small": "no_usage", "medium": "no_usage"}},
    "cut": {"simulate": {"small": "cut_stream"}},
    "retried": {"simulate": {"small": {"fault": "server_error", "times": 1}}},
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("question", [EASY, HARD], ids=["easy", "hard"])
def test_header_body_and_sql_name_the_same_cost(http, gearbox, question, shape):
    reply = chat(http, question=question, **shape)
    row = gearbox.row(reply.headers["x-request-id"])
    body = reply.json()
    assert row["cost_nanousd"] == nanousd(reply.headers["x-gearbox-cost-usd"])
    assert row["baseline_nanousd"] == nanousd(reply.headers["x-gearbox-baseline-usd"])
    assert row["baseline_nanousd"] - row["cost_nanousd"] == nanousd(reply.headers["x-gearbox-saved-usd"])
    assert round(body["usage"]["cost"] * 1e9) == round(body["gearbox"]["cost"] * 1e9) == row["cost_nanousd"]
    assert row["cost_nanousd"] == sum(call["cost_nanousd"] for call in gearbox.calls(row["id"]))
    assert row["late_cost_nanousd"] == 0


@pytest.mark.parametrize("question", [EASY, HARD], ids=["easy", "hard"])
def test_a_streams_last_chunk_names_the_cost_in_sql(http, gearbox, question):
    told = told_at_the_end(chat(http, question=question, stream=True))
    assert round(told["cost"] * 1e9) == gearbox.row(told["id"])["cost_nanousd"]


@pytest.mark.parametrize("route", ["chat/completions", "responses"])
def test_a_stream_that_fails_midway_tells_what_it_cost(http, gearbox, route):
    asked = {"messages": [{"role": "user", "content": EASY}], "input": EASY}
    body = {"model": "large", "stream": True, "simulate": {"large": "cut_stream"}, **asked}
    body.pop("input" if route.startswith("chat") else "messages")
    text = http.post(f"/v1/{route}", json=body).text
    last = json.loads(re.findall(r"^data: (.+)$", text, re.MULTILINE)[-1])
    assert last["error"]["code"] == "upstream_bad_reply"
    assert round(last["gearbox"]["cost"] * 1e9) == gearbox.row(last["gearbox"]["id"])["cost_nanousd"] > 0


def test_the_id_is_one_in_header_body_sql_and_story(http, gearbox):
    reply = chat(http)
    request_id = reply.headers["x-request-id"]
    assert reply.json()["gearbox"]["id"] == request_id
    assert reply.json()["id"] == f"chatcmpl-{request_id}"
    assert gearbox.row(request_id)["id"] == request_id
    for name in (request_id, f"chatcmpl-{request_id}"):
        story = http.get(f"/v1/decisions/{name}").json()
        assert story["id"] == request_id
        assert story["cost_nanousd"] == nanousd(reply.headers["x-gearbox-cost-usd"])


def test_a_dry_run_tells_the_start_and_spends_nothing(http, gearbox):
    before = gearbox.sql("SELECT count(*) AS n FROM inference")
    body = {"model": "llm-at", "messages": [{"role": "user", "content": EASY}]}
    reply = http.post("/v1/route", json=body, headers={"x-gearbox-budget-usd": "1"})
    assert reply.status_code == 200
    assert reply.json()["tier"] == "small"
    assert "cold start" in reply.json()["why"]
    assert all(rung["worst_case_usd"] > 0 for rung in reply.json()["ladder"])
    assert gearbox.sql("SELECT count(*) AS n FROM inference") == before


def samples(text: str, name: str) -> dict[str, float]:
    found = re.findall(rf"^{name}(?:_total)?(\{{[^}}]*\}})? ([0-9.e+-]+)$", text, re.MULTILINE)
    return {labels: float(value) for labels, value in found}


def test_the_metrics_sum_up_to_what_sql_says(serve):
    gearbox = serve()
    with httpx.Client(base_url=gearbox.url, timeout=20) as http:
        for number, shape in enumerate(SHAPES.values()):
            chat(http, question=HARDER[number % 3], stream=bool(number % 2), **shape)
        chat(http, model="large", simulate={"large": "server_error"})
        text = http.get("/metrics").text
    (sums,) = gearbox.sql(
        "SELECT count(*) AS requests, sum(cost_nanousd) + sum(late_cost_nanousd) AS cost, sum(baseline_nanousd) AS base"
        " FROM inference"
    )
    assert sum(samples(text, "gearbox_requests").values()) == sums["requests"]
    assert round(sum(samples(text, "gearbox_cost_usd").values()) * 1e9) == sums["cost"]
    assert round(sum(samples(text, "gearbox_baseline_usd").values()) * 1e9) == sums["base"]
    (tokens,) = gearbox.sql("SELECT sum(prompt_tokens) + sum(completion_tokens) AS n FROM attempt")
    assert sum(samples(text, "gearbox_tokens").values()) == tokens["n"]
    by_purpose = gearbox.sql("SELECT tier, purpose, sum(cost_nanousd) AS n FROM attempt GROUP BY tier, purpose")
    costs = samples(text, "gearbox_cost_usd")
    for line in by_purpose:
        labels = f'{{purpose="{line["purpose"]}",tier="{line["tier"]}"}}'
        assert round(costs[labels] * 1e9) == line["n"]


# caps


@pytest.mark.parametrize("model", ["auto", "llm-at", "small", "medium", "large"])
@pytest.mark.parametrize("shape", ["easy", "n", "tools", "schema", "short"])
def test_a_cap_too_small_names_the_least_that_would_do_and_exactly_that_does(http, model, shape):
    ask = {"model": model, **SHAPES[shape]}
    reply = chat(http, {"x-gearbox-budget-usd": "1e-9"}, **ask)
    error = error_of(reply)
    assert (reply.status_code, error["code"], error["param"]) == (400, "budget_too_small", "x-gearbox-budget-usd")
    least = re.search(r"at least ([0-9.]+) USD", error["message"])[1]
    enough = chat(http, {"x-gearbox-budget-usd": least}, **ask)
    assert enough.status_code == 200
    assert nanousd(enough.headers["x-gearbox-cost-usd"]) <= nanousd(least)
    one_less = chat(http, {"x-gearbox-budget-usd": str(Decimal(least) - Decimal("1e-9"))}, **ask)
    assert error_of(one_less)["code"] == "budget_too_small"


def test_a_judge_that_the_cap_cannot_pay_is_not_asked(http):
    reply = chat(http, {"x-gearbox-budget-usd": "0.0003"})
    assert reply.headers["x-gearbox-attempts"] == "small:unjudged"
    assert reply.headers["x-gearbox-stopped"] == "budget"


@pytest.mark.parametrize("model", ["large", "small"])
def test_an_answer_that_the_cap_cut_says_so(http, model):
    least = re.search(r"least ([0-9.]+)", chat(http, {"x-gearbox-budget-usd": "1e-9"}, HARD, model=model).text)[1]
    reply = chat(http, {"x-gearbox-budget-usd": least}, HARD, model=model)
    assert reply.json()["choices"][0]["finish_reason"] == "length"
    assert reply.headers["x-gearbox-attempts"] == f"{model}:invalid"
    assert reply.headers["x-gearbox-stopped"] == "budget"


def test_refuse_at_the_budgets_end_is_a_400_that_says_what_was_spent(http, gearbox):
    reply = chat(http, {"x-gearbox-budget-usd": "0.0003", "x-gearbox-budget-end": "refuse"})
    assert reply.status_code == 400
    assert error_of(reply)["code"] == "budget_exhausted"
    assert (
        nanousd(reply.headers["x-gearbox-cost-usd"]) == gearbox.row(reply.headers["x-request-id"])["cost_nanousd"] > 0
    )


@pytest.mark.parametrize(
    ("param", "more"),
    [
        ("messages.0.content", {"messages": [{"role": "user", "content": [{"type": "file"}]}]}),
        ("tools.0", {"tools": [{"type": "web_search"}]}),
        ("web_search_options", {"web_search_options": {}}),
        ("prediction", {"prediction": {"type": "content", "content": "x"}}),
        ("service_tier", {"service_tier": "priority"}),
    ],
)
def test_what_no_price_bounds_is_refused_under_a_cap(http, param, more):
    reply = chat(http, {"x-gearbox-budget-usd": "1"}, **more)
    assert reply.status_code == 400
    assert error_of(reply)["param"] == param


FAULTS = (None, None, None, "cut_stream", "no_usage", "timeout", "truncated", "server_error", "malformed_json")


def mixed_request(dice: random.Random, questions: list[str]) -> tuple[dict, str, float]:
    cap = f"{10 ** dice.uniform(-7, 0):.9f}"
    body = {"model": dice.choice(["auto", "auto", "llm-at", "small", "large"])}
    body["messages"] = [{"role": "user", "content": dice.choice(questions)}]
    body |= dice.choice([{}, {}, {"n": 2}, SHAPES["tools"], SHAPES["schema"]])
    body |= dice.choice([{}, {}, {"max_tokens": dice.choice([1, 10, 50, 5000])}, {"max_completion_tokens": 20}])
    body |= dice.choice([{}, {"stream": True}])
    body["simulate"] = {tier: fault for tier in ("small", "medium", "large") if (fault := dice.choice(FAULTS))}
    return body, cap, dice.choice(["best", "best", "refuse"])


def told_at_the_end(reply: httpx.Response) -> dict | None:
    events = [event.removeprefix("data: ") for event in reply.text.split("\n\n") if event.startswith("data: {")]
    return json.loads(events[-1]).get("gearbox")


async def spend(gearbox, count: int, seed: int, at_once: int = 64) -> list[tuple[str, int, int | None]]:
    """(request id, cap, cost as the client was told) of `count` requests of every kind."""
    dice, gate = random.Random(seed), asyncio.Semaphore(at_once)
    questions = [problem.question for problem in problems(seed, 50)]
    limits = httpx.Limits(max_connections=at_once)
    async with httpx.AsyncClient(base_url=gearbox.url, timeout=60, limits=limits) as http:

        async def one(body, cap, end) -> tuple[str, int, int | None]:
            headers = {"x-gearbox-budget-usd": cap, "x-gearbox-budget-end": end}
            async with gate:
                reply = await http.post("/v1/chat/completions", json=body, headers=headers)
            assert reply.status_code in {200, 400, 502, 503, 504}, reply.text
            told = reply.headers.get("x-gearbox-cost-usd")
            if told is None and "event-stream" in reply.headers["content-type"] and (end := told_at_the_end(reply)):
                told = f"{end['cost']:.9f}"
            return reply.headers["x-request-id"], nanousd(cap), None if told is None else nanousd(told)

        return await asyncio.gather(*(one(*mixed_request(dice, questions)) for _ in range(count)))


async def test_no_cap_is_ever_exceeded_at_concurrency_64(serve):
    gearbox = serve(timeouts={"first_token_s": 0.3, "total_s": 0.5})
    spent = await spend(gearbox, 400, seed=1)
    costs = {row["id"]: row["cost_nanousd"] for row in gearbox.sql("SELECT id, cost_nanousd FROM inference")}
    assert [told for told in spent if told[2] is not None and told[2] > told[1]] == []
    assert [told for told in spent if costs.get(told[0], 0) > told[1]] == []
    assert sum(1 for request_id, _, cost in spent if cost) > 150
    assert all(costs[request_id] == cost for request_id, _, cost in spent if cost)
