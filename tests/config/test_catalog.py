from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

import pytest

from router.catalog import Catalog


@pytest.fixture(scope="module")
def table():
    folder = find_spec("litellm").submodule_search_locations[0]
    return json.loads((Path(folder) / "model_prices_and_context_window_backup.json").read_text())


def nano_per_mtok(usd_per_token):
    return int(Decimal(str(usd_per_token)) * 10**15)


@pytest.mark.parametrize(
    ("model", "key"),
    [
        ("openai/gpt-5-nano", "gpt-5-nano"),
        ("gpt-5-nano", "gpt-5-nano"),
        ("openai/gpt-6-luna", "gpt-6-luna"),
        ("anthropic/claude-sonnet-5", "claude-sonnet-5"),
        ("gemini/gemini-2.5-pro", "gemini/gemini-2.5-pro"),
        ("groq/openai/gpt-oss-20b", "groq/openai/gpt-oss-20b"),
        ("azure/gpt-5", "azure/gpt-5"),
        ("bedrock/amazon.nova-lite-v1:0", "amazon.nova-lite-v1:0"),
    ],
)
def test_price_and_limits_are_the_tables_own(catalog, table, model, key):
    row, price, facts = table[key], catalog.price(model), catalog.facts(model)
    assert price.base.input == nano_per_mtok(row["input_cost_per_token"])
    assert price.base.output == nano_per_mtok(row["output_cost_per_token"])
    cached, write = row.get("cache_read_input_token_cost"), row.get("cache_creation_input_token_cost")
    assert price.base.cached_input == (None if cached is None else nano_per_mtok(cached))
    assert price.base.cache_write == (None if write is None else nano_per_mtok(write))
    assert (facts.context_tokens, facts.max_output_tokens) == (row["max_input_tokens"], row["max_output_tokens"])


@pytest.mark.parametrize(("model", "size"), [("gemini/gemini-2.5-pro", 200), ("gpt-6-luna", 272)])
def test_a_long_prompt_is_billed_at_its_own_rates(catalog, table, model, size):
    row, price = table[model], catalog.price(model)
    longer = price.rates(size * 1000 + 1)
    assert price.rates(size * 1000) == price.base
    assert longer.input == nano_per_mtok(row[f"input_cost_per_token_above_{size}k_tokens"])
    assert longer.output == nano_per_mtok(row[f"output_cost_per_token_above_{size}k_tokens"])
    assert longer.cached_input == nano_per_mtok(row[f"cache_read_input_token_cost_above_{size}k_tokens"])
    assert len(price.long_context) == 1


def test_capabilities_are_known_lacking_or_unknown():
    row = {
        "litellm_provider": "x",
        "mode": "chat",
        "supports_vision": False,
        "supports_function_calling": True,
        "supports_response_schema": None,
    }
    facts = Catalog({"x/m": row}).facts("x/m")
    assert (facts.capabilities, facts.lacks) == ({"tools"}, {"vision"})


@pytest.mark.parametrize(
    ("model", "lacks"),
    [
        ("openai/gpt-5-nano", True),
        ("openai/o1", True),
        ("azure/gpt-5", True),
        ("openai/gpt-4o", False),
        ("anthropic/claude-sonnet-5", True),
    ],
)
def test_reasoning_models_of_openai_refuse_logprobs(catalog, model, lacks):
    assert ("logprobs" in catalog.facts(model).lacks) is lacks


@pytest.mark.parametrize("model", ["nobody/nothing", "nothing", "anthropic/gpt-5-nano", "", "/", "sample_spec"])
def test_an_unknown_model_has_no_price_and_no_facts(catalog, model):
    assert catalog.price(model) is None
    assert catalog.facts(model) is None


def test_a_row_without_a_price_per_token_has_no_price():
    assert Catalog({"x/m": {"litellm_provider": "x", "mode": "chat"}}).price("x/m") is None


def test_a_price_by_ranges_becomes_long_context():
    ranges = [
        {"range": [0, 256000.0], "input_cost_per_token": 5e-8, "output_cost_per_token": 4e-7},
        {"range": [256000.0, 1e6], "input_cost_per_token": 2.5e-7, "output_cost_per_token": 2e-6},
    ]
    price = Catalog({"d/q": {"litellm_provider": "d", "tiered_pricing": ranges}}).price("d/q")
    assert price.rates(256_000).input == 50_000_000
    assert price.rates(256_001).output == 2_000_000_000


def test_every_row_of_the_installed_table_can_be_read(catalog, table):
    for model in table:
        catalog.price(model)
        catalog.facts(model)


def test_chat_models_leave_out_other_modes_and_routes(catalog):
    names = {model.name for model in catalog.chat_models("openai")}
    assert {"gpt-5-nano", "gpt-4o"} <= names
    assert not names & {"o1-pro", "text-embedding-3-small", "gpt-audio", "computer-use-preview"}


def test_reading_prices_does_not_import_litellm():
    code = "import sys; from router.catalog import Catalog; Catalog.load(); assert 'litellm' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
