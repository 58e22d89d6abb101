"""The remote embedder: a unit vector, or one of our errors; never the key."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from router.embedding_remote import OpenAIEmbedder
from router.errors import (
    ConfigError,
    UpstreamBadReply,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

GOOD = {"data": [{"embedding": [3.0, 4.0]}], "usage": {"prompt_tokens": 7}}


def embedder(answer, **details):
    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return OpenAIEmbedder("http://vendor/v1/", "sk-secret", "embed-1", client, **details)


def replying(status, body=None, headers=None):
    return lambda _request: httpx.Response(status, json=body, headers=headers)


async def test_the_vector_is_normalised_and_the_tokens_are_told():
    made = embedder(replying(200, GOOD))
    vector, tokens = await made.embed_with_usage("hello")
    assert vector == pytest.approx([0.6, 0.8])
    assert (vector.dtype, tokens, made.dimensions, made.model) == (np.float32, 7, 2, "embed-1")


async def test_what_is_sent_is_openais_shape():
    seen = []

    def answer(request):
        seen.append(request)
        return httpx.Response(200, json=GOOD)

    await embedder(answer).embed("hello")
    assert str(seen[0].url) == "http://vendor/v1/embeddings"
    assert seen[0].headers["authorization"] == "Bearer sk-secret"
    assert json.loads(seen[0].content) == {"model": "embed-1", "input": "hello", "encoding_format": "float"}


async def test_no_usage_is_none_not_zero():
    _, tokens = await embedder(replying(200, {"data": GOOD["data"]})).embed_with_usage("hello")
    assert tokens is None


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(replying(400, {"error": {"message": "too long"}}), UpstreamRejected, id="400"),
        pytest.param(replying(401, {"error": {"message": "sk-secret"}}), UpstreamMisconfigured, id="401"),
        pytest.param(replying(404), UpstreamMisconfigured, id="404"),
        pytest.param(replying(429, headers={"retry-after": "3"}), UpstreamRateLimited, id="429"),
        pytest.param(replying(503), UpstreamUnavailable, id="503"),
        pytest.param(replying(504), UpstreamTimeout, id="504"),
        pytest.param(lambda _: httpx.Response(200, text="<html>"), UpstreamBadReply, id="no json"),
        pytest.param(replying(200, {"data": []}), UpstreamBadReply, id="no data"),
        pytest.param(replying(200, ["x"]), UpstreamBadReply, id="a list"),
        pytest.param(replying(200, {"data": [{"embedding": [0.0, 0.0]}]}), UpstreamBadReply, id="no length"),
        pytest.param(replying(200, {"data": [{"embedding": "AAAA"}]}), UpstreamBadReply, id="base64"),
    ],
)
async def test_failures_become_our_errors_without_the_key(answer, error):
    with pytest.raises(error) as caught:
        await embedder(answer).embed("hello")
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        pytest.param(httpx.ReadTimeout("slow"), UpstreamTimeout, id="timeout"),
        pytest.param(httpx.ConnectError("refused"), UpstreamUnavailable, id="refused"),
    ],
)
async def test_a_broken_connection_is_our_error(raised, error):
    def answer(_request):
        raise raised

    with pytest.raises(error):
        await embedder(answer).embed("hello")


async def test_the_vendors_retry_after_is_kept():
    with pytest.raises(UpstreamRateLimited) as caught:
        await embedder(replying(429, headers={"retry-after": "3"})).embed("hello")
    assert caught.value.retry_after_s == 3


async def test_another_length_than_configured_is_a_bad_reply():
    with pytest.raises(UpstreamBadReply, match="shape"):
        await embedder(replying(200, GOOD), dimensions=3).embed("hello")


async def test_dimensions_are_learnt_by_warming():
    made = embedder(replying(200, GOOD))
    with pytest.raises(ConfigError, match="warm"):
        _ = made.dimensions
    await made.warm()
    assert made.dimensions == 2


def test_the_repr_masks_the_key():
    assert "sk-secret" not in repr(embedder(replying(200, GOOD)))
