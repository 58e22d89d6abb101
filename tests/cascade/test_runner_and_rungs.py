"""The loop, which rungs a request may use, and what a run without an answer means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from runs import LADDER, Ear, Script, attempt, reply, request, run, tier

from cascade.brake import Brake
from cascade.caller import Caller, RetrySettings
from cascade.deployments import Deployments
from cascade.eligible import eligible
from cascade.failures import failure
from cascade.generator import Generator
from cascade.judge import AnswerJudge, JudgeSettings
from cascade.policies.llm_at import LlmAt
from cascade.purse import Purse
from cascade.runner import Runner
from router.domain import Deliver, Stop, Verdict, Wishes
from router.errors import (
    ContextOverflow,
    RequestError,
    UpstreamBadReply,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

YES, NO = reply("validity: yes"), reply("validity: no")
CUT = UpstreamBadReply("cut")


async def half(call, live):
    await live.chunk({"choices": [{"delta": {"content": "ha"}}]})
    raise CUT


async def ridden(stream=False, ear=None, start=None, **scripts):
    """Ride LLM-AT over scripted tiers."""
    models = {f"{name}/0": Script(*steps) for name, steps in scripts.items()}
    deployments = Deployments(cooldown_failures=1000, cooldown_s=0)
    caller = Caller(models, deployments, RetrySettings(1, 0, 0, 0, 0))
    runner = Runner({rung.name: rung for rung in LADDER}, Generator(caller), AnswerJudge(caller, JudgeSettings()))
    asked = request(stream=stream)
    return await runner.run(asked, LlmAt(), start or run(), Purse(None), Brake(), ear or Ear())


def verdicts(ride):
    return [(each.tier, str(each.verdict)) for each in ride.run.attempts]


async def test_it_shifts_up_until_the_judge_says_yes():
    ride = await ridden(small=[reply()], medium=[NO, reply(), YES])
    assert verdicts(ride) == [("small", "invalid"), ("medium", "valid")]
    assert ride.delivered.attempt == 1


async def test_a_rejected_answer_never_reaches_the_listener():
    ear = Ear()
    await ridden(stream=True, ear=ear, small=[reply()], medium=[NO, reply(), YES])
    assert ear.events == []
    assert ear.notes == ["asking small", "judging small", "asking medium", "judging medium"]


async def test_a_live_answer_that_breaks_ends_the_run_without_another_ones_text():
    ride = await ridden(stream=True, small=[reply()], medium=[NO, reply(), NO], large=[half])
    assert verdicts(ride) == [("small", "invalid"), ("medium", "invalid"), ("large", "error")]
    assert (ride.delivered.attempt, ride.delivered.stopped) == (None, Stop.UPSTREAM)


async def test_a_live_answer_is_served_even_if_a_check_finds_fault_with_it():
    async def refused(call, live):
        await live.chunk({"choices": [{"delta": {"content": "ha"}}]})
        said = reply("ha")
        choice = {**said.body["choices"][0], "finish_reason": "content_filter"}
        return replace(said, body={**said.body, "choices": [choice]})

    closed = run(judge_fails_open=False)
    ride = await ridden(stream=True, start=closed, small=[reply()], medium=[CUT, CUT, CUT, CUT], large=[refused])
    assert verdicts(ride)[0] == ("small", "unjudged")
    assert ride.run.attempts[ride.delivered.attempt].tier == "large"


@pytest.mark.parametrize("said", ["", "  "])
async def test_a_judge_that_says_nothing_has_failed(said):
    ride = await ridden(small=[reply()], medium=[reply(said)])
    assert ride.run.attempts[0].judge_failed
    assert ride.delivered.attempt == 0


# rungs


def names(tiers):
    return [rung.name for rung in tiers]


@pytest.mark.parametrize(
    ("policy", "wishes", "wanted"),
    [
        ("llm-at", {}, ["small", "medium", "large"]),
        ("llm-at", {"min_tier": "medium"}, ["medium", "large"]),
        ("llm-at", {"max_tier": "medium"}, ["small", "medium"]),
        ("llm-at", {"min_tier": "medium", "max_tier": "medium"}, ["medium"]),
        ("always:medium", {}, ["medium"]),
    ],
)
def test_the_request_limits_the_ladder(policy, wishes, wanted):
    assert names(eligible(LADDER, request(policy, Wishes(**wishes)))) == wanted


LACKING = frozenset({"tools"})
TOOLS = {"tools": [{"type": "function", "function": {"name": "f"}}]}


def test_a_tier_whose_models_lack_what_is_needed_is_left_out():
    tiers = (tier("small", lacks=LACKING), *LADDER[1:])
    assert names(eligible(tiers, request(**TOOLS))) == ["medium", "large"]
    assert names(eligible(tiers, request())) == ["small", "medium", "large"]


def test_of_a_tiers_deployments_only_those_that_can_are_asked():
    able, lacking = tier("small").deployments[0], replace(tier("small", lacks=LACKING).deployments[0], id="small/1")
    (mixed, *_) = eligible((replace(LADDER[0], deployments=(lacking, able)), *LADDER[1:]), request(**TOOLS))
    assert mixed.deployments == (able,)


def test_a_prompt_goes_to_tiers_that_can_hold_it_and_to_the_largest_where_none_can():
    tiers = tuple(tier(name, context_tokens=size) for name, size in (("a", 10), ("b", 1000), ("c", 100)))
    long = [{"role": "user", "content": "x" * 200}]
    assert names(eligible(tiers, request(messages=long))) == ["b", "c"]
    assert names(eligible(tiers, request(messages=[{"role": "user", "content": "x" * 9000}]))) == ["b"]


@pytest.mark.parametrize(
    ("policy", "wishes", "body"),
    [
        ("llm-at", {"min_tier": "tiny"}, {}),
        ("llm-at", {"min_tier": "large", "max_tier": "small"}, {}),
        ("always:large", {"max_tier": "small"}, {}),
        ("always:small", {}, TOOLS),
    ],
)
def test_where_no_rung_is_left_the_request_is_refused(policy, wishes, body):
    tiers = (tier("small", lacks=LACKING), *LADDER[1:])
    with pytest.raises(RequestError):
        eligible(tiers, request(policy, Wishes(**wishes), **body))


# failures

NO_400 = UpstreamRejected("no", status=400, body={})
LONG = ContextOverflow("too long", status=400, body={})
LIMITED = UpstreamRateLimited("limited", retry_after_s=3)
LATE = UpstreamTimeout("late")
DOWN = UpstreamUnavailable("down")
KEY = UpstreamMisconfigured("key")
ENDS = [
    ([NO_400], UpstreamRejected),
    ([LONG, LONG], ContextOverflow),
    ([LONG, DOWN], UpstreamUnavailable),
    ([DOWN, LONG], UpstreamUnavailable),
    ([DOWN, NO_400], UpstreamRejected),
    ([LIMITED, LIMITED], UpstreamRateLimited),
    ([LIMITED, DOWN], UpstreamUnavailable),
    ([LATE, LATE], UpstreamTimeout),
    ([LATE, DOWN], UpstreamUnavailable),
    ([KEY, KEY], UpstreamBadReply),
    ([CUT, LATE], UpstreamBadReply),
]


@pytest.mark.parametrize(("errors", "kind"), ENDS, ids=lambda value: str(value)[:60])
def test_failures_of_all_tiers_are_one_error_that_names_each(errors, kind):
    failed = [attempt(rung.name, Verdict.ERROR, error=error) for rung, error in zip(LADDER, errors, strict=False)]
    error = failure(request(), run(attempts=tuple(failed)), Deliver(None, ""))
    assert type(error) is kind
    if not isinstance(error, UpstreamRejected):
        assert all(f"{each.tier}: " in error.message for each in failed)


def test_the_soonest_retry_after_is_kept():
    failed = [attempt("small", Verdict.ERROR, error=LIMITED), attempt("medium", Verdict.ERROR, error=DOWN)]
    assert failure(request(), run(attempts=tuple(failed)), Deliver(None, "")).retry_after_s == 3
