"""Sums out of SQL: the same on SQLite and PostgreSQL, and the same as the outcomes they came from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from outcomes import LARGE, NOW, accepted_large, build_outcome, failed_outcome, paid_call, rejected_small

from router.domain import Caller, Deliver, Label, LabelSource, Purpose, Verdict
from router.pricing import Usage, cost_nanousd
from storage.reports.buckets import By, Span
from storage.reports.exports import pages
from storage.reports.reports import Reports, Tier

START = datetime.fromtimestamp(NOW, UTC)
SPAN = Span(START - timedelta(days=1), START + timedelta(days=3))
JUDGE = Usage(180, 5)


def accepted_small():
    return replace(rejected_small(), verdict=Verdict.VALID, calls=(paid_call("small"),))


OUTCOMES = (
    build_outcome("r-1"),
    build_outcome("r-2", team="red", key_id="key-2", at=NOW + 86_400),
    build_outcome("r-3", attempts=(accepted_small(),), late_cost_nanousd=70),
    failed_outcome("r-4"),
)


@pytest.fixture
async def reports(sql_history):
    for outcome in OUTCOMES:
        await sql_history.record(outcome)
    return Reports(sql_history.engine, Tier("large", LARGE))


def spent(*places):
    return sum(OUTCOMES[place].cost_nanousd + OUTCOMES[place].late_cost_nanousd for place in places)


GROUPS = {
    By.ALL: {"": (0, 1, 2, 3)},
    By.DAY: {f"{START:%Y-%m-%d}": (0, 2, 3), f"{START + timedelta(days=1):%Y-%m-%d}": (1,)},
    By.HOUR: {f"{START:%Y-%m-%dT%H}:00Z": (0, 2, 3), f"{START + timedelta(days=1):%Y-%m-%dT%H}:00Z": (1,)},
    By.KEY: {"key-1": (0, 2, 3), "key-2": (1,)},
    By.TEAM: {"blue": (0, 2, 3), "red": (1,)},
    By.TAG: {"app=search": (0, 1, 2, 3)},
    By.TIER: {"": (3,), "large": (0, 1), "small": (2,)},
    By.POLICY: {"llm-at": (0, 1, 2, 3)},
}


@pytest.mark.parametrize("by", GROUPS, ids=lambda by: by.value)
async def test_each_line_sums_up_its_requests(reports, by):
    lines = {line.name: line for line in await reports.spending(SPAN, by)}
    assert {name: line.requests for name, line in lines.items()} == {k: len(v) for k, v in GROUPS[by].items()}
    assert {name: line.spent_nanousd for name, line in lines.items()} == {k: spent(*v) for k, v in GROUPS[by].items()}


async def test_every_purpose_has_its_share_and_they_add_up(reports):
    (line,) = await reports.spending(SPAN, By.ALL)
    judging = 3 * cost_nanousd(JUDGE, LARGE)
    assert line.of("judge") == judging
    assert line.of("generate") + judging == line.cost_nanousd
    assert (line.failed, line.late_nanousd, line.unpriced) == (1, 70, 0)


async def test_the_second_best_tier_is_priced_as_it_answered_or_by_its_list(reports):
    (line,) = await reports.spending(SPAN, By.ALL)
    answered = 2 * cost_nanousd(Usage(120, 30, cached_tokens=20), LARGE)
    listed = cost_nanousd(Usage(120, 30, cached_tokens=20), LARGE)
    assert line.second_nanousd == answered + listed
    assert line.saved_second_nanousd == line.second_nanousd - line.spent_nanousd


async def test_saved_counts_judging_late_and_failed_calls(reports):
    (line,) = await reports.spending(SPAN, By.ALL)
    assert line.saved_nanousd == 12_000_000 - spent(0, 1, 2, 3)


async def test_a_span_is_one_team_or_key_and_half_open(reports):
    red = replace(SPAN, team="red")
    assert [line.requests for line in await reports.spending(red, By.ALL)] == [1]
    assert [line.requests for line in await reports.spending(replace(SPAN, key="key-2"), By.ALL)] == [1]
    assert await reports.spending(Span(START - timedelta(days=1), START), By.ALL) == []
    assert await reports.spending(replace(SPAN, team="nobody'; DROP TABLE inference"), By.DAY) == []


async def test_a_request_without_tags_stands_under_no_name(reports, sql_history):
    bare = build_outcome("r-9", at=NOW)
    request = replace(bare.request, wishes=replace(bare.request.wishes, tags={}))
    await sql_history.record(replace(bare, request=request))
    lines = {line.name: line.requests for line in await reports.spending(SPAN, By.TAG)}
    assert lines == {"": 1, "app=search": 4}


async def test_the_judges_money_and_what_its_rejections_caused(reports):
    (small,) = await reports.judged(SPAN)
    assert (small.tier, small.accepted, small.rejected, small.failed) == ("small", 1, 2, 0)
    assert small.judge_nanousd == 3 * cost_nanousd(JUDGE, LARGE)
    assert small.after_nanousd == 2 * accepted_large().cost_nanousd
    assert (small.later_agreed, small.known, small.error) == (0, 0, None)


async def test_a_rejection_that_later_agreed_is_money_for_nothing(sql_history):
    agreed = (Label("small", "gpt-5-nano", 1.0, LabelSource.AGREEMENT),)
    await sql_history.record(build_outcome("r-1", labels=agreed))
    (small,) = await Reports(sql_history.engine).judged(SPAN)
    assert small.later_agreed == 1
    assert small.after_agreed_nanousd == small.after_nanousd == accepted_large().cost_nanousd


@pytest.mark.parametrize(("said", "wrong"), [((0.0,), 1), ((1.0,), 0), ((0.0, 1.0), 0)], ids=["no", "yes", "newest"])
async def test_the_judges_error_is_counted_against_feedback(sql_history, said, wrong):
    await sql_history.record(build_outcome("r-1", attempts=(accepted_small(),)))
    for correct in said:
        await sql_history.feedback("r-1", Caller(team="blue"), correct, "ann", "")
    (small,) = await Reports(sql_history.engine).judged(SPAN)
    assert (small.known, small.false_accepts, small.false_rejects) == (1, wrong, 0)


async def test_a_judge_that_failed_is_no_verdict(sql_history):
    failed = replace(
        rejected_small(),
        verdict=Verdict.UNJUDGED,
        verdict_by="failed:large",
        judge_calls=(paid_call("large", Purpose.JUDGE, error="500"),),
    )
    await sql_history.record(build_outcome("r-1", attempts=(failed,), delivered=Deliver(0, "fails open")))
    (small,) = await Reports(sql_history.engine).judged(SPAN)
    assert (small.accepted, small.rejected, small.failed) == (0, 0, 1)


async def test_pages_hold_every_request_once_and_no_text(reports):
    seen = []
    async for rows, calls in pages(reports.engine, SPAN, page=3):
        assert len(rows) <= 3
        for row in rows:
            seen.append(row["id"])
            assert {"question", "answer", "error", "why", "embedding"} & {
                *row,
                *(k for c in calls[row["id"]] for k in c),
            } == set()
            assert [call["position"] for call in calls[row["id"]]] == list(range(len(calls[row["id"]])))
    assert sorted(seen) == ["r-1", "r-2", "r-3", "r-4"]
