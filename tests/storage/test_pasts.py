"""What the two-tier policy knew before a stop it knows after the start: in every store."""

from __future__ import annotations

from dataclasses import replace

from outcomes import build_outcome, paid_call, rejected_small

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
    async for batch in history.pasts(["two-tier"]):
        for team, past in batch:
            keeper.learn(past, team, horizon)
    return keeper


async def test_a_restart_forgets_no_margin_no_cost_and_no_pot(history):
    live = MarginKeeper()
    stories = [told(place, place / 10) for place in range(4)] + [told(9, None, store=False), told(10, None)]
    for outcome in stories:
        await history.record(outcome)
        labels = {label.model: label.correct for label in outcome.labels} if outcome.request.wishes.store else {}
        past = past_of(outcome.run, labels, learn=outcome.request.wishes.store)
        live.learn(past, outcome.request.caller.team, 3)
    assert (await loaded(history)).state("blue") == live.state("blue")


async def test_other_policies_requests_are_not_read(history):
    await history.record(build_outcome("other"))
    assert (await loaded(history)).state("blue").asked == 0


async def test_feedback_is_part_of_what_is_loaded(history):
    outcome = told(1, 0.4)
    await history.record(outcome)
    await history.feedback("r-1", outcome.request.caller, 1.0, "me", "")
    batches = [batch async for batch in history.pasts(["two-tier"])]
    assert batches[0][0][1].tried[0].correct == 1.0
