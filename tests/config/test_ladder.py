from __future__ import annotations

from datetime import date, timedelta

import pytest
from config_support import TODAY

from app.config import ladder, rungs
from app.config.environment import Variables
from router.catalog import Catalog
from router.endpoints import VENDORS

ROW = {"litellm_provider": "openai", "mode": "chat", "supports_function_calling": True}


def small_catalog(**models):
    """Name (_ for -, and __ for .) -> (USD per Mtok in, out) and more of the row."""
    rows = {}
    for name, (usd_in, usd_out, *more) in models.items():
        key = name.replace("__", ".").replace("_", "-")
        rows[key] = {
            **ROW,
            "input_cost_per_token": usd_in / 1e6,
            "output_cost_per_token": usd_out / 1e6,
            **(more[0] if more else {}),
        }
    return Catalog(rows)


def names(models):
    return [model.name for model in models]


#: What the rule keeps and drops, one table each.
RULES = {
    "newest generation of each size": (
        {"gpt_5_mini": (1, 2), "gpt_5__4_mini": (2, 4), "gpt_5__4": (5, 9)},
        ["gpt-5.4-mini", "gpt-5.4"],
    ),
    "undercut by a newer one": ({"gpt_5__5": (5, 30), "gpt_6_sol": (2, 10)}, ["gpt-6-sol"]),
    "not undercut by an older one": ({"gpt_5__5_x": (1, 2), "gpt_6_sol": (2, 10)}, ["gpt-5.5-x", "gpt-6-sol"]),
    "special purposes": (
        {"gpt_6_cyber": (1, 2), "gpt_6_chat_latest": (1, 2), "gpt_6_search_api": (1, 2), "gpt_6": (1, 2)},
        ["gpt-6"],
    ),
    "dated names": ({"gpt_6_2026_03_05": (1, 2), "gpt_6": (1, 2)}, ["gpt-6"]),
    "other families": ({"daybreak_1": (1, 2), "gpt_6": (1, 2)}, ["gpt-6"]),
    "free ones": ({"gpt_7": (0, 0), "gpt_6": (1, 2)}, ["gpt-6"]),
    "ending soon": ({"gpt_7": (1, 2, {"deprecation_date": str(TODAY + timedelta(90))}), "gpt_6": (1, 2)}, ["gpt-6"]),
    "ending later": ({"gpt_7": (1, 2, {"deprecation_date": str(TODAY + timedelta(91))}), "gpt_6": (1, 2)}, ["gpt-7"]),
    "without tools": ({"gpt_7": (1, 2, {"supports_function_calling": False}), "gpt_6": (1, 2)}, ["gpt-6"]),
    "on another route": ({"gpt_7": (1, 2, {"supported_endpoints": ["/v1/responses"]}), "gpt_6": (1, 2)}, ["gpt-6"]),
}


@pytest.mark.parametrize("row", RULES.values(), ids=RULES)
def test_the_rungs_of_a_vendor_follow_the_stated_rule(row):
    models, kept = row
    assert sorted(names(rungs.rungs(VENDORS["openai"], small_catalog(**models), TODAY))) == sorted(kept)


@pytest.mark.parametrize(
    ("prices", "picked"),
    [([], []), ([3], [3]), ([9, 1], [1, 9]), ([1, 2, 9, 100], [1, 9, 100]), ([100, 1, 50, 60, 70], [1, 50, 100])],
)
def test_three_rungs_are_cheapest_dearest_and_the_geometric_middle(prices, picked):
    models = small_catalog(**{f"gpt_6_{'abcdefg'[place]}": (1, usd) for place, usd in enumerate(prices)}).chat_models(
        "openai"
    )
    assert [model.price.base.output // 10**9 for model in rungs.pick(models)] == picked


def build(catalog, **env):
    return ladder.from_environment(Variables(env), catalog, TODAY)


@pytest.mark.parametrize(
    ("env", "prefixes", "alias"),
    [
        ({"OPENAI_API_KEY": "k"}, {"openai"}, "gpt-*"),
        ({"ANTHROPIC_API_KEY": "k"}, {"anthropic"}, "claude-*"),
        ({"GEMINI_API_KEY": "k"}, {"gemini"}, "gemini-*"),
        ({"GROQ_API_KEY": "k"}, {"groq"}, "groq/*"),
        ({"MISTRAL_API_KEY": "k"}, {"mistral"}, "mistral-*"),
        ({"OPENAI_API_KEY": "k", "ANTHROPIC_API_KEY": "k", "GROQ_API_KEY": "k"}, {"openai", "anthropic", "groq"}, None),
    ],
)
def test_the_keys_in_the_environment_build_a_ladder_ascending_in_price(catalog, env, prefixes, alias):
    built = build(catalog, **env)
    models = [tier.deployments[0].model for tier in built.tiers]
    costs = [tier.deployments[0].price.base.output for tier in built.tiers]
    assert {model.partition("/")[0] for model in models} <= prefixes
    assert 2 <= len(models) <= 3
    assert costs == sorted(costs)
    assert alias is None or built.aliases[alias] == "auto"
    assert all(endpoint.api_key.get_secret_value() == "k" for endpoint in built.endpoints.values())
    assert next(iter(env)) in built.source or len(env) > 1


def test_openai_alone_makes_three_current_rungs(catalog):
    built = build(catalog, OPENAI_API_KEY="k")
    ends = {model.model: model.ends for model in catalog.chat_models("openai")}
    models = [tier.deployments[0].model for tier in built.tiers]
    assert [tier.name for tier in built.tiers] == ["small", "medium", "large"]
    assert len(set(models)) == 3
    assert all(ends[model] is None or ends[model] > date(2027, 2, 25) for model in models)
    assert [tier.prior_accuracy for tier in built.tiers] == [0.55, 0.675, 0.8]


def test_without_a_key_the_tiers_are_simulated(catalog):
    built = build(catalog)
    rates = [tier.deployments[0].price.base for tier in built.tiers]
    assert [(rate.input // 10**6, rate.output // 10**6) for rate in rates] == [(50, 400), (500, 2000), (5000, 20000)]
    assert [tier.prior_accuracy for tier in built.tiers] == [0.55, 0.76, 0.93]
    assert {endpoint.kind for endpoint in built.endpoints.values()} == {"simulated"}
    assert sorted(built.endpoints) == ["large/0", "medium/0", "small/0"]
    assert "simulated" in built.source


def test_a_vendor_whose_adapter_is_not_there_is_passed_over_with_a_note(catalog):
    variables = Variables({"ANTHROPIC_API_KEY": "k", "OPENAI_API_KEY": "k"})
    built = ladder.from_environment(variables, catalog, TODAY, kinds=("openai",))
    assert {endpoint.kind for endpoint in built.endpoints.values()} == {"openai"}
    assert any("ANTHROPIC_API_KEY" in note for note in built.notes)


def test_a_key_of_a_vendor_without_a_family_is_noted(catalog):
    built = build(catalog, OPENROUTER_API_KEY="k")
    assert "simulated" in built.source
    assert any("OPENROUTER_API_KEY" in note for note in built.notes)
