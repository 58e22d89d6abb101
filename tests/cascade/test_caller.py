"""Paid calls: which deployment, how often, for how much, and what is settled whatever happens."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from runs import PRICE, USAGE, Ear, Script, reply, tier
from structlog.testing import capture_logs

from cascade.brake import Brake
from cascade.caller import Caller, Errand, RetrySettings, Unpaid
from cascade.deployments import Deployments
from cascade.purse import Purse
from router.domain import CostSource, Purpose
from router.errors import (
    UpstreamBadReply,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from router.pricing import Price, Rates, Usage, cost_nanousd, usd_to_nanousd

DOWN = UpstreamUnavailable("down")
CUT = UpstreamBadReply("cut")
PLENTY = usd_to_nanousd(1)
QUICK = RetrySettings(attempts=3, wait_initial_s=0, wait_max_s=0, jitter_s=0, longest_wait_s=0.2)


class Bench:
    """A caller over scripted deployments of one tier."""

    def __init__(self, *scripts: Script, retry: RetrySettings = QUICK, cooldown_failures: int = 1000) -> None:
        self.tier = tier("small", deployments=len(scripts))
        self.models = dict(zip((each.id for each in self.tier.deployments), scripts, strict=True))
        self.deployments = Deployments(cooldown_failures=cooldown_failures, cooldown_s=60)
        self.caller = Caller(self.models, self.deployments, retry)
        self.purse = Purse(PLENTY)
        self.brake = Brake()

    def errand(self, **more) -> Errand:
        body = {"messages": [{"role": "user", "content": "hello"}]}
        return Errand(**{"tier": self.tier, "body": body, "purpose": Purpose.GENERATE, "brake": self.brake, **more})

    async def call(self, **more):
        return await self.caller.call(self.errand(**more), self.purse)


def asked(spoken):
    return [(call.deployment, call.cost_source) for call in spoken.calls]


async def test_an_answer_is_settled_at_its_real_price():
    bench = Bench(Script(reply()))
    spoken = await bench.call()
    (call,) = spoken.calls
    assert call.cost_nanousd == cost_nanousd(USAGE, PRICE)
    assert (bench.purse.spent_nanousd, bench.purse.reserved_nanousd) == (call.cost_nanousd, 0)


async def test_another_deployment_is_tried_before_the_same_one_again():
    bench = Bench(Script(DOWN), Script(reply()))
    assert asked(await bench.call()) == [("small/0", CostSource.NONE), ("small/1", CostSource.USAGE)]


async def test_a_failing_deployment_is_tried_again_up_to_the_limit():
    spoken = await Bench(Script(DOWN)).call()
    assert len(spoken.calls) == 3
    assert spoken.error is DOWN


async def test_a_call_billed_above_its_reservation_is_paid_in_full_and_said_out_loud():
    bench = Bench(Script(replace(reply(), usage=Usage(10, 1_000_000))))
    with capture_logs() as logged:
        spoken = await bench.call(body={"messages": [{"role": "user", "content": "hello"}], "max_tokens": 20})
    (call,) = spoken.calls
    assert bench.purse.spent_nanousd == call.cost_nanousd == cost_nanousd(call.usage, PRICE)
    assert 0 < call.overrun_nanousd < call.cost_nanousd
    (line,) = logged
    assert (line["log_level"], line["deployment"], line["output_limit"]) == ("warning", "small/0", 20)


async def test_where_nothing_bounds_a_call_nothing_is_overrun():
    bench = Bench(Script(replace(reply(), usage=Usage(10, 1_000_000))))
    bench.purse = Purse(None)
    (call,) = (await bench.call(body={"messages": [], "max_tokens": 20})).calls
    assert call.overrun_nanousd == 0


async def test_a_cut_answer_costs_its_whole_reservation():
    bench = Bench(Script(CUT, reply()))
    spoken = await bench.call(body={"messages": [{"role": "user", "content": "hello"}], "max_tokens": 20})
    assert asked(spoken) == [("small/0", CostSource.RESERVATION), ("small/0", CostSource.USAGE)]
    assert bench.purse.spent_nanousd == sum(call.cost_nanousd for call in spoken.calls)


@pytest.mark.parametrize(
    "error",
    [UpstreamRejected("no", status=400, body={}), UpstreamMisconfigured("key")],
    ids=["rejected", "misconfigured"],
)
async def test_what_trying_again_cannot_mend_is_not_tried_again(error):
    spoken = await Bench(Script(error)).call()
    assert (len(spoken.calls), spoken.error) == (1, error)


async def test_a_short_retry_after_is_waited_for():
    bench = Bench(Script(UpstreamRateLimited("busy", retry_after_s=0.1), reply()))
    started = asyncio.get_running_loop().time()
    spoken = await bench.call()
    assert spoken.reply is not None
    assert asyncio.get_running_loop().time() - started >= 0.1


async def test_a_long_retry_after_is_not_waited_for_and_the_deployment_rests():
    bench = Bench(Script(UpstreamRateLimited("busy", retry_after_s=9)))
    spoken = await bench.call()
    assert (len(spoken.calls), spoken.error.retry_after_s) == (1, 9)
    again = await bench.call()
    assert again.calls == ()
    assert isinstance(again.error, UpstreamRateLimited)
    assert 8 < again.error.retry_after_s <= 9


async def test_a_resting_tier_is_asked_all_the_same_where_nobody_else_could_answer():
    bench = Bench(Script(DOWN, DOWN, DOWN, reply()), cooldown_failures=1)
    await bench.call(even_cooling=True)
    assert (await bench.call(even_cooling=True)).reply is not None


async def test_no_wait_reaches_past_the_deadline():
    bench = Bench(Script(UpstreamRateLimited("busy", retry_after_s=0.15)))
    bench.brake.deadline = bench.brake.clock() + 0.1
    assert len((await bench.call()).calls) == 1


async def test_what_the_purse_cannot_pay_is_not_asked():
    bench = Bench(Script(reply()))
    bench.purse = Purse(10)
    spoken = await bench.call()
    assert spoken.calls == ()
    assert isinstance(spoken.error, Unpaid)


async def test_when_a_cut_answer_ate_the_cap_its_failure_is_told_and_not_the_empty_purse():
    bench = Bench(Script(CUT))
    bench.purse = Purse(1_000_000)
    spoken = await bench.call()
    assert (len(spoken.calls), spoken.error) == (1, CUT)
    assert bench.purse.spent_nanousd <= 1_000_000


async def test_the_deployment_that_the_cap_pays_is_asked():
    bench = Bench(Script(reply()), Script(reply()))
    cheap, dear = bench.tier.deployments
    dear = replace(dear, price=Price(Rates(10**12, 10**13)))
    bench.purse = Purse(1_000_000)
    spoken = await bench.call(tier=replace(bench.tier, deployments=(dear, cheap)))
    assert [call.deployment for call in spoken.calls] == [cheap.id]


async def test_under_a_cap_the_limit_is_sent_upstream_and_without_one_it_is_not():
    script = Script(reply())
    bench = Bench(script)
    await bench.call()
    bench.purse = Purse(None)
    await bench.call()
    assert [call.body.get("max_completion_tokens") is not None for call in script.calls] == [True, False]


async def test_without_usage_our_count_is_paid_and_never_more_than_the_sent_limit():
    bench = Bench(Script(reply("word " * 10_000, usage=None)))
    body = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 20}
    spoken = await bench.call(body=body)
    (call,) = spoken.calls
    assert (call.cost_source, call.usage.completion_tokens) == (CostSource.ESTIMATED, 20)


async def never(call, live):
    await asyncio.get_running_loop().create_future()


async def test_a_cancelled_call_is_settled_at_its_reservation():
    bench = Bench(Script(never))
    task = asyncio.create_task(bench.call())
    await asyncio.sleep(0.01)
    reserved = bench.purse.reserved_nanousd
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (bench.purse.spent_nanousd, bench.purse.reserved_nanousd) == (reserved, 0)
    assert reserved > 0


async def test_a_call_that_is_hung_up_is_paid_and_does_not_count_against_its_deployment():
    bench = Bench(Script(never), cooldown_failures=1)
    task = asyncio.create_task(bench.call())
    await asyncio.sleep(0.01)
    bench.brake.hang_up()
    spoken = await task
    assert asked(spoken) == [("small/0", CostSource.RESERVATION)]
    assert isinstance(spoken.error, UpstreamTimeout)
    assert bench.deployments.ready_in_s(bench.tier) == 0


async def test_no_try_starts_for_a_client_that_is_gone():
    bench = Bench(Script(reply()))
    bench.brake.client_gone = True
    assert (await bench.call()).calls == ()


async def test_what_has_begun_to_stream_is_not_tried_again():
    async def half(call, live):
        await live.chunk({"choices": [{"delta": {"content": "ha"}}]})
        raise CUT

    ear = Ear()
    spoken = await Bench(Script(half)).call(live=ear, stream=True)
    assert (len(spoken.calls), spoken.streamed, len(ear.events)) == (1, True, 1)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def health(clock):
    return Deployments(cooldown_failures=2, cooldown_s=30, clock=clock)


TWO = tier("small", deployments=2)
FIRST, SECOND = TWO.deployments


def chosen(health, tried=(), *, even_cooling=False):
    found = health.choose(TWO.deployments, tried, even_cooling=even_cooling)
    return found and found.id


def test_the_least_busy_deployment_is_chosen(health):
    with health.busy(FIRST):
        assert chosen(health) == SECOND.id
        with health.busy(SECOND), health.busy(SECOND):
            assert chosen(health) == FIRST.id


def test_equals_take_turns(health):
    order = []
    for _ in range(4):
        order.append(chosen(health))
        with health.busy(FIRST if order[-1] == FIRST.id else SECOND):
            pass
    assert order == [FIRST.id, SECOND.id] * 2


def test_one_not_tried_yet_comes_before_a_less_busy_one(health):
    with health.busy(SECOND):
        assert chosen(health, {FIRST.id}) == SECOND.id


def test_failures_in_a_row_make_it_rest_and_time_or_success_ends_that(health, clock):
    health.failed(FIRST, DOWN)
    assert chosen(health) == FIRST.id
    health.failed(FIRST, DOWN)
    assert chosen(health) == SECOND.id
    clock.now = 30
    assert chosen(health) == FIRST.id
    health.succeeded(FIRST)
    health.failed(FIRST, DOWN)
    assert chosen(health) == FIRST.id


def test_where_all_rest_nobody_is_chosen_unless_asked_for(health):
    for each in TWO.deployments:
        health.failed(each, UpstreamMisconfigured("key"))
    assert chosen(health) is None
    assert chosen(health, even_cooling=True) == FIRST.id
    assert health.ready_in_s(TWO) == 30


def test_a_rejected_request_is_not_the_deployments_failure(health):
    for _ in range(5):
        health.failed(FIRST, UpstreamRejected("no", status=400, body={}))
    assert chosen(health) == FIRST.id
