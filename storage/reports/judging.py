"""Is the judge worth its money? What it cost, what it let through, what its rejections caused.

The law of this file: one statement that groups judged rungs, and the arithmetic on its few rows. Truth is feedback or
an audit, never another judge; "later agreed" is a rejected answer that equals the one that was served in the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, or_, select

from router.domain import LabelSource, Purpose, Verdict
from router.labels import RIGHT
from storage.schema import attempt, inference, label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import Select
    from sqlalchemy.sql.selectable import ScalarSelect

    from storage.reports.buckets import Span

_TRUTH = {LabelSource.FEEDBACK.value: 2, LabelSource.AUDIT.value: 1}


@dataclass(frozen=True, slots=True)
class JudgedTier:
    """How the judge did on one tier's answers; money in nano-dollars.

    `judge` is what judging them cost; `after` what was spent on the tiers above after its rejections. Of the accepted
    and the rejected ones whose truth is known, `false_accepts` were wrong and `false_rejects` right;
    `later_agreed` rejected answers equalled the one served in the end.
    """

    tier: str
    accepted: int = 0
    rejected: int = 0
    failed: int = 0
    judge_nanousd: int = 0
    after_nanousd: int = 0
    later_agreed: int = 0
    after_agreed_nanousd: int = 0
    known: int = 0
    false_accepts: int = 0
    false_rejects: int = 0

    @property
    def error(self) -> float | None:
        """The share of known truths that the judge got wrong; None = no truth is known."""
        return (self.false_accepts + self.false_rejects) / self.known if self.known else None


def judged(span: Span) -> Select[Any]:
    """Judged rungs, grouped by tier, what the judge said, whether it later agreed, and the truth where known."""
    rungs = _rungs(span).subquery()
    said = (rungs.c.tier, rungs.c.said, rungs.c.agreed, rungs.c.truth)
    return select(
        *said,
        func.count().label("count"),
        func.coalesce(func.sum(rungs.c.judge), 0).label("judge"),
        func.coalesce(func.sum(rungs.c.after), 0).label("after"),
    ).group_by(*said)


def tiers(rows: Iterable[Mapping[str, Any]]) -> list[JudgedTier]:
    """The groups -> one record per tier, by name."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        counts = found.setdefault(row["tier"], {})
        for name, number in _counted(row):
            counts[name] = counts.get(name, 0) + number
    return [JudgedTier(tier, **counts) for tier, counts in sorted(found.items())]


def _counted(row: Mapping[str, Any]) -> Iterable[tuple[str, int]]:
    count, said = int(row["count"]), row["said"]
    word = {Verdict.VALID.value: "accepted", Verdict.INVALID.value: "rejected"}.get(said, "failed")
    yield word, count
    yield "judge_nanousd", int(row["judge"])
    if word == "rejected":
        yield "after_nanousd", int(row["after"])
        if row["agreed"]:
            yield "later_agreed", count
            yield "after_agreed_nanousd", int(row["after"])
    if row["truth"] is not None and word != "failed":
        yield "known", count
        yield "false_accepts", count if word == "accepted" and not row["truth"] else 0
        yield "false_rejects", count if word == "rejected" and row["truth"] else 0


def _rungs(span: Span) -> Select[Any]:
    by_judge = or_(attempt.c.verdict_by.like("judge:%"), attempt.c.verdict_by.like("failed:%"))
    said = case((attempt.c.verdict_by.like("judge:%"), attempt.c.verdict), else_=Verdict.UNJUDGED.value)
    return (
        select(
            attempt.c.tier,
            said.label("said"),
            _agreed().label("agreed"),
            _truth().label("truth"),
            _judge_cost().label("judge"),
            _cost_after().label("after"),
        )
        .join(inference, inference.c.id == attempt.c.inference_id)
        .where(*span.where(), attempt.c.purpose == Purpose.GENERATE.value, by_judge)
    )


def _judge_cost() -> ScalarSelect[Any]:
    other = attempt.alias("judging")
    return (
        select(func.sum(other.c.cost_nanousd))
        .where(
            other.c.inference_id == attempt.c.inference_id,
            other.c.rung == attempt.c.rung,
            other.c.purpose == Purpose.JUDGE.value,
        )
        .scalar_subquery()
    )


def _cost_after() -> ScalarSelect[Any]:
    """What the rungs above cost, their judging included."""
    other = attempt.alias("above")
    return (
        select(func.sum(other.c.cost_nanousd))
        .where(other.c.inference_id == attempt.c.inference_id, other.c.rung > attempt.c.rung)
        .scalar_subquery()
    )


def _agreed() -> ScalarSelect[Any]:
    """1 where the final answer equals the served one, else 0; what decided it is the label that was learnt."""
    return (
        select(func.count())
        .where(
            label.c.inference_id == attempt.c.inference_id,
            label.c.tier == attempt.c.tier,
            label.c.model == attempt.c.model,
            label.c.source == LabelSource.AGREEMENT.value,
            label.c.correct >= RIGHT,
        )
        .scalar_subquery()
    )


def _truth() -> ScalarSelect[Any]:
    """1 right, 0 wrong, NULL unknown: the newest feedback, else the newest audit."""
    strength = case(_TRUTH, value=label.c.source, else_=0)
    return (
        select(case((label.c.correct >= RIGHT, 1), else_=0))
        .where(
            label.c.inference_id == attempt.c.inference_id,
            label.c.tier == attempt.c.tier,
            label.c.model == attempt.c.model,
            label.c.source.in_(_TRUTH),
        )
        .order_by(strength.desc(), label.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
