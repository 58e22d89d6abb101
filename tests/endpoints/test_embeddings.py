"""Embeddings through the official client: the built-in model for nothing, a configured one at its price."""

from __future__ import annotations

import base64

import numpy as np
import openai
import pytest
from edge_server import plan_of, serving
from two_tiers import config, variables
from vendor import Failure

from router.catalog import Catalog


def test_without_a_configured_model_the_built_in_one_answers_for_nothing(client, gearbox):
    raw = client.embeddings.with_raw_response.create(model="text-embedding-3-small", input=["one", "two"])
    done = raw.parse()
    row, calls = gearbox.row(raw.headers["x-request-id"]), gearbox.calls(raw.headers["x-request-id"])
    assert [item.index for item in done.data] == [0, 1]
    assert len(done.data[0].embedding) == 64
    assert done.model == raw.headers["x-gearbox-model"] == "words"
    assert (done.usage.cost, row["cost_nanousd"], raw.headers["x-gearbox-cost-usd"]) == (0, 0, "0.000000000")
    assert (row["policy"], row["asked_model"], row["http_status"]) == ("embeddings", "text-embedding-3-small", 200)
    assert (row["question"], row["stored"]) == (None, 0)
    assert [(call["purpose"], call["model"]) for call in calls] == [("embed", "words")]


def test_floats_and_base64_say_the_same(http):
    ask = {"model": "any", "input": "one"}
    floats = http.post("/v1/embeddings", json=ask).json()["data"][0]["embedding"]
    coded = http.post("/v1/embeddings", json={**ask, "encoding_format": "base64"}).json()["data"][0]["embedding"]
    assert np.frombuffer(base64.b64decode(coded), dtype="<f4") == pytest.approx(floats)


def test_many_texts_keep_their_order(client):
    texts = [f"text number {number}" for number in range(50)]
    together = client.embeddings.create(model="any", input=texts)
    alone = client.embeddings.create(model="any", input=texts[37])
    assert together.data[37].embedding == alone.data[0].embedding


REFUSED = {
    "dimensions": ({"dimensions": 8}, "dimensions"),
    "tokens": ({"input": [1, 2]}, "input"),
    "lists of tokens": ({"input": [[1, 2]]}, "input"),
    "nothing": ({"input": ""}, "input"),
    "an empty text": ({"input": ["a", ""]}, "input"),
    "too many": ({"input": ["a"] * 2049}, "input"),
    "an unknown format": ({"encoding_format": "hex"}, "encoding_format"),
    "no model": ({"model": None}, "model"),
}


