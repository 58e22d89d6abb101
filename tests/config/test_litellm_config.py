from __future__ import annotations

import json

import pytest

from app.config import embeddings, ladder
from app.config.environment import Variables
from router.errors import ConfigError

REAL = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params:
      model: openai/gpt-4o-mini
      api_key: os.environ/OPENAI_API_KEY
      rpm: 100
  - model_name: big
    litellm_params:
      {model: azure/my-gpt, api_base: os.environ/AZURE_BASE, api_key: os.environ/AZURE_KEY, api_version: "2025-01-01"}
    model_info: {base_model: azure/gpt-5}
  - model_name: big
    litellm_params: {model: openai/gpt-5, timeout: 30, stream_timeout: 5}
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small}
  - model_name: "anthropic/*"
    litellm_params: {model: "anthropic/*"}
  - model_name: own
    litellm_params: {model: openai/llama, api_base: "http://127.0.0.1:9/v1"}
    model_info:
      {input_cost_per_token: 0.00000001, output_cost_per_token: 2e-8, max_input_tokens: 8000, supports_vision: true}
  - model_name: unset
    litellm_params: {model: groq/openai/gpt-oss-20b, api_key: os.environ/NOT_SET}
litellm_settings:
  drop_params: true
  fallbacks: [{gpt-4o-mini: [big]}]
router_settings:
  routing_strategy: least-busy
  model_group_alias: {gpt-4: big, hidden: {model: gpt-4o-mini, hidden: true}, own: big}
general_settings:
  master_key: os.environ/MASTER
