from __future__ import annotations

import pytest
import yaml

from app.aliases import ModelNames, vendor_aliases
from router.errors import ModelNotFound

NAMES = ModelNames(
    ("auto", "llm-at"),
    ("small", "large"),
    {
        "gpt-*": "auto",
        "gpt-4*": "small",
        "gpt-4o": "large",
        "o[1-9]*": "llm-at",
        "x": "always:small",
        "*": "auto",
        "small-*": "llm-at",
    },
)


@pytest.mark.parametrize(
    ("model", "policy"),
    [
        ("auto", "auto"),
        ("small", "always:small"),
        ("always:large", "always:large"),
        ("gpt-4o", "always:large"),
        ("gpt-4o-mini", "always:small"),
        ("gpt-5", "auto"),
        ("o3-mini", "llm-at"),
        ("x", "always:small"),
        ("anything", "auto"),
        ("small-1", "llm-at"),
        ("GPT-4o", "auto"),
    ],
)
def test_a_name_is_a_policy_a_tier_or_an_alias_exact_first_then_the_longest_pattern(model, policy):
    assert NAMES.resolve(model) == policy


@pytest.mark.parametrize("model", ["gpt-4o", "o3", "", "always:medium", "auto ", 'a"b', "x" * 10_000])
def test_an_unknown_model_is_told_the_line_that_would_make_it_work(model):
    with pytest.raises(ModelNotFound) as caught:
        ModelNames(("auto",), ("small",)).resolve(model)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert "auto, small" in caught.value.message
    assert len(caught.value.message) < 500


def test_the_line_in_the_message_is_yaml_that_works():
    names = ModelNames(("auto",), ("small",))
    with pytest.raises(ModelNotFound) as caught:
        names.resolve('odd "name": x')
    line = caught.value.message.partition("gearbox.yaml: ")[2]
    assert yaml.safe_load(line) == {"aliases": {'odd "name": x': "auto"}}


def test_vendors_bring_the_names_their_clients_send():
    assert set(vendor_aliases(["openai", "anthropic"], "auto")) == {"gpt-*", "chatgpt-*", "o[1-9]*", "claude-*"}
