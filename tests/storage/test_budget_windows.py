"""The calendar of budgets, row by row."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from router.budgets import BudgetTerms, Period, Scope, window


def at(text):
    return datetime.fromisoformat(text + "+00:00")


@pytest.mark.parametrize(
    ("period", "now", "start", "end"),
    [
        (Period.DAY, "2026-03-01T12:00", "2026-03-01T00:00", "2026-03-02T00:00"),
        (Period.DAY, "2026-03-01T00:00", "2026-03-01T00:00", "2026-03-02T00:00"),
        (Period.WEEK, "2026-03-01T23:59", "2026-02-23T00:00", "2026-03-02T00:00"),
        (Period.WEEK, "2026-03-02T00:00", "2026-03-02T00:00", "2026-03-09T00:00"),
        (Period.MONTH, "2028-02-29T10:00", "2028-02-01T00:00", "2028-03-01T00:00"),
        (Period.MONTH, "2026-12-31T23:59", "2026-12-01T00:00", "2027-01-01T00:00"),
    ],
)
def test_a_window_is_the_calendars_in_utc(period, now, start, end):
    assert window(period, at(now)) == (at(start), at(end))


def test_a_window_does_not_depend_on_the_zone_that_the_time_is_written_in():
    berlin = datetime(2026, 3, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert window(Period.DAY, berlin) == (at("2026-02-28T00:00"), at("2026-03-01T00:00"))


def test_a_total_never_ends():
    assert window(Period.TOTAL, at("2026-03-01T12:00"))[1] is None


def test_a_budget_is_named_in_words():
    assert BudgetTerms(Scope.TEAM, "blue", Period.MONTH, 1).words == "the monthly budget of team blue"
    assert BudgetTerms(Scope.GLOBAL, "", Period.DAY, 1).words == "the daily global budget"
