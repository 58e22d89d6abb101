"""One contract for both indexes, and what only the FAISS one promises."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import asynccontextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from router import index as index_module
from router.errors import ConfigError, StoreUnavailable
from router.index import FaissNeighbours
from router.memory_index import BruteForceNeighbours
from router.ports import StoredQuestion
from storage.engine import create_engine
from storage.history.pgvector import PgvectorNeighbours

D = 8


def unit(*values):
    vector = np.zeros(D, dtype=np.float32)
    vector[: len(values)] = values
    return vector / np.linalg.norm(vector)


def random_units(n, seed=0, d=D):
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def small_faiss():
    """Seals after 4 rows and searches in a thread beyond 6, so that few rows reach every branch."""
    return FaissNeighbours(D, segment_rows=4, inline_rows=6)


@pytest.fixture(params=[lambda: BruteForceNeighbours(D), lambda: FaissNeighbours(D), small_faiss, None],
                ids=["brute force", "faiss", "faiss, small segments", "pgvector"])  # fmt: skip
async def neighbours(request):
    if request.param is None:
        async with pgvectors(request.getfixturevalue("postgres")) as make:
            yield await make(D)
        return
    made = request.param()
    yield made
    await made.aclose()


@asynccontextmanager
async def pgvectors(postgres):
    """Makes indexes in the real thing; each test begins with none."""
    engine = create_engine(postgres.url)

    async def make(dimensions, model="m"):
        made = PgvectorNeighbours(engine, model, dimensions)
        await made.prepare()
        return made

    yield make
    await engine.dispose()
    others = "FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    postgres.run("psql", "-qc", f"SELECT pg_terminate_backend(pid) {others}", "postgres")
    postgres.run("psql", "-qc", "DROP SCHEMA public CASCADE", "-c", "CREATE SCHEMA public", "postgres")


@pytest.fixture
async def pgvector(postgres):
    async with pgvectors(postgres) as make:
        yield make


def ids(found):
    return [neighbour.id for neighbour in found]


async def test_an_empty_index_finds_nothing(neighbours):
    assert await neighbours.search(unit(1), 5, "team") == ()
    assert await neighbours.size("team") == 0


async def test_the_nearest_come_first_with_their_cosine(neighbours):
    await neighbours.add("far", unit(0, 1), {"m": 0.0}, "team")
    await neighbours.add("near", unit(1, 1), {"m": 1.0}, "team")
    await neighbours.add("same", unit(1), {"m": 0.5}, "team")
    found = await neighbours.search(unit(1), 2, "team")
    assert ids(found) == ["same", "near"]
    assert [neighbour.similarity for neighbour in found] == pytest.approx([1, 2**-0.5], abs=1e-6)
    assert found[0].labels == {"m": 0.5}


async def test_scopes_do_not_see_each_other(neighbours):
    await neighbours.add("a", unit(1), {"m": 1.0}, "red")
    assert await neighbours.search(unit(1), 5, "blue") == ()
    assert await neighbours.size("red") == 1


async def test_nothing_is_found_for_k_zero(neighbours):
    await neighbours.add("a", unit(1), {"m": 1.0}, "team")
    assert await neighbours.search(unit(1), 0, "team") == ()


async def test_of_equally_similar_questions_the_older_comes_first(neighbours):
    for place in range(50):
        await neighbours.add(f"q{place}", unit(1), {"m": 1.0}, "team")
    assert ids(await neighbours.search(unit(1, 1), 5, "team")) == ["q0", "q1", "q2", "q3", "q4"]


async def test_a_known_id_keeps_its_vector_and_gets_the_new_labels(neighbours):
    await neighbours.add("a", unit(1), {"m": 1.0}, "team")
    await neighbours.add("a", unit(0, 1), {"m": 0.0}, "team")
    (found,) = await neighbours.search(unit(1), 5, "team")
    assert (found.similarity, found.labels) == (1.0, {"m": 0.0})
    assert await neighbours.size("team") == 1


async def test_relabel_replaces_all_labels(neighbours):
    await neighbours.add("a", unit(1), {"m": 1.0, "n": 1.0}, "team")
    await neighbours.relabel("a", {"m": 0.25}, "team")
    assert (await neighbours.search(unit(1), 1, "team"))[0].labels == {"m": 0.25}


async def test_relabelling_an_unknown_id_is_ignored(neighbours):
    await neighbours.relabel("a", {"m": 1.0}, "team")
    await neighbours.add("b", unit(1), {"m": 1.0}, "team")
    await neighbours.relabel("a", {"m": 1.0}, "team")
    assert await neighbours.size("team") == 1


@pytest.mark.parametrize("bad", [np.ones(3, dtype=np.float32), np.zeros(D), np.full(D, np.nan)],
                         ids=["another shape", "no length", "not a number"])  # fmt: skip
async def test_a_vector_that_is_no_unit_vector_is_refused(neighbours, bad):
    with pytest.raises(ValueError, match="this index holds"):
        await neighbours.add("a", bad, {}, "team")
    with pytest.raises(ValueError, match="this index holds"):
        await neighbours.search(bad, 1, "team")


async def test_what_is_forgotten_is_found_no_more_and_hides_nobody(neighbours):
    for place in range(12):
        await neighbours.add(f"q{place}", unit(1), {"m": 1.0}, "team")
    await neighbours.forget([f"q{place}" for place in range(10)], "team")
    await neighbours.forget(["q0", "nobody"], "team")
    await neighbours.forget(["q11"], "elsewhere")
    assert ids(await neighbours.search(unit(1), 2, "team")) == ["q10", "q11"]
    assert await neighbours.size("team") == 2
    assert await neighbours.ids("team") == ["q10", "q11"]
    assert await neighbours.scopes() == ["team"]


async def test_what_was_forgotten_can_be_learnt_again_as_the_newest(neighbours):
    for name in ("a", "b"):
        await neighbours.add(name, unit(1), {"m": 1.0}, "team")
    await neighbours.forget(["a"], "team")
    await neighbours.add("a", unit(1), {"m": 0.0}, "team")
    found = await neighbours.search(unit(1), 5, "team")
    assert [(each.id, each.labels["m"]) for each in found] == [("b", 1.0), ("a", 0.0)]


async def batches(rows, size=7):
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


async def test_a_restart_finds_what_was_learnt_before_it(neighbours):
    vectors = random_units(60)
    for place, vector in enumerate(vectors):
        await neighbours.add(f"q{place}", vector, {"m": place / 60}, "red")
    before = await neighbours.search(vectors[3], 9, "red")
    stored = [StoredQuestion(f"q{place}", "red", vector, {"m": place / 60}) for place, vector in enumerate(vectors)]
    again = small_faiss()
    assert await again.load(batches(stored), lambda team: team) == 60
    assert await again.search(vectors[3], 9, "red") == before
    await again.aclose()


async def test_load_maps_teams_to_scopes_and_leaves_unlabelled_questions_out(neighbours):
    stored = [StoredQuestion("a", "red", unit(1), {"m": 1.0}), StoredQuestion("b", "blue", unit(1), {})]
    assert await neighbours.load(batches(stored), lambda _: "*") == 1
    assert ids(await neighbours.search(unit(1), 5, "*")) == ["a"]


coarse = st.lists(st.integers(-2, 2), min_size=3, max_size=3).filter(any).map(lambda values: unit(*values))


@settings(max_examples=60, deadline=None)
@given(st.lists(coarse, max_size=60), coarse, st.integers(1, 8))
def test_both_indexes_agree(vectors, query, k):
    async def compare():
        fast, plain = small_faiss(), BruteForceNeighbours(D)
        for place, vector in enumerate(vectors):
            for kept in (fast, plain):
                await kept.add(f"q{place}", vector, {"m": 1.0}, "team")
        during = await fast.search(query, k, "team")
        await fast.settled()
        after = await fast.search(query, k, "team")
        expected = await plain.search(query, k, "team")
        await fast.aclose()
        return during, after, expected

    during, after, expected = asyncio.run(compare())
    assert during == expected
    assert after == expected


async def test_both_indexes_agree_on_many_questions():
    vectors = random_units(5000, d=32)
    fast, plain = FaissNeighbours(32), BruteForceNeighbours(32)
    for place, vector in enumerate(vectors):
        for kept in (fast, plain):
            await kept.add(f"q{place}", vector, {"m": 1.0}, "team")
    await fast.settled()
    for query in random_units(20, seed=1, d=32):
        assert await fast.search(query, 10, "team") == await plain.search(query, 10, "team")
    await fast.aclose()


async def test_more_ties_than_are_kept_still_give_the_oldest(monkeypatch):
    monkeypatch.setattr(index_module, "MAX_TIES", 3)
    fast = small_faiss()
    for place in range(64):
        await fast.add(f"q{place}", unit(1), {"m": 1.0}, "team")
    await fast.settled()
    assert ids(await fast.search(unit(1), 2, "team")) == ["q0", "q1"]
    await fast.aclose()


async def test_segments_stay_few():
    fast = small_faiss()
    for place, vector in enumerate(random_units(1000)):
        await fast.add(f"q{place}", vector, {"m": 1.0}, "team")
        if place % 10 == 0:
            await asyncio.sleep(0)
    await fast.settled()
    parts = fast._partitions["team"].sealed
    assert len(parts) <= 9
    assert [part.first_row for part in parts] == list(np.cumsum([0, *[part.size for part in parts[:-1]]]))
    await fast.aclose()


async def test_every_question_is_found_while_segments_merge():
    fast, vectors = small_faiss(), random_units(600)

    async def writer(start):
        for place in range(start, 600, 3):
            await fast.add(f"q{place}", vectors[place], {"m": 1.0}, "team")
            assert ids(await fast.search(vectors[place], 1, "team")) == [f"q{place}"]

    await asyncio.gather(writer(0), writer(1), writer(2))
    await fast.settled()
    assert await fast.size("team") == 600
    for place in range(0, 600, 50):
        assert ids(await fast.search(vectors[place], 1, "team")) == [f"q{place}"]
    await fast.aclose()


async def test_no_search_waits_for_a_rebuild(monkeypatch):
    gate = threading.Event()

    class Stuck(index_module.FaissSegment):
        def __init__(self, parts):
            gate.wait(10)
            super().__init__(parts)

    monkeypatch.setattr(index_module, "FaissSegment", Stuck)
    fast, vectors = small_faiss(), random_units(40)
    for place, vector in enumerate(vectors):
        await fast.add(f"q{place}", vector, {"m": 1.0}, "team")
    assert ids(await asyncio.wait_for(fast.search(vectors[5], 1, "team"), 5)) == ["q5"]
    gate.set()
    await fast.settled()
    assert ids(await fast.search(vectors[5], 1, "team")) == ["q5"]
    await fast.aclose()


async def test_labels_changed_during_a_search_are_the_new_ones():
    fast, vectors = small_faiss(), random_units(40)
    for place, vector in enumerate(vectors):
        await fast.add(f"q{place}", vector, {"m": 1.0}, "team")
    search = asyncio.create_task(fast.search(vectors[0], 1, "team"))
    await asyncio.sleep(0)
    await fast.relabel("q0", {"m": 0.0}, "team")
    assert (await search)[0].labels == {"m": 0.0}
    await fast.aclose()


async def test_a_partition_is_built_anew_without_what_was_forgotten(monkeypatch):
    monkeypatch.setattr(index_module, "COMPACT_ROWS", 10)
    fast, plain, vectors = small_faiss(), BruteForceNeighbours(D), random_units(300)
    for place, vector in enumerate(vectors[:200]):
        for kept in (fast, plain):
            await kept.add(f"q{place}", vector, {"m": 1.0}, "team")
    await fast.settled()
    old = [f"q{place}" for place in range(0, 200, 2)]
    for kept in (fast, plain):
        await kept.forget(old, "team")
    for place, vector in enumerate(vectors[200:], start=200):  # while it is being built
        for kept in (fast, plain):
            await kept.add(f"q{place}", vector, {"m": 1.0}, "team")
        await asyncio.sleep(0)
    await fast.settled()
    partition = fast._partitions["team"]
    assert (len(partition.ids), partition.dead) == (200, 0)
    for query in random_units(20, seed=1):
        assert await fast.search(query, 10, "team") == await plain.search(query, 10, "team")
    await fast.aclose()


async def test_pgvector_finds_nearly_all_of_the_nearest_among_many(pgvector):
    vectors, shared, plain = random_units(3000, d=32), await pgvector(32), BruteForceNeighbours(32)
    stored = [StoredQuestion(f"q{n}", "ab"[n % 2], vector, {"m": 1.0}) for n, vector in enumerate(vectors)]
    for kept in (shared, plain):
        assert await kept.load(batches(stored, 500), lambda team: team) == 3000
    async with shared._engine.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        near = f"SELECT id FROM {shared._table} ORDER BY vector <=> '[{','.join(['0.1'] * 32)}]', row LIMIT 5"
        plan = "\n".join((await connection.execute(text(f"EXPLAIN {near}"))).scalars())
    assert f"Index Scan using {shared._table}_hnsw" in plan
    hits = 0
    for query in random_units(20, seed=1, d=32):
        found, right = await shared.search(query, 10, "a"), await plain.search(query, 10, "a")
        assert len(found) == 10
        hits += len({*ids(found)} & {*ids(right)})
    assert hits >= 190


async def test_pgvector_is_loaded_once_for_all_replicas(pgvector):
    stored = [StoredQuestion("a", "red", unit(1), {"m": 1.0})]
    first, second = await pgvector(D), await pgvector(D)
    assert await first.load(batches(stored), lambda team: team) == 1
    assert await second.load(batches(stored), lambda team: team) == 0
    assert ids(await second.search(unit(1), 5, "red")) == ["a"]
    assert await second.load(batches(stored), lambda _: "*") == 1


async def test_another_embedding_model_has_a_table_of_its_own(pgvector):
    one, other = await pgvector(D, "one"), await pgvector(D, "other")
    await one.add("a", unit(1), {"m": 1.0}, "team")
    assert await other.search(unit(1), 5, "team") == ()


async def test_a_database_without_pgvector_is_told_with_the_cure(tmp_path):
    engine = create_engine(f"sqlite:///{tmp_path}/x.db")
    with pytest.raises(ConfigError, match="kind: faiss"):
        PgvectorNeighbours(engine, "m", D)
    await engine.dispose()


async def test_a_silent_database_costs_one_search_half_a_second_and_the_next_nothing(pgvector, postgres):
    index = await pgvector(D)
    await index.add("a", unit(1), {"m": 1.0}, "team")
    await index.search(unit(1), 1, "team")
    postgres.pause()
    try:
        for most in (3.0, 0.05):
            began = time.perf_counter()
            with pytest.raises(StoreUnavailable):
                await index.search(unit(1), 1, "team")
            assert time.perf_counter() - began < most
    finally:
        postgres.resume()
