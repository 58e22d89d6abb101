"""The Starter: evidence helps and never fails a request; what was learnt is seen by the next one."""

from __future__ import annotations

import numpy as np
import pytest
from structlog.testing import capture_logs

from router.domain import Caller, Evidence, Label, LabelSource, Request, Wishes
from router.errors import ConfigError, UpstreamTimeout
from router.memory_index import BruteForceNeighbours
from router.starter import Starter

LABELS = (Label("small", "m", 1.0, LabelSource.JUDGE),)


class FakeEmbedder:
    """A text's vector points along the axis of its first letter."""

    model = "fake"
    dimensions = 26

    def __init__(self, error=None):
        self.error = error
        self.calls = 0

    async def embed(self, text):
        self.calls += 1
        if self.error:
            raise self.error
        return np.eye(26, dtype=np.float32)[ord(text[0]) - ord("a")]


def ask(question, team="red", *, store=True):
    return Request("id", 0.0, {}, "llm-at", question, Caller(team=team), Wishes(store=store))


def starter(error=None, scope="team"):
    return Starter(FakeEmbedder(error), BruteForceNeighbours(26), scope)


async def learn(made, question, **details):
    start = await made.evidence(ask(question, **details), 5)
    await made.learn(question, start.vector, LABELS, ask(question, **details))


async def test_what_was_learnt_is_evidence_for_the_next_request():
    made = starter()
    await learn(made, "apple")
    found = (await made.evidence(ask("avocado"), 5)).evidence
    assert [(neighbour.id, neighbour.similarity, neighbour.labels) for neighbour in found.neighbours] == [
        ("apple", 1.0, {"m": 1.0})
    ]
    assert found.history_size == 1


async def test_k_zero_embeds_nothing():
    made = starter()
    start = await made.evidence(ask("apple"), 0)
    assert (start.evidence, start.vector, made._embedder.calls) == (Evidence(), None, 0)


async def test_an_empty_question_gives_a_note():
    start = await starter().evidence(ask("  "), 5)
    assert start.vector is None
    assert "no text" in start.evidence.note


@pytest.mark.parametrize("error", [UpstreamTimeout("slow"), ConfigError("no weights"), RuntimeError("secret prompt")])
async def test_a_broken_embedder_gives_a_note_and_a_log_without_the_prompt(error):
    with capture_logs() as logs:
        start = await starter(error).evidence(ask("secret prompt"), 5)
    assert start.vector is None
    assert type(error).__name__ in start.evidence.note
    assert "secret prompt" not in str(logs)
    assert logs[0]["event"] == "starter.no_evidence"


async def test_a_broken_index_keeps_the_vector():
    made = Starter(FakeEmbedder(), BruteForceNeighbours(3))
    start = await made.evidence(ask("apple"), 5)
    assert start.vector is not None
    assert "could not be searched" in start.evidence.note


@pytest.mark.parametrize(("scope", "seen"), [("team", 0), ("global", 1)])
async def test_teams_learn_from_each_other_only_where_history_is_global(scope, seen):
    made = starter(scope=scope)
    await learn(made, "apple", team="red")
    assert len((await made.evidence(ask("apple", team="blue"), 5)).evidence.neighbours) == seen


async def test_store_off_is_not_learnt():
    made = starter()
    await learn(made, "apple", store=False)
    assert (await made.evidence(ask("apple"), 5)).evidence.history_size == 0


async def test_feedback_replaces_the_label():
    made = starter()
    await learn(made, "apple")
    await made.relearn("apple", (Label("small", "m", 0.0, LabelSource.FEEDBACK),), "red")
    assert (await made.evidence(ask("apple"), 5)).evidence.neighbours[0].labels == {"m": 0.0}


async def test_a_question_without_labels_joins_once_it_has_feedback():
    made = starter()
    start = await made.evidence(ask("apple"), 5)
    await made.learn("apple", start.vector, (), ask("apple"))
    assert (await made.evidence(ask("apple"), 5)).evidence.history_size == 0
    await made.relearn("apple", (Label("small", "m", 0.0, LabelSource.FEEDBACK),), "red")
    assert (await made.evidence(ask("apple"), 5)).evidence.neighbours[0].labels == {"m": 0.0}


async def test_what_was_not_embedded_is_not_learnt():
    made = starter()
    await made.learn("apple", None, LABELS, ask("apple"))
    assert await made._neighbours.size("red") == 0
