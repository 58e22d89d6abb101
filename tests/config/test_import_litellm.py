"""`gearbox import litellm`: the same ladder, and no secret in print."""

from __future__ import annotations

import pytest
import yaml
from config_support import KEYS, POLICIES, TODAY
from typer.testing import CliRunner

from app import cli
from app.config import file as config_file
from app.config import ladder
from app.config.environment import Variables
from app.config.litellm.printed import gearbox_yaml
from router.errors import ConfigError

FILE = """
model_list:
  - model_name: cheap
    litellm_params: {model: openai/gpt-4o-mini, api_key: os.environ/OPENAI_API_KEY, rpm: 5}
  - model_name: cheap
    litellm_params: {model: azure/mini, api_base: "https://x.example/", api_key: os.environ/AZURE_KEY, api_version: v1}
    model_info: {base_model: gpt-4o-mini}
  - model_name: smart
    litellm_params: {model: anthropic/claude-opus-4-5, timeout: 30}
  - model_name: own
    litellm_params: {model: openai/ours, api_base: "http://127.0.0.1:7000/v1", api_key: sk-plain}
    model_info: {input_cost_per_token: 1e-7, output_cost_per_token: 2.5e-7}
  - model_name: same
    litellm_params: {model: bedrock/x.y, aws_secret_access_key: sk-plain, aws_region_name: eu-west-1}
    model_info: {input_cost_per_token: 0.000009, output_cost_per_token: 0.00009}
  - model_name: "claude-*"
    litellm_params: {model: "anthropic/*"}
  - model_name: embed
    litellm_params: {model: openai/text-embedding-3-small}
router_settings: {model_group_alias: {fast: cheap}, num_retries: 3}
general_settings: {master_key: sk-master}
litellm_settings: {callbacks: [x]}
"""
ENV = {**KEYS, "AZURE_KEY": "az"}


def imported(catalog, text=FILE, env=None):
    return gearbox_yaml(text, "config.yaml", Variables(env or {}), catalog, TODAY)


def built(text, env, catalog, name):
    variables = Variables(env)
    return ladder.from_config(config_file.read(text, name, variables, catalog, POLICIES, TODAY), variables, catalog)


def test_the_printed_file_makes_the_same_ladder(catalog):
    printed = imported(catalog)
    hidden = {name: "sk-plain" for name in yaml_names(printed) if name.startswith("GEARBOX_SECRET_TIERS")}
    hidden |= {name: "sk-master" for name in yaml_names(printed) if name.startswith("GEARBOX_SECRET_KEYS")}
    before = built(FILE, ENV, catalog, "config.yaml")
    after = built(printed, {**ENV, **hidden}, catalog, "gearbox.yaml")
    assert (after.tiers, after.endpoints, after.aliases) == (before.tiers, before.endpoints, before.aliases)
    assert [tier.name for tier in after.tiers] == ["own", "cheap", "smart", "same"]


def yaml_names(printed):
    found = []

    def walk(value):
        if isinstance(value, str) and value.startswith("os.environ/"):
            found.append(value.removeprefix("os.environ/"))
        for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            walk(inner)

    walk(yaml.safe_load(printed))
    return found


def test_no_secret_is_printed_and_each_is_named_once(catalog):
    printed = imported(catalog)
    assert "sk-plain" not in printed
    assert "sk-master" not in printed
    assert "os.environ/OPENAI_API_KEY" in printed
    assert "export GEARBOX_SECRET_" in printed
    assert len({name for name in yaml_names(printed) if name.startswith("GEARBOX_SECRET_TIERS")}) == 1


def test_what_is_set_here_makes_no_difference(catalog):
    assert imported(catalog, env={}) == imported(catalog, env=ENV)


def test_passwords_in_addresses_and_headers_are_secrets_too(catalog):
    text = """
model_list:
  - model_name: a
    litellm_params:
      model: openai/gpt-4o
      api_base: https://me:hunter2@x.example/v1
      extra_headers: {Authorization: Bearer hunter3}
gearbox: {store: {url: "postgresql+asyncpg://me:hunter4@db/x"}}
"""
    assert "hunter" not in imported(catalog, text)


def test_another_file_is_refused(catalog):
    with pytest.raises(ConfigError, match="no model_list"):
        imported(catalog, "tiers: []")


def test_the_command_prints_yaml_alone(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(FILE)
    done = CliRunner().invoke(cli.app, ["import", "litellm", str(file)])
    assert done.exit_code == 0
    assert [tier["name"] for tier in yaml.safe_load(done.stdout)["tiers"]] == ["own", "cheap", "smart", "same"]