"""
ENV = {"OPENAI_API_KEY": "sk-o", "AZURE_BASE": "https://me.azure.com", "AZURE_KEY": "az", "MASTER": "sk-master"}


@pytest.fixture
def loaded(read):
    return read(REAL, ENV, "config.yaml")


def built(loaded, catalog, env=None):
    return ladder.from_config(loaded, Variables(ENV if env is None else env), catalog)


def test_its_chat_models_are_the_ladder_by_output_price(loaded, catalog):
    tiers = built(loaded, catalog).tiers
    assert [tier.name for tier in tiers] == ["own", "gpt-4o-mini", "big"]
    assert [deployment.model for deployment in tiers[2].deployments] == ["azure/my-gpt", "openai/gpt-5"]


def test_endpoints_keep_addresses_keys_times_and_the_adapters_parameters(loaded, catalog):
    endpoints = built(loaded, catalog).endpoints
    azure = endpoints["big/0"]
    assert (azure.kind, azure.api_base, azure.api_key.get_secret_value()) == ("litellm", "https://me.azure.com", "az")
    assert azure.params == {"api_version": "2025-01-01"}
    assert azure.deployment.price == catalog.price("azure/gpt-5")
    assert (endpoints["big/1"].timeouts.total_s, endpoints["big/1"].timeouts.first_token_s) == (30, 5)
    assert endpoints["gpt-4o-mini/0"].params == {}


def test_model_info_gives_price_limits_and_capabilities(loaded, catalog):
    deployment = built(loaded, catalog).endpoints["own/0"].deployment
    assert (deployment.price.base.input, deployment.price.base.output) == (10_000_000, 20_000_000)
    assert (deployment.facts.context_tokens, "vision" in deployment.facts.capabilities) == (8000, True)


def test_every_name_its_clients_send_still_works(loaded):
    assert loaded.config.aliases == {"gpt-4": "big", "hidden": "gpt-4o-mini", "anthropic/*": "auto", "unset": "auto"}


def test_its_master_key_goes_on_being_asked_for(loaded):
    (key,) = loaded.config.keys
    assert (key.key.get_secret_value(), key.admin) == ("sk-master", True)


def test_what_does_not_concern_routing_gets_one_warning(loaded):
    (note,) = [note for note in loaded.notes if "not used" in note]
    words = ("litellm_settings.drop_params", "litellm_settings.fallbacks", "router_settings.routing_strategy")
    assert [word for word in words if word not in note] == []
    assert "master_key" not in note


@pytest.mark.parametrize(
    "words",
    [
        "NOT_SET is not set",
        "the ladder, by output price: own < gpt-4o-mini < big",
        '"own" is a tier',
    ],
)
def test_what_was_chosen_and_left_out_is_told(loaded, words):
    assert [note for note in loaded.notes if words in note] != []


def test_its_embedding_models_embed_for_the_same_clients(loaded, catalog):
    (found,) = embeddings.from_config(loaded, Variables(ENV), catalog)
    assert (found.name, found.model, found.api_base) == ("embed", "text-embedding-3-small", "https://api.openai.com/v1")
    assert found.api_key.get_secret_value() == "sk-o"


ONE = "model_list: [{model_name: a, litellm_params: {model: openai/gpt-5, api_key: k}}]\n"
NOT_OURS = {
    "spoken to through litellm": ("cohere/embed-english-v3.0", "OpenAI-compatible endpoints alone"),
    "its key is not set": ("mistral/mistral-embed", "MISTRAL_API_KEY is not set"),
}


@pytest.mark.parametrize("row", NOT_OURS.values(), ids=NOT_OURS)
def test_an_embedding_model_that_cannot_be_asked_is_left_out_and_told(read, catalog, row):
    model, why = row
    more = f"  - {{model_name: e, litellm_params: {{model: {model}, input_cost_per_token: 0}}}}\n"
    loaded = read(ONE.replace(": [", ":\n  - ").replace("}}]", "}}") + more, {}, "config.yaml")
    assert embeddings.from_config(loaded, Variables({}), catalog) == ()
    assert [note for note in loaded.notes if "model_list[1]" in note and why in note] != []


#: LiteLLM's words -> ours.
PATIENCE = {
    "tries after the first": ("litellm_settings: {num_retries: 2}", "retries", "attempts", 3),
    "its router's word is the last": (
        "litellm_settings: {num_retries: 2}\nrouter_settings: {num_retries: 0}",
        "retries",
        "attempts",
        1,
    ),
    "the whole call": ("litellm_settings: {request_timeout: 90}", "timeouts", "total_s", 90),
    "a stream's first token": ("router_settings: {stream_timeout: 7.5}", "timeouts", "first_token_s", 7.5),
    "failures put up with": ("router_settings: {allowed_fails: 1}", "retries", "cooldown_failures", 2),
    "the cool-down": ("router_settings: {cooldown_time: 12}", "retries", "cooldown_s", 12),
    "our own block's word is the very last": (
        "router_settings: {cooldown_time: 12}\ngearbox: {retries: {cooldown_s: 5}}",
        "retries",
        "cooldown_s",
        5,
    ),
}


@pytest.mark.parametrize("row", PATIENCE.values(), ids=PATIENCE)
def test_its_retries_and_times_are_ours(read, row):
    text, block, key, value = row
    loaded = read(ONE + text, {}, "config.yaml")
    assert getattr(getattr(loaded.config, block), key) == value
    assert [note for note in loaded.notes if "not used" in note] == []


def test_a_time_out_of_the_wrong_kind_is_told_at_its_own_line(read):
    with pytest.raises(ConfigError) as caught:
        read(ONE + "router_settings:\n  timeout: soon\n", {}, "config.yaml")
    assert caught.value.message.startswith("config.yaml:3: router_settings.timeout: ")


def test_a_deployment_without_a_price_is_left_out_and_its_namesakes_stay(read, catalog):
    text = """model_list:
  - {model_name: big, litellm_params: {model: openai/gpt-5, api_key: k}}
  - {model_name: big, litellm_params: {model: openai/my-own, api_key: k, api_base: "http://127.0.0.1:9/v1"}}
