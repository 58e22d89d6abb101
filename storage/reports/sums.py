"""The statements behind `reports`: sums over `inference` and `attempt`, grouped.

The law of this file: it builds statements and runs none. Sums are cast to BIGINT-safe integers by whoever reads them:
PostgreSQL sums BIGINT as NUMERIC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, exists, func

from router.domain import CostSource, Purpose, Verdict
from storage.reports.buckets import grouped
from storage.schema import attempt, inference

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select

    from storage.reports.buckets import By, Span

#: In the order of `router.pricing.Usage`.
TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens", "reasoning_tokens")
_ANSWERED = (
    attempt.c.purpose == Purpose.GENERATE.value,
    attempt.c.verdict != Verdict.ERROR.value,
)


def money(span: Span, by: By, dialect: str) -> Select[Any]:
    """Requests and money of each group."""
    statement, bucket = grouped(
        by,
        dialect,
        func.count().label("requests"),
        _count(inference.c.served_tier.is_(None)).label("failed"),
        _count(inference.c.cost_nanousd.is_(None)).label("unpriced"),
        _sum(inference.c.cost_nanousd).label("cost"),
        _sum(inference.c.late_cost_nanousd).label("late"),
        _sum(inference.c.baseline_nanousd).label("top"),
    )
    return statement.where(*span.where()).group_by(bucket.expression)


def purposes(span: Span, by: By, dialect: str) -> Select[Any]:
    """What each group's calls cost, by what they were for."""
    statement, bucket = grouped(by, dialect, attempt.c.purpose, _sum(attempt.c.cost_nanousd).label("nanousd"))
    return _calls(statement).where(*span.where()).group_by(bucket.expression, attempt.c.purpose)


def answered(span: Span, by: By, dialect: str, tier: str) -> Select[Any]:
    """What this tier's real answers cost."""
    statement, bucket = grouped(by, dialect, _sum(attempt.c.cost_nanousd).label("nanousd"))
    wanted = (*_ANSWERED, attempt.c.tier == tier)
    return _calls(statement).where(*span.where(), *wanted).group_by(bucket.expression)


def served_tokens(span: Span, by: By, dialect: str, but: str) -> Select[Any]:
    """The tokens of served answers, where the tier `but` has not answered itself."""
    counted = [_sum(attempt.c[kind]).label(kind) for kind in TOKENS]
    statement, bucket = grouped(by, dialect, *counted)
    other = attempt.alias("other")
    asked = exists().where(
        other.c.inference_id == inference.c.id,
        other.c.tier == but,
        other.c.purpose == Purpose.GENERATE.value,
        other.c.verdict != Verdict.ERROR.value,
    )
    wanted = (*_ANSWERED, attempt.c.tier == inference.c.served_tier, attempt.c.cost_source != CostSource.NONE.value)
    return _calls(statement).where(*span.where(), *wanted, ~asked).group_by(bucket.expression)


def _calls(statement: Select[Any]) -> Select[Any]:
    return statement.join(attempt, and_(attempt.c.inference_id == inference.c.id))


def _sum(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(column), 0)


def _count(condition: ColumnElement[bool]) -> ColumnElement[Any]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
