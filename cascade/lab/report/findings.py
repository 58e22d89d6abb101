"""What a reader must know before the numbers: gains, lock-in, weak signals, dear judges, what is missing.

The law of this file: pure; each finding is a function of a result, and says nothing that the rows do not show.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard

from cascade.lab.calibration import signals
from cascade.lab.lockin import lock_in
from cascade.lab.measures import difference
from cascade.lab.numbers import points, usd
from cascade.lab.report.verdicts import best_single, ends, verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade.lab.calibration import Signal
    from cascade.lab.lockin import LockIn
    from cascade.lab.report.results import Result
    from cascade.lab.report.verdicts import Verdict
    from cascade.lab.score import Row
    from router.domain import Run

#: Judges that cost more than this share of a policy's whole cost are worth a word.
_DEAR_JUDGES = 0.3
#: Two vectors as near as this are of one text.
_SAME = 0.999
#: A judge that accepts more than this share of wrong answers is called lenient.
_LENIENT = 0.3


@dataclass(frozen=True, slots=True)
class Finding:
    """`kind`: good, warn or note; plain text."""

    kind: str
    text: str


def findings(result: Result) -> list[Finding]:
    """All of them, the gist first."""
    return [
        *_gist(result),
        *_curve(result),
        *_traps(result),
        *_foreseen(result),
        *_locked(result),
        *_below_chance(result),
        *_weak(result),
        *_judges(result),
        *_missing(result),
        *(Finding("note", line) for line in result.left_out),
    ]


def _gist(result: Result) -> Iterator[Finding]:
    against = best_single(result)
    if against is None:
        return
    per_thousand = usd(against.cost_nanousd * 1000 / max(against.followed, 1))
    yield Finding(
        "note",
        f"The yardstick is the best single model, {against.policy.removeprefix('always:')}: "
        f"{points(against.accuracy)} % right at {per_thousand} USD per 1,000 queries.",
    )
    found = [told for row in result.routers if (told := verdict(result, row))]
    singles = [told for row in result.always if row is not against and _may_do(told := verdict(result, row))]
    for told in sorted((*found, *singles), key=lambda told: not told.good):
        yield Finding("good" if told.good else "note", _sentence(told))


def _sentence(told: Verdict) -> str:
    row = told.row
    gap = ""
    if told.gained is not None:
        low, high = 100 * told.gained.low, 100 * told.gained.high
        gap = f" ({100 * told.gained.mean:+.1f} points, 95 % interval {low:+.1f} to {high:+.1f})"
    return (
        f"{_named(row)}: {points(row.accuracy)} % right for {usd(row.cost_nanousd)} USD instead of "
        f"{usd(told.against.cost_nanousd)} USD; {told.words}{gap}."
    )


def _may_do(told: Verdict | None) -> TypeGuard[Verdict]:
    """A single model that is cheaper and not measurably worse: whoever routes should know that it is there."""
    return told is not None and told.gained is not None and told.gained.high >= 0 and (told.saved or 0.0) > 0


def _named(row: Row) -> str:
    """A policy by its name, a single model as what it is."""
    model = row.policy.removeprefix("always:")
    return row.policy if model == row.policy else f"{model} alone, without any routing"


def _curve(result: Result) -> Iterator[Finding]:
    """A policy over all budgets against random mixing: the paper's own measure."""
    curve = result.curve
    if curve is None:
        return
    gap = curve.area - curve.mixed_area
    words = "above" if gap >= 0 else "below"
    yield Finding(
        "note" if gap >= 0 else "warn",
        f"{curve.policy} over all budgets between the cheapest and the dearest model: {points(curve.area)} % right on "
        f"average (normalised area under the curve {curve.area:.3f}), {abs(100 * gap):.1f} points {words} random "
        f"mixing ({curve.mixed_area:.3f}).",
    )


def _traps(result: Result) -> Iterator[Finding]:
    """Rungs that are dearer and measurably weaker than a cheaper one: a ladder should not hold them."""
    for row in result.always:
        cheaper = [other for other in result.always if other.cost_nanousd < row.cost_nanousd]
        best = max(cheaper, key=lambda other: other.accuracy or 0.0, default=None)
        gap = None if best is None else difference(result.stream.recording, row, best)
        if best is None or gap is None or gap.high >= 0:
            continue
        dear, good = (each.policy.removeprefix("always:") for each in (row, best))
        yield Finding(
            "warn",
            f"{dear} costs more than {good} and is measurably weaker ({100 * gap.mean:+.1f} points): shifting up to "
            "it is money for worse answers.",
        )


def _foreseen(result: Result) -> Iterator[Finding]:
    """A skill profile that was made of the very questions it is scored on."""
    for row in result.routers:
        runs = [story.run for story in row.stories if story.run is not None]
        known = sum(_knows(run) for run in runs)
        if known:
            yield Finding(
                "warn",
                f"{row.policy} was profiled on {known:,} of these very questions, grades included: what it scores "
                "here is no forecast. Profile on one split and replay another.",
            )


