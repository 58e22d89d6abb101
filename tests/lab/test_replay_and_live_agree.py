"""Replay and the live server decide the same, query by query: they run the same policy on the same evidence."""

import os
from pathlib import Path

import pytest
from lab_support import SIMULATED, FakeEmbedder
from live_over_recording import live_decisions, replayed_decisions

from cascade.lab.embeddings import CachedEmbedder
from cascade.policies.auto import Auto
from cascade.policies.auto_settings import AutoSettings
from cascade.policies.llm_at import LlmAt
from cascade.recordings import load
from cascade.replay import replay, stream
from router.embedding import SentenceTransformerEmbedder

POLICIES = {"llm-at": LlmAt(), "auto": Auto(AutoSettings(second_opinions=0.0))}
FOLDER = os.environ.get("GEARBOX_RECORDINGS")


def compared(recording, tmp_path, live_embedder, replay_embedder, limit, policy="llm-at"):
    chosen = stream(recording, limit=limit)
    (row,) = replay(chosen, [POLICIES[policy]], CachedEmbedder(replay_embedder, tmp_path / "embeddings.sqlite"))
    return live_decisions(recording, tmp_path, live_embedder, chosen.queries, policy), replayed_decisions(row)


@pytest.mark.parametrize("policy", POLICIES)
def test_over_the_repositorys_own_recording(tmp_path, policy):
    live, offline = compared(load(SIMULATED), tmp_path, FakeEmbedder(), FakeEmbedder(), 150, policy)
    assert live == offline
    assert len({start for start, *_ in live}) > 1


@pytest.mark.skipif(not FOLDER, reason="GEARBOX_RECORDINGS names no folder of recordings")
@pytest.mark.timeout(600)
def test_over_all_four_hundred_of_llm_at_math(tmp_path, monkeypatch):
    monkeypatch.undo()  # the real embedding model
    model = SentenceTransformerEmbedder()
    live, offline = compared(load(Path(FOLDER) / "llm-at-math"), tmp_path, model, model, None)
    differ = [(place, *pair) for place, pair in enumerate(zip(live, offline, strict=True)) if pair[0] != pair[1]]
    assert differ == []
    assert len(live) == 400
