from __future__ import annotations

import pytest
import yaml

from app.edge.aliases import ModelNames, vendor_aliases
from router.errors import ModelNotFound, RequestError

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


@pytest.mark.parametrize("name", ["agreement", "bottom-up", "random:0.25"])
def test_a_baseline_can_be_named_and_a_tier_of_its_name_wins(name):
    names = ModelNames(("auto",), ("small", "agreement"))
    assert names.policy(name) == name
    assert names.resolve(name) == (f"always:{name}" if name == "agreement" else name)


def test_a_share_that_is_none_names_the_parameter():
    names = ModelNames(("auto",), ("small",))
    with pytest.raises(RequestError, match="from 0 to 1") as refused:
        names.policy("random:2")
    assert refused.value.param == "x-gearbox-policy"