@pytest.mark.parametrize("row", REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_a_400_that_names_it(http, row):
    body, param = row
    reply = http.post("/v1/embeddings", json={"model": "any", "input": "one", **body})
    assert reply.status_code == 400
    assert reply.json()["error"]["param"] == param


def test_it_counts_in_the_metrics(http):
    http.post("/v1/embeddings", json={"model": "any", "input": "one"})
    lines = http.get("/metrics").text
    assert 'gearbox_requests_total{outcome="served",policy="embeddings",tier="none"}' in lines
    assert 'gearbox_cost_usd_total{purpose="embed",tier="embedding"}' in lines


@pytest.fixture
def remote(upstream, vendor, tmp_path):
    _, url = upstream

    def start(usd=0.02):
        embedding = {"model": "embed-1", "api_base": f"{url}/v1", "api_key": "sk-embed", "input_usd_per_mtok": usd}
        told = {key: value for key, value in embedding.items() if value is not None}
        database = tmp_path / "gearbox.db"
        return serving(plan_of({**config(url), "embedding": told}, database, Catalog.load(), variables(url)), database)

    return start


def asking(running):
    return openai.OpenAI(base_url=f"{running.url}/v1", api_key="any", max_retries=0, timeout=20)


def test_a_configured_model_is_asked_and_paid(remote, vendor):
    with remote() as running, asking(running) as client:
        raw = client.embeddings.with_raw_response.create(
            model="text-embedding-3-small", input=["one", "two"], dimensions=8, encoding_format="float"
        )
        (call,) = running.calls(raw.headers["x-request-id"])
    assert vendor.last.body == {
        "model": "embed-1",
        "input": ["one", "two"],
        "dimensions": 8,
        "encoding_format": "float",
    }
    assert vendor.last.headers["authorization"] == "Bearer sk-embed"
    assert raw.parse().usage.prompt_tokens == 6
    assert call["cost_nanousd"] == 120  # 6 tokens at 0.02 USD a million
    assert raw.headers["x-gearbox-cost-usd"] == "0.000000120"


def test_a_cap_that_does_not_pay_is_refused_before_anything_is_sent(remote, vendor):
    with remote() as running, asking(running) as client:
        sent = len(vendor.requests)
        with pytest.raises(openai.BadRequestError) as caught:
            client.embeddings.create(model="x", input="one", extra_headers={"x-gearbox-budget-usd": "1e-9"})
        assert caught.value.code == "budget_too_small"
        assert len(vendor.requests) == sent


def test_an_unpriced_model_costs_an_unknown_sum_and_is_refused_under_a_cap(remote):
    with remote(usd=None) as running, asking(running) as client:
        assert client.embeddings.create(model="x", input="one").usage.cost is None
        with pytest.raises(openai.BadRequestError):
            client.embeddings.create(model="x", input="one", extra_headers={"x-gearbox-budget-usd": "1"})


def test_a_failure_of_it_is_told_and_recorded(remote, vendor):
    with remote() as running, asking(running) as client:
        vendor.failure = Failure(429, {"error": {"message": "slow down"}}, {"retry-after": "3"})
        with pytest.raises(openai.RateLimitError) as caught:
            client.embeddings.create(model="x", input="one")
        row = running.row(caught.value.response.headers["x-request-id"])
    assert caught.value.response.headers["retry-after"] == "3"
    assert row["error_type"] == "UpstreamRateLimited"


@pytest.fixture
def several(upstream, tmp_path):
    _, url = upstream
    named = [
        {"name": "text-embedding-3-small", "model": "openai/text-embedding-3-small", "api_key": "sk-a"},
        {"name": "ours", "model": "custom_openai/bge-m3", "input_usd_per_mtok": 1.5},
    ]
    database = tmp_path / "gearbox.db"
    told = {"embeddings": [{**each, "api_base": f"{url}/v1"} for each in named]}
    with serving(plan_of({**config(url), **told}, database, Catalog.load(), variables(url)), database) as running:
        yield running


NAMED = {
    "at the table's price": ("text-embedding-3-small", "text-embedding-3-small", "Bearer sk-a", 60),
    "at a price of its own": ("ours", "bge-m3", None, 4500),
}


@pytest.mark.parametrize("row", NAMED.values(), ids=NAMED)
def test_the_model_that_a_client_names_is_the_one_that_embeds(several, vendor, row):
    name, model, authorization, nanousd = row
    with asking(several) as client:
        raw = client.embeddings.with_raw_response.create(model=name, input="one")
        (call,) = several.calls(raw.headers["x-request-id"])
    assert vendor.last.body["model"] == model
    assert vendor.last.headers.get("authorization") == authorization
    assert (call["model"], call["cost_nanousd"]) == (model, nanousd)  # 3 tokens


def test_where_models_are_configured_no_stranger_answers_in_another_ones_name(several, vendor):
    sent = len(vendor.requests)
    with asking(several) as client, pytest.raises(openai.NotFoundError) as caught:
        client.embeddings.create(model="text-embedding-3-large", input="one")
    assert caught.value.code == "model_not_found"
    assert "Known: text-embedding-3-small, ours, words" in caught.value.message
    assert len(vendor.requests) == sent


def test_the_built_in_model_still_answers_to_its_own_name(several):
    with asking(several) as client:
        assert client.embeddings.create(model="words", input="one").usage.cost == 0


def test_embedding_models_are_listed_and_can_be_looked_up(several):
    with asking(several) as client:
        assert {"text-embedding-3-small", "ours"} <= {model.id for model in client.models.list()}
        assert client.models.retrieve("ours").id == "ours"
        with pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="ours", messages=[{"role": "user", "content": "hello"}])
