"""A configuration of two tiers at one recording vendor; `large` judges what `small` says.

Every secret is named in it and stands in `variables`.
"""

from __future__ import annotations

import json
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

OPENAI_KEY, AZURE_KEY, AWS_KEY, AWS_SECRET = (
    "sk-upstream",
    "azure-made-up",
    "AKIAMADEUPFORTESTS",
    "aws/made+up/for/tests",
)

#: kind -> (adapter, what `small` and `large` are, whether the address ends in /v1)
MODELS = {
    "OpenAI-compatible": ("openai", ("openai/small-model", "openai/large-model"), "/v1"),
    "OpenAI, reasoning": ("openai", ("openai/gpt-5-nano", "openai/gpt-5"), "/v1"),
    "litellm: Anthropic": ("litellm", ("anthropic/claude-haiku-4-5", "anthropic/claude-sonnet-4-5"), ""),
    "litellm: Gemini": ("litellm", ("gemini/gemini-2.5-flash", "gemini/gemini-2.5-pro"), ""),
    "litellm: Azure": ("litellm", ("azure/gpt-4.1-mini", "azure/gpt-4.1"), ""),
    "litellm: Bedrock": (
        "litellm",
        (
            "bedrock/us.anthropic.claude-haiku-4-5-20251001-v1:0",
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        "",
    ),
    "litellm: Vertex": ("litellm", ("vertex_ai/gemini-2.5-flash", "vertex_ai/gemini-2.5-pro"), ""),
}


def config(url, kind="OpenAI-compatible", **more):
    adapter, models, _ = MODELS[kind]
    tiers = [
        {
            "name": name,
            "deployments": [{"model": model, "adapter": adapter, **reached(url, kind), **more}],
            "price": {"input_usd_per_mtok": usd, "output_usd_per_mtok": 2.0, "cached_input_usd_per_mtok": 0.5},
            "prior_accuracy": 0.6,
        }
        for name, model, usd in zip(("small", "large"), models, (1.0, 10.0), strict=True)
    ]
    return {
        "tiers": tiers,
        "aliases": {"gpt-*": "llm-at"},
        "policy": {"default": "llm-at", "llm-at": {"cold_start": 10**9}},
        "retries": {"attempts": 1, "cooldown_s": 0},
    }


def reached(url, kind):
    """Address and keys of a deployment, as an operator writes them."""
    match kind:
        case "litellm: Azure":
            return {"api_base": url, "api_key": "os.environ/AZURE_KEY", "api_version": "2024-10-21"}
        case "litellm: Bedrock":
            return {
                "aws_region_name": "eu-west-1",
                "aws_access_key_id": "os.environ/AWS_KEY",
                "aws_secret_access_key": "os.environ/AWS_SECRET",
                "aws_bedrock_runtime_endpoint": url,
            }
        case "litellm: Vertex":
            place = {"vertex_project": "our-project", "vertex_location": "europe-west1"}
            return {"api_base": url, "vertex_credentials": "os.environ/VERTEX_ACCOUNT", **place}
        case _:
            return {"api_base": f"{url}{MODELS[kind][2]}", "api_key": "os.environ/OPENAI_KEY"}


def variables(url):
    """The environment that `config` names."""
    return {
        "OPENAI_KEY": OPENAI_KEY,
        "AZURE_KEY": AZURE_KEY,
        "AWS_KEY": AWS_KEY,
        "AWS_SECRET": AWS_SECRET,
        "VERTEX_ACCOUNT": service_account(url),
    }


@cache
def service_account(url):
    """A service account's JSON, whose tokens come from the vendor on loopback."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    named = {"project_id": "our-project", "private_key_id": "k1", "client_id": "1"}
    email = "gearbox@our-project.iam.gserviceaccount.com"
    return json.dumps(
        {"type": "service_account", "private_key": pem, "client_email": email, "token_uri": f"{url}/token", **named}
    )
