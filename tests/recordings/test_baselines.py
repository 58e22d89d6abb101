"""The baselines as policies: what they decide, step by step."""

from dataclasses import replace

import pytest

from cascade.policies.baselines import Agreement, BottomUp, RandomMix, baseline, dice
from router.domain import Answer, Ask, Attempt, Budget, Deliver, Deployment, Judge, Judging, Run, Stop, Tier, Verdict

LADDER = tuple(Tier(name, (Deployment(name, name, None),), 0.5, name) for name in ("small", "medium", "large"))
RUN = Run(LADDER, "large", id="r1")


def attempt(tier, final="", verdict=Verdict.UNJUDGED):
    answer = None if verdict is Verdict.ERROR else Answer({}, final=final)
    return Attempt(tier, "", answer=answer, verdict=verdict)


def after(*attempts, **changes):
    return replace(RUN, attempts=attempts, **changes)


def test_bottom_up_starts_at_the_lowest_and_has_it_judged():
    assert BottomUp().decide(RUN).tier == "small"
    assert isinstance(BottomUp().decide(after(attempt("small"))), Judge)
    assert BottomUp().decide(after(attempt("small", verdict=Verdict.INVALID))).tier == "medium"
    assert BottomUp().decide(after(attempt("small", verdict=Verdict.VALID))).attempt == 0
    assert BottomUp().decide(after(attempt("large"))).attempt == 0


AGREEMENT = [
    ("nobody was asked", [], "small"),
    ("one answer is never enough", [("small", "4")], "medium"),
    ("two agree", [("small", "4"), ("medium", "4")], 1),
    ("two differ", [("small", "4"), ("medium", "5")], "large"),
    ("the third agrees with the first", [("small", "4"), ("medium", "5"), ("large", "4")], 2),
    ("nobody agrees", [("small", "4"), ("medium", "5"), ("large", "6")], 2),
    ("no answer agrees with no answer", [("small", ""), ("medium", "")], "large"),
]


@pytest.mark.parametrize(("asked", "expected"), [row[1:] for row in AGREEMENT], ids=[row[0] for row in AGREEMENT])
def test_agreement_serves_what_two_tiers_say(asked, expected):
    decision = Agreement().decide(after(*(attempt(tier, final) for tier, final in asked)))
    assert (decision.attempt if isinstance(decision, Deliver) else decision.tier) == expected


@pytest.mark.parametrize("verdict", [Verdict.ABSTAINED, Verdict.INVALID, Verdict.ERROR])
def test_a_rejected_answer_agrees_with_nobody(verdict):
    policy = Agreement()
    assert policy.decide(after(attempt("small", "4", verdict))).tier == "medium"
    assert policy.decide(after(attempt("small", "4", verdict), attempt("medium", "4"))).tier == "large"


def test_agreement_serves_the_first_answer_where_judging_is_off():
    assert Agreement().decide(after(attempt("small", "4"), judging=Judging.NEVER)).attempt == 0


def test_random_mixing_follows_the_dice_of_the_id():
    ids = [f"q{number}" for number in range(400)]
    chosen = [RandomMix(0.3).decide(replace(RUN, id=name)).tier for name in ids]
    assert chosen == [RandomMix(0.3).decide(replace(RUN, id=name)).tier for name in ids]
    assert set(chosen) == {"small", "large"}
    assert chosen.count("large") == sum(dice(name) < 0.3 for name in ids)
    assert 80 < chosen.count("large") < 160


@pytest.mark.parametrize(("share", "tier"), [(0, "small"), (1, "large")])
def test_the_ends_of_random_mixing_are_always_and_never(share, tier):
    assert RandomMix(share).decide(RUN).tier == tier


def test_random_mixing_serves_whatever_came_but_a_failure():
    for verdict in (Verdict.UNJUDGED, Verdict.ABSTAINED, Verdict.INVALID):
        assert RandomMix(0).decide(after(attempt("small", verdict=verdict))).attempt == 0
    assert RandomMix(0).decide(after(attempt("small", verdict=Verdict.ERROR))).tier == "medium"


@pytest.mark.parametrize("policy", [BottomUp(), Agreement(), RandomMix(1)], ids=lambda policy: policy.name)
class TestEveryBaseline:
    def test_it_asks_only_what_the_cap_pays_for(self, policy):
        budget = Budget(cap_nanousd=10, ask_nanousd={"small": 11, "medium": 5, "large": 20})
        assert policy.decide(replace(RUN, budget=budget)).tier == "medium"

    def test_it_asks_nobody_where_the_cap_pays_for_nobody(self, policy):
        budget = Budget(cap_nanousd=1, ask_nanousd=dict.fromkeys(("small", "medium", "large"), 2))
        decision = policy.decide(replace(RUN, budget=budget))
        assert (decision.attempt, decision.stopped) == (None, Stop.BUDGET)

    def test_it_starts_nothing_once_stopped(self, policy):
        decision = policy.decide(replace(RUN, stop=Stop.LATENCY))
        assert (decision.attempt, decision.stopped) == (None, Stop.LATENCY)
        decision = policy.decide(after(attempt("small", verdict=Verdict.ERROR), stop=Stop.LATENCY))
        assert (decision.attempt, decision.stopped) == (None, Stop.LATENCY)

    def test_it_ends_where_everything_fails(self, policy):
        run = RUN
        for _ in range(6):
            decision = policy.decide(run)
            if isinstance(decision, Deliver):
                break
            assert isinstance(decision, Ask)
            run = run.with_attempt(attempt(decision.tier, verdict=Verdict.ERROR))
        assert decision.attempt is None

    def test_it_knows_no_estimates_and_wants_no_neighbours(self, policy):
        assert (policy.estimates(RUN), policy.neighbours) == ({}, 0)


def test_baselines_are_found_by_name():
    assert baseline("bottom-up").name == "bottom-up"
    assert baseline("agreement").name == "agreement"
    assert baseline("random:0.25").settings == {"share": 0.25}
    assert baseline("random:0.25").name == "random:0.25"
    assert baseline("llm-at") is None


@pytest.mark.parametrize("name", ["random:", "random:lots", "random:2", "random:-0.1", "random:nan"])
def test_a_share_that_is_none_is_refused(name):
    with pytest.raises(ValueError, match="from 0 to 1"):
        baseline(name)