"""
    loaded = read(text, {}, "config.yaml")
    (tier,) = built(loaded, catalog, {}).tiers
    assert [deployment.model for deployment in tier.deployments] == ["openai/gpt-5"]
    assert [note for note in loaded.notes if note.startswith("config.yaml:3") and "it has no price" in note] != []


#: A `gearbox` block -> the tiers' names and priors, the default policy.
BLOCKS = {
    "names": ("gearbox:\n  tiers: [gpt-4o-mini, big]\n", ["gpt-4o-mini", "big"]),
    "mappings": (
        "gearbox:\n  tiers: [{name: small, model_name: own, judge: large}, {name: large, model_name: big}]\n",
        ["small", "large"],
    ),
    "deployments": (
        "gearbox:\n  tiers: [own, {name: sim, deployments: [{model: simulated/large}]}]\n  policy: {default: llm-at}\n",
        ["own", "sim"],
    ),
}


@pytest.mark.parametrize("row", BLOCKS.values(), ids=BLOCKS)
def test_a_gearbox_block_chooses_the_ladder(read, catalog, row):
    text, names = row
    loaded = read(REAL + text, ENV, "config.yaml")
    assert [tier.name for tier in built(loaded, catalog).tiers] == names


def test_names_outside_the_chosen_ladder_go_to_the_default_policy(read):
    loaded = read(REAL + "gearbox:\n  tiers: [big]\n  policy: {default: llm-at}\n  aliases: {own: big}\n", ENV)
    assert loaded.config.aliases["gpt-4o-mini"] == "llm-at"
    assert loaded.config.aliases["own"] == "big"
    assert loaded.config.aliases["hidden"] == "llm-at"


def test_wildcards_alone_become_the_vendors_own_rungs(read, catalog):
    params = '{model: "openai/*", api_key: os.environ/OPENAI_API_KEY}'
    text = f'model_list:\n  - model_name: "*"\n    litellm_params: {params}\n'
    loaded = read(text, ENV)
    ladder_built = built(loaded, catalog)
    assert len(ladder_built.tiers) == 3
    assert {endpoint.api_base for endpoint in ladder_built.endpoints.values()} == {"https://api.openai.com/v1"}
    assert loaded.config.aliases == {"*": "auto"}


def test_a_name_that_headers_could_not_carry_is_fitted_and_still_works(read, catalog):
    text = 'model_list:\n  - model_name: "llama3:8b, fast"\n    litellm_params: {model: ollama/llama3}\n'
    loaded = read(text, {})
    assert [tier.name for tier in built(loaded, catalog, {}).tiers] == ["llama3-8b-fast"]
    assert loaded.config.aliases == {"llama3:8b, fast": "llama3-8b-fast"}


ENTRY = "model_list:\n  - model_name: a\n    litellm_params: {model: openai/gpt-4o}\n"
#: The file, the line at fault, and words of the message.
ERRORS = {
    "no list": ("model_list: 5\n", 1, ["model_list", "must be a list"]),
    "an empty list": ("model_list: []\n", 1, ["must be a list"]),
    "no params": ("model_list:\n  - model_name: a\n", 2, ["model_list[0]", "needs litellm_params"]),
    "params of a wrong type": ("model_list:\n  - {model_name: a, litellm_params: 3}\n", 2, ["needs litellm_params"]),
    "info of a wrong type": (ENTRY + "    model_info: 3\n", 4, ["model_list[0].model_info", "must be a mapping"]),
    "a price that is none": (
        ENTRY + "    model_info:\n      {input_cost_per_token: cheap, output_cost_per_token: 1}\n",
        5,
        ["model_info.input_cost_per_token: must be a number"],
    ),
    "a time that is none": (ENTRY.replace("4o}", "4o, timeout: long}"), 3, ["valid number"]),
    "a tier of no model": (ENTRY + "gearbox:\n  tiers:\n    - b\n", 6, ['is named "b"', "There are: a"]),
    "tiers of a wrong type": (ENTRY + "gearbox:\n  tiers: 3\n", 5, ["gearbox.tiers", "must be a list"]),
    "a tier of a wrong type": (ENTRY + "gearbox:\n  tiers: [3]\n", 5, ["gearbox.tiers[0]"]),
    "an unknown key of ours": (ENTRY + "gearbox:\n  polcy: {}\n", 5, ["gearbox.polcy", 'did you mean "policy"?']),
    "an unknown key in a tier": (
        ENTRY + "gearbox:\n  tiers:\n    - {name: a, piror: 1}\n",
        6,
        ["gearbox.tiers[0].piror"],
    ),
    "an alias to nowhere": (
        ENTRY + "router_settings:\n  model_group_alias:\n    b: c\n",
        6,
        ["model_group_alias.b", '"c" is no policy'],
    ),
    "a block of a wrong type": (ENTRY + "gearbox: 3\n", 4, ["gearbox", "must be a mapping"]),
    "a model named like a policy": (ENTRY.replace("model_name: a", "model_name: auto"), 2, ["is the name of a policy"]),
}


@pytest.mark.parametrize("row", ERRORS.values(), ids=ERRORS)
def test_an_error_names_the_operators_own_line(read, row):
    text, line, words = row
    with pytest.raises(ConfigError) as caught:
        read(text, ENV, "config.yaml")
    assert f"config.yaml:{line}: " in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []


def test_a_config_of_which_nothing_can_be_asked_says_why(read):
    entry = "  - {{model_name: {}, litellm_params: {{model: {}}}}}\n"
    text = "model_list:\n" + entry.format("a", "openai/gpt-4o") + entry.format("b", "x/y")
    with pytest.raises(ConfigError) as caught:
        read(text, {})
    assert "OPENAI_API_KEY is not set" in caught.value.message
    assert "it has no price" in caught.value.message


def test_the_translation_is_a_gearbox_yaml_of_its_own(read, loaded):
    again = read(json.dumps(loaded.document.data), ENV)
    assert again.config == loaded.config
