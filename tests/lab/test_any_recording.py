"""Every valid recording replays, however odd; every policy, the report and the JSON agree with an evaluator apart."""

import json
import tempfile
from pathlib import Path

import pytest
from any_recording import Evaluator, recordings, write
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lab_support import FakeEmbedder

from cascade.lab.embeddings import CachedEmbedder
from cascade.lab.lineup import build, default_names
from cascade.lab.report.page import page
from cascade.lab.report.results import Result
from cascade.recordings import load
from cascade.replay import as_json, replay, stream

#: What the evaluator can follow; the others learn, and are checked for what must hold whatever they do.
TOLD = ("bottom-up", "agreement", "oracle", "random:0.4")
LEARNING = ("llm-at", "two-tier")
#: Nobody waits for the explanation of a counterexample: it traces every line, for minutes.
PHASES = [phase for phase in Phase if phase is not Phase.explain]
odd = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)


def replayed(made, ladder, shuffle=None):
    """(the stream, its rows, the ladder's models)."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = stream(load(write(made, Path(folder) / "r")), ladder, shuffle=shuffle)
        names = [*(f"always:{tier.name}" for tier in chosen.tiers), *TOLD, *LEARNING]
        embedder = CachedEmbedder(FakeEmbedder(), Path(folder) / "embeddings.sqlite")
        return chosen, replay(chosen, build(names, {}), embedder)


@odd
@given(recordings(), st.sampled_from(["default", "ends", "pool"]), st.sampled_from([None, 7]))
def test_accuracy_and_money_are_those_of_an_evaluator_apart(made, ladder, shuffle):
    chosen, rows = replayed(made, ladder, shuffle)
    evaluator = Evaluator(made, list(chosen.models))
    for row in rows:
        if row.policy in LEARNING:
            continue
        assert (row.correct, row.generate_nanousd, row.judge_nanousd) == evaluator.score(row.policy), row.policy


@odd
@given(recordings(), st.sampled_from(["default", "ends", "pool"]))
def test_whatever_a_policy_learns_it_answers_every_query_and_pays_for_what_it_asked(made, ladder):
    chosen, rows = replayed(made, ladder)
    known = chosen.recording.answers
    for row in rows:
        assert row.followed == row.graded == row.queries == len(made["queries"])
        assert sum(row.starts.values()) == sum(row.served.values()) == row.queries
        assert row.correct == sum(known[s.served.model][s.query.id].correct for s in row.stories)
        low, high = row.accuracy_ci
        assert 0 <= low <= row.accuracy <= high <= 1
        asked = [len({attempt.tier for attempt in story.attempts}) for story in row.stories]
        assert all(1 <= count <= len(chosen.tiers) for count in asked)
    oracle = next(row for row in rows if row.policy == "oracle")
    assert all(row.correct <= oracle.correct for row in rows)


@settings(odd, max_examples=20)
@given(recordings(), st.sampled_from(["default", "ends"]))
def test_the_report_and_the_json_can_be_written(made, ladder):
    chosen, rows = replayed(made, ladder)
    told = json.loads(json.dumps(as_json(chosen, rows), allow_nan=False))
    for row, seen in zip(rows, told["rows"], strict=True):
        assert seen["cost_usd"] == pytest.approx(seen["generate_usd"] + seen["judge_usd"])
        assert seen["policy"] == row.policy
    assert (
        "nan" not in page([Result(chosen, tuple(rows), (), None)]).lower().replace("finance", "").split("</style>")[0]
    )
    assert default_names(chosen, {})[0]


def test_a_long_stream_of_one_question_replays():
    """The same words over and over, so that every neighbour is as near as any other."""
    one = {"role": "user", "content": "again"}
    ids = [f"q{number}" for number in range(1_500)]
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    price = {"input_usd_per_mtok": 1, "output_usd_per_mtok": 2, "prior_accuracy": 0.5}
    made = {
        "header": {
            "name": "long",
            "models": {"a": price, "b": {**price, "prior_accuracy": 0.8}},
            "ladders": {"default": ["a", "b"]},
            "judge": {"kind": "recorded"},
        },
        "queries": [{"id": id_, "task": "", "split": "all", "messages": [one], "reference": ""} for id_ in ids],
        "answers": {
            name: [{"id": id_, "content": "x", "answer": "x", "correct": right, **usage} for id_ in ids]
            for name, right in (("a", 0), ("b", 1))
        },
    }
    chosen, rows = replayed(made, None)
    evaluator = Evaluator(made, list(chosen.models))
    for row in rows:
        if row.policy not in LEARNING:
            assert (row.correct, row.generate_nanousd, row.judge_nanousd) == evaluator.score(row.policy)