def _knows(run: Run) -> bool:
    """Whether the profile holds this question: the same id, and the same text."""
    skills = run.evidence.skills
    return skills is not None and any(id_ == run.id and near > _SAME for id_, near in skills.nearest)


def _locked(result: Result) -> Iterator[Finding]:
    for row in result.routers:
        found = lock_in(row, result.stream.tiers)
        if found is not None:
            yield Finding("warn", _why_locked(found))


def _why_locked(found: LockIn) -> str:
    low, top = found.views[0], found.views[-1]
    theta = "the threshold" if found.threshold is None else f"the threshold of {found.threshold:.2f}"
    below = found.threshold is None or low.prior < found.threshold
    return (
        f"{found.policy} locks in at the top: {found.share:.0%} of the later half of the stream starts at "
        f"{found.tier}, so it costs what that model costs alone. Why: the prior accuracy of {low.tier}, "
        f"{low.prior:.2f}, is "
        f"{'below' if below else 'near'} {theta}, and a tier that is passed over never gets a label that "
        f"could lift it (late in the stream {low.labels:.1f} of {found.k} neighbours hold one for it, mean estimate "
        f"{low.estimate:.2f}), while unjudged answers of the top count as right ({top.labels:.1f} of {found.k} labels, "
        f"mean estimate {top.estimate:.2f}). What helps: a lower threshold, a measured prior, or `gearbox tune`."
    )


def _below_chance(result: Result) -> Iterator[Finding]:
    both = ends(result)
    for row in result.routers:
        told = verdict(result, row)
        if told is None or both is None or told.over_mixing is None:
            continue
        low, high = (end.policy.removeprefix("always:") for end in both)
        if told.over_mixing < 0:
            yield Finding(
                "warn",
                f"{row.policy} does not beat chance: sending a random share of the queries to {high} and the rest to "
                f"{low} would score {-100 * told.over_mixing:.1f} points more for the same money.",
            )
        elif told.over_best is not None and told.over_best < 0 and len(result.always) > len(both):
            yield Finding(
                "note",
                f"{row.policy} beats mixing {low} with {high} by lot, but not the best mix of two models: that would "
                f"score {-100 * told.over_best:.1f} points more for the same money.",
            )


def _weak(result: Result) -> Iterator[Finding]:
    seen: set[tuple[str, str]] = set()
    for row in result.routers:
        for signal in signals(result.stream.recording, row):
            place = (signal.kind, signal.model or signal.policy)
            if signal.weak and place not in seen:
                seen.add(place)
                yield Finding("warn", _why_weak(signal))


def _why_weak(signal: Signal) -> str:
    if signal.kind == "confidence":
        subject = f"The confidence of {signal.model} is a weak signal"
        means = "a policy that escalates on it can hardly do better than chance"
    else:
        subject = f"The estimate P(valid) of {signal.policy} is a weak signal"
        means = "it says more about the tier than about the question"
    return (
        f"{subject}: a right answer has the higher value than a wrong one in only {signal.auc or 0:.0%} of pairs (50 "
        f"% is a coin, 100 % is perfect), so {means}."
    )


def _judges(result: Result) -> Iterator[Finding]:
    for row in result.routers:
        if row.cost_nanousd and row.judge_nanousd / row.cost_nanousd > _DEAR_JUDGES:
            yield Finding("warn", _dear(row))
    kept = [row for row in result.routers if row.judge.wrong]
    if kept:
        most = max(kept, key=lambda row: row.judge.wrong)
        wrong = most.judge.wrong_accepted / most.judge.wrong
        right = f"{most.judge.right_accepted / most.judge.right:.0%}" if most.judge.right else "none"
        kind = "warn" if wrong > _LENIENT else "note"
        yield Finding(
            kind, f"The judges accepted {wrong:.0%} of the wrong answers they saw and {right} of the right ones."
        )


def _dear(row: Row) -> str:
    share = row.judge_nanousd / row.cost_nanousd
    spent = f"{usd(row.judge_nanousd)} of {usd(row.cost_nanousd)} USD"
    return f"{row.policy} spends {share:.0%} of its money on judges: {spent}."


def _missing(result: Result) -> Iterator[Finding]:
    for row in result.rows:
        if row.followed < row.queries:
            share = 1 - row.followed / row.queries
            yield Finding(
                "warn", f"{row.policy}: {share:.0%} of the queries cannot be evaluated, an answer was never recorded."
            )
    ungraded = [row for row in result.rows if row.graded < row.followed]
    if ungraded:
        row = min(ungraded, key=lambda row: row.graded / max(row.followed, 1))
        yield Finding(
            "warn", f"Not every answer is graded: {row.policy} has a grade for {row.graded} of {row.followed}."
        )
