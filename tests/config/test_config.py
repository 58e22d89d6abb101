from __future__ import annotations

from pathlib import Path

import pytest

from app.config import file as config_file
from app.config import ladder
from app.config.environment import Environment, Variables

WIRE = """\
tiers:                       # cheapest first
  - name: small
    deployments:             # several = load balanced
      - {model: openai/gpt-5-nano, api_base: https://api.openai.com/v1, api_key: os.environ/OPENAI_API_KEY}
    price: {input_usd_per_mtok: 0.05, output_usd_per_mtok: 0.40}
    prior_accuracy: 0.57
    judge: large
  - name: large
    deployments: [{model: anthropic/claude-sonnet-5}]
aliases: {"gpt-*": auto}
policy: {default: auto, llm-at: {threshold: 0.7, k: 5, lambda: 5}}
keys: []
store: {url: "sqlite+aiosqlite:///gearbox.db"}
redis: {url: "redis://localhost"}
"""
BARE = "tiers: [{name: a, deployments: [{model: simulated/small}]}]\n"


def test_the_documented_example_is_taken_as_it_stands(read):
    config = read(WIRE).config
    assert [tier.name for tier in config.tiers] == ["small", "large"]
    assert config.tiers[0].deployments[0].api_key.get_secret_value() == "sk-openai"
    assert config.policy.settings() == {"llm-at": {"threshold": 0.7, "k": 5, "lambda": 5}}
    assert config.aliases == {"gpt-*": "auto"}


def test_what_is_left_out_has_the_documented_default(read):
    config = read(BARE).config
    assert config.store.url.get_secret_value() == "sqlite+aiosqlite:///gearbox.db"
    assert (config.judge.max_tokens, config.judge.fail, config.server.linger_s) == (2048, "open", 10)
    assert (config.limits.default_max_output_tokens, config.policy.default, config.redis.url) == (4096, "auto", None)


@pytest.mark.parametrize("text", ["", "judge: {fail: closed}\naliases: {cheap: small}\n"])
def test_a_file_without_tiers_leaves_them_to_the_environment(read, text):
    assert read(text).config.tiers == ()


def test_a_configuration_shows_no_secret(read):
    text = BARE + "keys: [{key: hunter2}]\nstore: {url: 'postgresql+asyncpg://u:hunter2@h/d'}\n"
    loaded = read(text.replace("small}", "small, api_key: hunter2}"))
    assert "hunter2" not in repr(loaded.config)


def test_a_configuration_is_frozen(read):
    with pytest.raises(ValueError, match="frozen"):
        read(BARE).config.judge.max_tokens = 5


def test_a_key_that_only_begins_like_a_number_is_a_text(read):
    config = read(f"{BARE}master_key: 4e58c9a4f3b427289605d1bda39ea0a5\n").config
    assert config.master_key.get_secret_value() == "4e58c9a4f3b427289605d1bda39ea0a5"


def test_anchors_and_merge_keys_are_plain_yaml(read):
    text = "tiers:\n  - &a {name: a, deployments: [{model: simulated/small}]}\n  - {<<: *a, name: b}\n"
    assert [tier.name for tier in read(text).config.tiers] == ["a", "b"]


@pytest.mark.parametrize("default", ["auto", "llm-at", "a", "always:a"])
def test_the_default_may_be_a_policy_or_a_tier(read, default):
    assert read(BARE + f'policy: {{default: "{default}"}}\n').config.policy.default == default


def test_a_tier_is_judged_by_itself_and_the_lowest_by_the_second(read, catalog):
    tiers = "".join(
        f"  - {{name: {name}, deployments: [{{model: simulated/{name}}}]}}\n" for name in ("small", "medium", "large")
    )
    built = ladder.from_config(read("tiers:\n" + tiers), Variables({}), catalog)
    assert [tier.judge for tier in built.tiers] == ["medium", "medium", "large"]


def test_missing_priors_are_even_steps_and_a_note_says_so(read, catalog):
    tiers = "".join(
        f"  - {{name: {name}, deployments: [{{model: simulated/{name}}}]}}\n" for name in ("small", "medium", "large")
    )
    built = ladder.from_config(read("tiers:\n" + tiers), Variables({}), catalog)
    assert [tier.prior_accuracy for tier in built.tiers] == [0.55, 0.675, 0.8]
    assert any("even steps" in note for note in built.notes)


def test_a_ladder_that_does_not_ascend_in_price_is_kept_with_a_note(read, catalog):
    rung = "{{name: {}, deployments: [{{model: simulated/{}}}]}}"
    text = f"tiers: [{rung.format('b', 'large')}, {rung.format('a', 'small')}]"
    built = ladder.from_config(read(text), Variables({}), catalog)
    assert [tier.name for tier in built.tiers] == ["b", "a"]
    assert any("is cheaper" in note for note in built.notes)


def test_a_deployments_price_wins_over_its_tiers_and_that_over_the_tables(read, catalog):
    text = """tiers:
  - name: a
    price: {input_usd_per_mtok: 1, output_usd_per_mtok: 2}
    deployments:
      - {model: openai/gpt-5-nano}
      - model: openai/gpt-5-nano
        price: {input_usd_per_mtok: 3, output_usd_per_mtok: 4, cached_input_usd_per_mtok: 5e-1}
  - {name: b, deployments: [{model: openai/gpt-5-nano}]}
"""
    built = ladder.from_config(read(text), Variables({"OPENAI_API_KEY": "k"}), catalog)
    first, second = (deployment.price.base for deployment in built.tiers[0].deployments)
    assert (first.input, second.output, second.cached_input) == (10**9, 4 * 10**9, 5 * 10**8)
    assert built.tiers[1].deployments[0].price == catalog.price("gpt-5-nano")


