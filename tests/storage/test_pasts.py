"""What the two-tier policy knew before a stop it knows after the start: in every store."""

from __future__ import annotations

from dataclasses import replace

from outcomes import build_outcome, paid_call, rejected_small

from cascade.knowledge import Knowledge
from cascade.policies.auto import Auto
from cascade.policies.two_tier import TwoTier, TwoTierSettings
from router.following_margins import LOOK_BACK_S, MarginFollower
from router.margins_state import MarginKeeper, past_of

FIRST = "first:probability"


def told(number, confidence, **more):
    small = replace(rejected_small(), calls=(paid_call("small"),), confidence=confidence, confidence_by=FIRST)
    outcome = build_outcome(f"r-{number}", at=1_790_000_000 + number, attempts=(small, *more.pop("then", ())), **more)
    return replace(
        outcome, request=replace(outcome.request, policy="two-tier"), run=replace(outcome.run, id=f"r-{number}")
    )


async def loaded(history, horizon=3):
    keeper = MarginKeeper()
    async for batch in history.pasts(["two-tier"], 1_000):
        for team, past in batch:
            keeper.learn(past, team, horizon)
    return keeper


async def test_a_restart_forgets_no_margin_no_cost_and_no_pot(history):
    live = MarginKeeper()
    stories = [told(place, place / 10) for place in range(4)] + [told(9, None, store=False), told(10, None)]
    for outcome in stories:
        await history.record(outcome)
        labels = {label.model: label.correct for label in outcome.labels} if outcome.request.wishes.store else {}
        past = past_of(outcome.run, labels, policy=outcome.request.policy, learn=outcome.request.wishes.store)
        live.learn(past, outcome.request.caller.team, 3)
    assert (await loaded(history)).state("blue") == live.state("blue")


async def test_other_policies_requests_are_not_read(history):
    await history.record(build_outcome("other"))
    assert (await loaded(history)).state("blue").asked == 0


async def test_feedback_is_part_of_what_is_loaded(history):
    outcome = told(1, 0.4)
    await history.record(outcome)
    await history.feedback("r-1", outcome.request.caller, 1.0, "me", "")
    batches = [batch async for batch in history.pasts(["two-tier"], 1_000)]
    assert batches[0][0][1].tried[0].correct == 1.0


async def test_only_the_newest_are_read_and_the_oldest_of_them_first(history):
    for place in range(6):
        await history.record(told(place, place / 10))
    await history.record(build_outcome("other"))
    batches = [batch async for batch in history.pasts(["two-tier"], 3)]
    assert [past.id for batch in batches for _, past in batch] == ["r-3", "r-4", "r-5"]


async def test_one_worker_learns_the_margins_that_another_saw_and_none_twice(history):
    policy = TwoTier(TwoTierSettings())
    mine, other = Knowledge.of([policy]), Knowledge.of([policy])
    following = MarginFollower(history, other, lambda team: team, clock=lambda: 1_790_000_010)
    stories = [told(place, place / 10) for place in range(2)]
    for outcome in stories:
        await history.record(outcome)
        mine.learn(outcome.run, policy, {label.model: label.correct for label in outcome.labels}, "blue")
    assert [await following.poll(), await following.poll()] == [2, 0]
    assert other.margins.state("blue") == mine.margins.state("blue")
    other.learn(stories[0].run, policy, {}, "blue")  # its own run, which it has read back already
    assert other.margins.state("blue") == mine.margins.state("blue")


async def test_what_began_long_ago_is_not_asked_for_again_and_again(history):
    await history.record(told(0, 0.5))
    knowledge = Knowledge.of([TwoTier(TwoTierSettings())])
    late = MarginFollower(history, knowledge, lambda team: team, clock=lambda: 1_790_000_000 + LOOK_BACK_S + 1)
    assert await late.poll() == 0


async def test_where_nothing_is_read_back_but_at_the_start_no_request_is_remembered():
    policy = Auto()
    knowledge = Knowledge.of([policy])
    knowledge.learn(told(0, None).run, policy, {}, "blue")
    assert not knowledge.knows("r-0")
    assert knowledge.margins.state("blue").costs
