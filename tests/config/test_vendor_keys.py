"""What Azure, Bedrock and Vertex ask for: beside the model in gearbox.yaml, as it stands in a LiteLLM config.yaml."""

from __future__ import annotations

import pytest

from app.config import ladder
from app.config.environment import Variables
from router.endpoints import Secret
from router.errors import ConfigError

ENV = {"AZURE": "azure-key", "AWS": "aws-secret", "ACCOUNT": '{"private_key": "pem"}', "OPENAI_API_KEY": "k"}
#: A deployment's keys -> what the adapter is told.
GIVEN = {
    "azure": (
        "model: azure/gpt-5, api_base: 'https://me.azure.com', api_key: os.environ/AZURE, api_version: '2024-10-21'",
        {"api_version": "2024-10-21"},
    ),
    "azure by a principal": (
        "model: azure/gpt-5, api_base: 'https://h', tenant_id: t, client_id: c, client_secret: os.environ/AZURE",
        {"tenant_id": "t", "client_id": "c", "client_secret": Secret("azure-key")},
    ),
    "bedrock": (
        (
            "model: 'bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0', aws_region_name: eu-west-1, "
            "aws_access_key_id: AKIA, aws_secret_access_key: os.environ/AWS, aws_bedrock_runtime_endpoint: 'http://h:9'"
        ),
        {
            "aws_region_name": "eu-west-1",
            "aws_access_key_id": Secret("AKIA"),
            "aws_secret_access_key": Secret("aws-secret"),
            "aws_bedrock_runtime_endpoint": "http://h:9",
        },
    ),
    "vertex": (
        (
            "model: vertex_ai/gemini-2.5-pro, vertex_project: p, vertex_location: europe-west1, "
            "vertex_credentials: os.environ/ACCOUNT"
        ),
        {
            "vertex_project": "p",
            "vertex_location": "europe-west1",
            "vertex_credentials": Secret('{"private_key": "pem"}'),
        },
    ),
}
rows = pytest.mark.parametrize("row", GIVEN.values(), ids=GIVEN)
OURS = "tiers:\n  - name: a\n    deployments:\n      - {{{}}}\n"
THEIRS = "model_list:\n  - model_name: a\n    litellm_params:\n      {{{}}}\n"


def endpoint(read, catalog, text):
    return ladder.from_config(read(text, ENV), Variables(ENV), catalog).endpoints["a/0"]


@rows
@pytest.mark.parametrize("file", [OURS, THEIRS], ids=["gearbox.yaml", "config.yaml"])
def test_they_reach_the_adapter_and_their_price_is_known(read, catalog, file, row):
    written, told = row
    found = endpoint(read, catalog, file.format(written))
    assert (found.kind, found.params) == ("litellm", told)
    assert found.deployment.price is not None


@rows
def test_their_secrets_are_never_printed(read, catalog, row):
    loaded = read(OURS.format(row[0]), ENV)
    shown = repr(loaded.config) + repr(ladder.from_config(loaded, Variables(ENV), catalog).endpoints)
    assert not [secret for secret in ("azure-key", "aws-secret", "pem", "AKIA") if secret in shown]


def test_an_account_may_stand_in_litellms_file_as_a_mapping(read, catalog):
    text = THEIRS.format("model: vertex_ai/gemini-2.5-pro, vertex_credentials: {type: service_account, private_key: x}")
    found = endpoint(read, catalog, text)
    assert found.params == {"vertex_credentials": Secret('{"type": "service_account", "private_key": "x"}')}


#: A deployment that is wrong, and words of the error.
WRONG = {
    "a typo": ("model: azure/gpt-5, api_base: 'https://h', api_verison: x", ["api_verison", '"api_version"?']),
    "another vendor's": ("model: azure/gpt-5, api_base: 'https://h', aws_region_name: x", ["aws_region_name: is for"]),
    "nobody's": ("model: openai/gpt-5-nano, api_version: x", ["api_version: is for azure", "openai/gpt-5-nano"]),
    "among the defaults": (
        "model: vertex_ai/gemini-2.5-pro, params: {vertex_project: p}",
        ["params.vertex_project: stands beside model"],
    ),
    "defaults nobody reads": (
        "model: openai/gpt-5-nano, params: {temperature: 0}",
        ["params: goes to litellm, and openai/gpt-5-nano is asked directly"],
    ),
    "no text": ("model: vertex_ai/gemini-2.5-pro, vertex_project: 5", ["vertex_project", "and is 5"]),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_them_is_an_error_with_its_line(read, catalog, row):
    written, words = row
    with pytest.raises(ConfigError) as caught:
        endpoint(read, catalog, OURS.format(written))
    assert "gearbox.yaml:4: " in caught.value.message
    assert [word for word in words if word not in caught.value.message] == []


@pytest.mark.parametrize(
    "written",
    ["model: openai/gpt-5-nano, api_version: x, temperature: 0", "model: gpt-5-nano, api_version: x, temperature: 0"],
)
def test_what_nobody_would_read_of_litellms_file_is_told_and_left_out(read, catalog, written):
    loaded = read(THEIRS.format(written), ENV, "config.yaml")
    assert ladder.from_config(loaded, Variables(ENV), catalog).endpoints["a/0"].params == {}
    assert [
        note for note in loaded.notes if "litellm_params: not used for" in note and "api_version, temperature" in note
    ]