#: A deployment -> model, kind, address, key.
ENDPOINTS = {
    "openai": ("{model: openai/gpt-5-nano}", "openai/gpt-5-nano", "openai", "https://api.openai.com/v1", "sk-openai"),
    "bare": ("{model: gpt-5-nano}", "openai/gpt-5-nano", "openai", "https://api.openai.com/v1", "sk-openai"),
    "anthropic": ("{model: claude-sonnet-5}", "anthropic/claude-sonnet-5", "litellm", None, "sk-anthropic"),
    "bedrock": ("{model: 'bedrock/amazon.nova-lite-v1:0'}", "bedrock/amazon.nova-lite-v1:0", "litellm", None, None),
    "azure": (
        "{model: azure/gpt-5, api_base: 'https://me.azure.com'}",
        "azure/gpt-5",
        "litellm",
        "https://me.azure.com",
        None,
    ),
    "own server": (
        "{model: gpt-4o, api_base: 'http://127.0.0.1:9/v1/'}",
        "openai/gpt-4o",
        "openai",
        "http://127.0.0.1:9/v1",
        None,
    ),
    "own server's name": ("{model: org/m, api_base: 'http://h:9'}", "openai/org/m", "openai", "http://h:9", None),
    "elsewhere": (
        "{model: openai/gpt-4o, api_base: 'https://evil.example/v1'}",
        "openai/gpt-4o",
        "openai",
        "https://evil.example/v1",
        None,
    ),
    "adapter": (
        "{model: anthropic/x, adapter: openai, api_base: 'http://h/v1'}",
        "anthropic/x",
        "openai",
        "http://h/v1",
        None,
    ),
    "other adapter": ("{model: odd/x, adapter: litellm}", "odd/x", "litellm", None, None),
    "ollama": ("{model: ollama/llama3}", "ollama/llama3", "openai", "http://localhost:11434/v1", None),
    "vllm": ("{model: vllm/org/m}", "hosted_vllm/org/m", "openai", "http://localhost:8000/v1", None),
    "simulated": ("{model: simulated/small, hints: true}", "simulated/small", "simulated", None, None),
}


@pytest.mark.parametrize("row", ENDPOINTS.values(), ids=ENDPOINTS)
def test_a_deployment_knows_where_and_how_it_is_asked(read, catalog, row):
    deployment, model, kind, base, key = row
    price = "price: {input_usd_per_mtok: 1, output_usd_per_mtok: 1}"
    loaded = read(f"tiers:\n  - name: t\n    {price}\n    deployments: [{deployment}]\n")
    variables = Variables({"OPENAI_API_KEY": "sk-openai", "ANTHROPIC_API_KEY": "sk-anthropic"})
    endpoint = ladder.from_config(loaded, variables, catalog).endpoints["t/0"]
    found = endpoint.api_key and endpoint.api_key.get_secret_value()
    assert (endpoint.deployment.model, endpoint.kind, endpoint.api_base, found) == (model, kind, base, key)
    assert key is None or key not in repr(endpoint)


def test_a_known_model_on_an_own_server_keeps_the_tables_price(read, catalog):
    text = "tiers: [{name: t, deployments: [{model: claude-sonnet-5, api_base: 'http://127.0.0.1:9/v1'}]}]"
    endpoint = ladder.from_config(read(text), Variables({}), catalog).endpoints["t/0"]
    assert (endpoint.kind, endpoint.deployment.model) == ("openai", "openai/claude-sonnet-5")
    assert endpoint.deployment.price == catalog.price("anthropic/claude-sonnet-5")


def test_the_file_overrides_facts_and_times(read, catalog):
    text = (
        "timeouts: {total_s: 50, connect_s: 1}\ntiers:\n  - name: a\n    deployments:\n      - {model: gpt-5-nano, "
        "context_tokens: 10, capabilities: {logprobs: true, vision: false}, timeouts: {total_s: 9}}\n"
    )
    endpoint = ladder.from_config(read(text), Variables({"OPENAI_API_KEY": "k"}), catalog).endpoints["a/0"]
    facts, times = endpoint.deployment.facts, endpoint.timeouts
    assert (facts.context_tokens, facts.max_output_tokens) == (10, 128000)
    assert ("logprobs" in facts.capabilities, "logprobs" in facts.lacks, "vision" in facts.lacks) == (True, False, True)
    assert (times.connect_s, times.first_token_s, times.total_s) == (1, 60, 9)


def test_the_file_is_found_by_option_then_variable_then_folder(tmp_path):
    assert config_file.find(None, None, tmp_path) is None
    (tmp_path / "gearbox.yaml").write_text(BARE)
    assert config_file.find(None, None, tmp_path) == tmp_path / "gearbox.yaml"
    assert config_file.find(None, Path("b"), tmp_path) == Path("b")
    assert config_file.find(Path("a"), Path("b"), tmp_path) == Path("a")


def test_the_environment_is_read_through_one_door(monkeypatch):
    monkeypatch.setenv("GEARBOX_PORT", "9")
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    environment, variables = Environment.read()
    assert (environment.port, environment.host) == (9, "127.0.0.1")
    assert variables.get("OPENAI_API_KEY") == "hunter2"
    assert "hunter2" not in repr(variables) + repr(environment)
