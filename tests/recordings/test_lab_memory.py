"""What a replay looks up is what the live index would find; embeddings are made once."""

import numpy as np
import pytest

from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.memory import Memory
from cascade.lab.similar import Similar
from router.domain import Answer, Attempt, Call, CostSource, Deliver, Deployment, Purpose, Run, Tier, Verdict
from router.memory_index import BruteForceNeighbours

TIER = Tier("only", (Deployment("m", "m", None),), 0.5, "only")
CALL = Call(Purpose.GENERATE, "only", "m", "m", None, None, 0, CostSource.USAGE, 0.0)
ANSWERED = Attempt("only", "", calls=(CALL,), answer=Answer({}), verdict=Verdict.UNJUDGED)


def vectors(count, dimensions=8):
    made = np.random.default_rng(1).normal(size=(count, dimensions)).astype(np.float32)
    made[::7] = made[0]  # many equal ones, to see who comes first
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return {f"q{place}": vector for place, vector in enumerate(made)}


@pytest.mark.parametrize("learns", ["all", "every ninth"])
async def test_the_neighbours_are_those_of_the_live_index(learns):
    stream = vectors(600)
    memory, index = Memory(Similar(stream, keep=16)), BruteForceNeighbours(8)
    for number, (query_id, vector) in enumerate(stream.items()):
        evidence = memory.evidence(query_id, 4)
        assert evidence.neighbours == await index.search(vector, 4, "*")
        assert evidence.history_size == await index.size("*")
        if learns == "all" or number % 9 == 0:
            memory.learn(Run((TIER,), "only", id=query_id, attempts=(ANSWERED,)), Deliver(0, ""), direct=False)
            await index.add(query_id, vector, {"m": 1.0}, "*")


def test_what_teaches_nothing_is_not_kept():
    memory = Memory(Similar(vectors(3), keep=4))
    memory.learn(Run((TIER,), "only", id="q0", attempts=(ANSWERED,)), Deliver(0, ""), direct=True)
    assert memory.evidence("q1", 2).history_size == 0


def test_a_policy_without_neighbours_gets_no_evidence():
    assert Memory(None).evidence("q0", 0).neighbours == ()


class Counting:
    model = "counting"

    def __init__(self, model="counting"):
        self.model = model
        self.texts = []

    def embed_many(self, texts):
        self.texts += texts
        return np.array([[len(text), 1.0] for text in texts], dtype=np.float32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "embeddings.sqlite"


def test_a_text_is_embedded_once_and_then_read_from_disk(path):
    first, second = Counting(), Counting()
    made = CachedEmbedder(first, path).vectors(["a", "bb", "a"])
    read = CachedEmbedder(second, path).vectors(["bb", "a", "ccc"])
    assert (first.texts, second.texts) == (["a", "bb"], ["ccc"])
    assert np.array_equal(made["bb"], read["bb"])
    assert read["ccc"].dtype == np.float32


def test_another_model_has_its_own_embeddings(path):
    CachedEmbedder(Counting(), path).vectors(["a"])
    other = Counting("other")
    CachedEmbedder(other, path).vectors(["a"])
    assert other.texts == ["a"]


def test_a_damaged_cache_costs_time_and_nothing_else(path):
    path.parent.mkdir()
    path.write_bytes(b"this is no database" * 100)
    embedder = Counting()
    assert set(CachedEmbedder(embedder, path).vectors(["a"])) == {"a"}
    assert embedder.texts == ["a"]


def test_many_texts_are_written_chunk_by_chunk_with_progress(path):
    seen = []
    CachedEmbedder(Counting(), path).vectors([str(number) for number in range(600)], lambda *told: seen.append(told))
    assert seen == [(256, 600), (512, 600), (600, 600)]
