"""When an answer is judged, and which served answers are still owed a verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
from priced_runs import answered, run

from cascade.modes import judging, late_judge, owes_a_verdict
from cascade.policies.always import Always
from cascade.policies.llm_at import LlmAt
from router.domain import Budget, Deliver, Evidence, Judging, Neighbour, Stop, StreamMode, Verdict

LIKELY = Evidence(tuple(Neighbour(f"n{n}", 1.0, {"simulated/small": 1.0}) for n in range(5)), 10)
TABLE = [
    ("hold", LlmAt(), LIKELY, Judging.BEFORE),
    ("optimistic", LlmAt(), Evidence(), Judging.AFTER),
    ("direct", LlmAt(), LIKELY, Judging.NEVER),
    ("adaptive", LlmAt(), LIKELY, Judging.AFTER),
    ("adaptive", LlmAt(), Evidence(), Judging.BEFORE),
    ("hold", Always("small"), Evidence(), Judging.NEVER),
    ("optimistic", Always("small"), Evidence(), Judging.NEVER),
    ("adaptive", Always("small"), Evidence(), Judging.NEVER),
]


@pytest.mark.parametrize(("mode", "policy", "evidence", "when"), TABLE)
def test_the_mode_says_when_judging_happens(mode, policy, evidence, when):
    assert judging(StreamMode(mode), policy, run(evidence=evidence), 0.75) is when


def test_adaptive_holds_what_is_not_likely_enough():
    assert judging(StreamMode.ADAPTIVE, LlmAt(), run(evidence=LIKELY), 0.76) is Judging.BEFORE


def finished(served, when=Judging.AFTER, **changes):
    return run(judging=when, attempts=(served,), **changes)


OWING = {
    "a start tier's answer": (finished(answered("small")), True),
    "the highest tier it may use, below the top": (finished(answered("small")), True),
    "the full ladder's top": (finished(answered("large")), False),
    "one that a verifier rejected": (finished(answered("small", verdict=Verdict.INVALID)), False),
    "one that a verifier accepted": (finished(answered("small", verdict=Verdict.VALID)), False),
    "judged before": (finished(answered("small"), Judging.BEFORE), False),
    "judging off": (finished(answered("small"), Judging.NEVER), False),
    "after the time limit or the client's leaving": (finished(answered("small"), stop=Stop.LATENCY), False),
}


@pytest.mark.parametrize(("state", "owing"), OWING.values(), ids=OWING)
def test_a_verdict_is_owed_for(state, owing):
    assert owes_a_verdict(state, Deliver(0, "served")) is owing


def test_nothing_is_owed_for_an_error():
    assert not owes_a_verdict(finished(answered("small")), Deliver(None, "failed"))


def test_the_late_judge_is_the_tiers_own():
    assert late_judge(finished(answered("small")), 0).by == "medium"


def test_a_cap_that_does_not_pay_for_the_judge_leaves_the_answer_unjudged():
    state = replace(finished(answered("small")), budget=Budget(100, 60, judge_nanousd=50))
    assert late_judge(state, 0) is None
