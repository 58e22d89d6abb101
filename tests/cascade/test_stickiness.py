"""Whether a conversation stays on its tier: one row a case, each with the words that explain it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from priced_runs import ladder, run, tier

from cascade.policies.llm_at import LlmAt, LlmAtSettings
from cascade.policies.registry import build
from cascade.stickiness import Start, stickiness
from router.domain import Conversation, Deployment, Evidence, Neighbour

THETA = 0.7
LONG = 20_000


def talk(home, **changes):
    return replace(Conversation(home, f"simulated/{home}", LONG, 200, age_s=40, warm=True), **changes)


@dataclass(frozen=True)
class Case:
    home: Conversation | None
    wants: str
    stays_on: str
    says: str
    by_evidence: bool = True
    estimates: dict = field(default_factory=lambda: {"small": 0.75, "medium": 0.8, "large": 0.9})


CASES = {
    "a first turn goes where the policy wants": Case(None, "small", "small", "wanted"),
    "a tier that may not answer is no home": Case(talk("huge"), "small", "small", "wanted"),
    "a rejected answer holds nobody": Case(talk("small", rejected=True), "medium", "medium", "found to be wrong"),
    "even a tool result leaves a tier that failed": Case(
        talk("small", rejected=True, tool_result=True), "medium", "medium", "found to be wrong"
    ),
    "a tool result stays where the call was made": Case(
        talk("medium", tool_result=True, warm=False), "small", "medium", "called the tools"
    ),
    "the same tier is told as such": Case(talk("small"), "small", "small", "there already"),
    "want of knowledge leads no one down": Case(
        talk("medium"), "small", "medium", "nothing is known", by_evidence=False
    ),
    "want of knowledge leads up where the policy says so": Case(
        talk("medium"), "large", "large", "wanted", by_evidence=False
    ),
    "up, warm and nearly good enough: stay": Case(
        talk("small"), "medium", "small", "near enough", estimates={"small": 0.66, "medium": 0.8}
    ),
    "up, warm and not good enough: leave": Case(
        talk("small"), "medium", "medium", "leaves small", estimates={"small": 0.6, "medium": 0.8}
    ),
    "up, cold: leave": Case(
        talk("small", warm=False), "medium", "medium", "leaves small", estimates={"small": 0.69, "medium": 0.8}
    ),
    "down, the cold tier is cheaper all the same: leave": Case(talk("large"), "small", "small", "leaves large"),
    "down, the warm cache is cheaper: stay": Case(
        talk("medium", answer_tokens=1, tokens=LONG), "dear", "medium", "would save nothing"
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_conversation_stays_or_leaves(case):
    rungs = ladder()
    if case.wants == "dear":
        # Cheaper than medium on paper (0.3 for 0.5 USD per Mtok), dearer than medium's warm cache (0.05).
        dear = tier("medium")
        price = replace(dear.deployments[0].price, base=replace(dear.deployments[0].price.base, input=300_000_000))
        rungs = (replace(dear, name="dear", deployments=(Deployment("dear-0", "simulated/dear", price),)), *rungs)
    state = replace(run(), ladder=rungs, evidence=Evidence(conversation=case.home))
    start = stickiness(state, Start(state.tier(case.wants), "wanted", case.by_evidence), case.estimates, THETA)
    assert start.tier.name == case.stays_on
    assert case.says in start.why


def test_the_price_of_leaving_a_warm_cache_is_in_the_explanation():
    state = run(evidence=Evidence(conversation=talk("small")))
    start = stickiness(state, Start(tier("medium"), "wanted"), {"small": 0.6}, THETA)
    # 20,000 tokens: 0.005 USD per Mtok cached here, 0.5 plain there.
    assert "its warm cache reads the 20000 tokens so far for 0.000100000 USD, medium for 0.010000000 USD" in start.why


def test_without_a_warm_cache_no_price_is_told():
    state = run(evidence=Evidence(conversation=talk("small", warm=False)))
    assert "cache" not in stickiness(state, Start(tier("medium"), "wanted"), {"small": 0.6}, THETA).why


def test_llm_at_starts_where_the_conversation_is():
    evidence = Evidence(conversation=talk("medium"))
    first = LlmAt().decide(run(evidence=evidence))
    assert first.tier == "medium"
    assert "stays on medium" in first.why


def test_llm_at_leaves_for_what_similar_questions_say():
    wrong = tuple(Neighbour(f"n{n}", 0.9, {"simulated/small": 0.0, "simulated/medium": 1.0}) for n in range(5))
    evidence = Evidence(wrong, 10, conversation=talk("small"))
    first = LlmAt(LlmAtSettings(threshold=0.7)).decide(run(evidence=evidence))
    assert first.tier == "medium"
    assert "it leaves small" in first.why


@pytest.mark.parametrize("policy", ["two-tier", "skills"])
def test_every_policy_that_starts_somewhere_sends_a_tools_result_where_it_was_called(policy):
    evidence = Evidence(conversation=talk("large", tool_result=True))
    first = build(policy).decide(run(evidence=evidence))
    assert first.tier == "large"
    assert "large called the tools" in first.why


@pytest.mark.parametrize("policy", ["two-tier", "skills"])
def test_every_policy_that_starts_somewhere_leaves_a_tier_that_was_wrong(policy):
    alone = build(policy).decide(run())
    first = build(policy).decide(run(evidence=Evidence(conversation=talk("large", rejected=True))))
    assert first.tier == alone.tier
    assert "found to be wrong" in first.why
