"""Ollama and vLLM on this machine, found by their own words alone."""

from __future__ import annotations

import time

import pytest
from config_support import TODAY
from loopback import Loopback
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import Route

from app.config import ladder
from app.config.environment import Variables
from app.config.local_servers import LocalServer, local_servers

NOBODY = "http://127.0.0.1:9"
OLLAMA = LocalServer("Ollama", "http://127.0.0.1:11434/v1", "ollama/llama3:70b")
VLLM = LocalServer("vLLM", "http://127.0.0.1:8000/v1", "hosted_vllm/qwen", 32_768)
TAGS = {
    "models": [
        {"name": "llama3:8b", "size": 5_000},
        {"name": "llama3:70b", "size": 40_000},
        {"name": "nomic-embed-text:latest", "size": 90_000},
    ]
}
MODELS = {"object": "list", "data": [{"id": "qwen", "owned_by": "vllm", "max_model_len": 32_768}]}


def serving(**answers):
    def route(path, answer):
        async def reply(_):
            return answer if isinstance(answer, PlainTextResponse) else JSONResponse(answer)

        return Route(path, reply)

    paths = {"tags": "/api/tags", "models": "/v1/models", "live": "/health/live"}
    return Loopback(Starlette(routes=[route(paths[name], answer) for name, answer in answers.items()]))


def test_ollama_offers_its_largest_chat_model():
    with serving(tags=TAGS) as server:
        assert local_servers(server.url, NOBODY) == (LocalServer("Ollama", f"{server.url}/v1", "ollama/llama3:70b"),)


def test_vllm_offers_what_it_serves():
    with serving(models=MODELS) as server:
        found = local_servers(NOBODY, server.url)
    assert found == (LocalServer("vLLM", f"{server.url}/v1", "hosted_vllm/qwen", 32_768),)


def test_gearbox_itself_is_not_taken_for_vllm():
    with serving(models=MODELS, live={"product": "gearbox"}) as server:
        assert local_servers(NOBODY, server.url) == ()


@pytest.mark.parametrize(
    "answers",
    [
        {"models": {"data": [{"id": "x", "owned_by": "somebody"}]}, "tags": {"models": []}},
        {"models": {"data": 5}, "tags": {"models": "none"}},
        {"models": PlainTextResponse("hello"), "tags": []},
        {"models": {"data": [3]}, "tags": {"models": [{"name": 4}]}},
    ],
)
def test_other_servers_at_those_ports_are_passed_over(answers):
    with serving(**answers) as server:
        assert local_servers(server.url, server.url) == ()


def test_nobody_there_costs_no_time():
    started = time.monotonic()
    assert local_servers(NOBODY, NOBODY) == ()
    assert time.monotonic() - started < 1


LADDERS = {
    "alone": ((OLLAMA,), {}, ["ollama/llama3:70b"]),
    "both": ((OLLAMA, VLLM), {}, ["ollama/llama3:70b", "hosted_vllm/qwen"]),
}


@pytest.mark.parametrize("row", LADDERS.values(), ids=LADDERS)
def test_what_runs_here_makes_a_ladder(catalog, row):
    local, env, models = row
    built = ladder.from_environment(Variables(env), catalog, TODAY, local=local)
    assert [tier.deployments[0].model for tier in built.tiers] == models
    assert all(tier.deployments[0].price.base.output == 0 for tier in built.tiers)
    assert built.aliases["gpt-*"] == "auto"
    assert "127.0.0.1" in built.source


def test_what_runs_here_stands_below_paid_models_of_several_vendors(catalog):
    keys = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c"}
    built = ladder.from_environment(Variables(keys), catalog, TODAY, local=(OLLAMA,))
    prices = [tier.deployments[0].price.base.output for tier in built.tiers]
    assert [tier.name for tier in built.tiers] == ["small", "medium", "large"]
    assert built.tiers[0].deployments[0].model == "ollama/llama3:70b"
    assert prices == sorted(prices)
    assert {endpoint.kind for endpoint in built.endpoints.values()} <= {"openai", "litellm"}


def test_keys_of_several_vendors_make_one_ladder_by_price(catalog):
    keys = {"OPENAI_API_KEY": "a", "ANTHROPIC_API_KEY": "b", "GEMINI_API_KEY": "c", "GROQ_API_KEY": "d"}
    built = ladder.from_environment(Variables(keys), catalog, TODAY)
    prices = [tier.deployments[0].price.base.output for tier in built.tiers]
    providers = {tier.deployments[0].model.partition("/")[0] for tier in built.tiers}
    assert prices == sorted(prices)
    assert len(providers) > 1
