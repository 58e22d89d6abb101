"""Who embeds for clients: what the configuration says, and what the keys in the environment stand for."""

from __future__ import annotations

import pytest

from app.config import embeddings
from app.config.environment import Variables
from router.errors import ConfigError

TIER = "tiers: [{name: small, deployments: [{model: openai/gpt-5-nano, api_key: k}]}]\n"


def test_address_and_price_come_from_what_is_known_of_the_vendor(read, catalog):
    loaded = read(TIER + "embeddings: [{name: small-vectors, model: openai/text-embedding-3-small}]")
    (found,) = embeddings.from_config(loaded, Variables({"OPENAI_API_KEY": "sk-1"}), catalog)
    assert (found.name, found.model, found.api_base) == (
        "small-vectors",
        "text-embedding-3-small",
        "https://api.openai.com/v1",
    )
    assert found.price.base.input == 20_000_000  # nano-dollars a million tokens: 0.02 USD
    assert found.api_key.get_secret_value() == "sk-1"


def test_the_vendors_key_goes_to_nobody_elses_address(read, catalog):
    loaded = read(TIER + "embeddings: [{name: a, model: openai/x, api_base: 'http://elsewhere:1/v1'}]")
    (found,) = embeddings.from_config(loaded, Variables({"OPENAI_API_KEY": "sk-1"}), catalog)
    assert found.api_key is None


FAULTS = {
    "a name twice": ("[{name: a, model: openai/x, api_key: k}, {name: a, model: openai/y, api_key: k}]", "unique"),
    "no address": ("[{name: a, model: cohere/embed-english-v3.0}]", "add api_base"),
    "no key": ("[{name: a, model: mistral/mistral-embed}]", "export MISTRAL_API_KEY"),
}


@pytest.mark.parametrize("row", FAULTS.values(), ids=FAULTS)
def test_what_is_missing_is_told_with_its_line_and_cure(read, catalog, row):
    text, words = row
    with pytest.raises(ConfigError) as caught:
        embeddings.from_config(read(f"{TIER}embeddings: {text}"), Variables({}), catalog)
    assert "gearbox.yaml:2" in caught.value.message
    assert words in caught.value.message


def test_a_vendors_key_in_the_environment_brings_its_embedding_models_under_their_own_names(catalog):
    found = {each.name: each for each in embeddings.from_environment(Variables({"OPENAI_API_KEY": "sk-1"}), catalog)}
    assert {"text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002"} <= set(found)
    assert {each.api_base for each in found.values()} == {"https://api.openai.com/v1"}
    assert all(each.price is not None for each in found.values())


def test_without_a_key_nobody_is_named_and_the_built_in_model_answers(catalog):
    assert embeddings.from_environment(Variables({}), catalog) == ()
