"""Reports of money as JSON and in words. Pure: one source for the command line and the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.pricing import NANOUSD_PER_USD, nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from storage.reports.judging import JudgedTier
    from storage.reports.reports import Line


def usd(nanousd: int) -> str:
    """An amount for people: six places, more only where they are all there is."""
    places = 6 if nanousd == 0 or abs(nanousd) >= NANOUSD_PER_USD // 10**6 else 9
    return f"{nanousd / NANOUSD_PER_USD:.{places}f}"


def line_json(line: Line) -> dict[str, Any]:
    """One line; money twice, as everywhere: `_usd` for people, `_nanousd` as the truth."""
    amounts = {
        "generate": line.of("generate"),
        "judge": line.of("judge"),
        "embed": line.of("embed"),
        "audit": line.of("audit"),
        "cost": line.cost_nanousd,
        "late_cost": line.late_nanousd,
        "spent": line.spent_nanousd,
        "always_top": line.top_nanousd,
        "saved": line.saved_nanousd,
        "always_second": line.second_nanousd,
        "saved_against_second": line.saved_second_nanousd,
    }
    counts = {"requests": line.requests, "failed": line.failed, "unpriced": line.unpriced}
    return {"name": line.name, **counts, **_money(amounts)}


def judged_json(tier: JudgedTier) -> dict[str, Any]:
    """How the judge did on one tier's answers."""
    amounts = {
        "judge": tier.judge_nanousd,
        "after_rejects": tier.after_nanousd,
        "after_agreed": tier.after_agreed_nanousd,
    }
    return {
        "tier": tier.tier,
        "accepted": tier.accepted,
        "rejected": tier.rejected,
        "failed": tier.failed,
        "later_agreed": tier.later_agreed,
        "known": tier.known,
        "false_accepts": tier.false_accepts,
        "false_rejects": tier.false_rejects,
        "error": tier.error,
        **_money(amounts),
    }


def judge_words(total: Line, judged: Sequence[JudgedTier]) -> Iterator[str]:
    """Whether the judge is worth its money, in a few sentences."""
    asked = sum(tier.accepted + tier.rejected + tier.failed for tier in judged)
    if not asked:
        yield "No answer was judged in this span."
        return
    spent = sum(tier.judge_nanousd for tier in judged)
    rejected = sum(tier.rejected for tier in judged)
    share = f", {spent / total.spent_nanousd:.0%} of what was spent" if total.spent_nanousd else ""
    yield f"The judge was asked {asked} times for {usd(spent)} USD{share}."
    worth = "worth its money" if total.saved_nanousd > 0 else "not worth its money"
    without = usd(total.saved_nanousd + spent)
    yield (
        f"Cheaper answers saved {without} USD against always asking the top tier; less judging, "
        f"{_net(total.saved_nanousd)}: on this span it was {worth}."
    )
    if total.saved_second_nanousd is not None:
        yield f"Against always asking the second-best tier, {_net(total.saved_second_nanousd)}."
    if rejected:
        yield from _rejections(judged, rejected, spent)
    yield _error(judged)


def _rejections(judged: Sequence[JudgedTier], rejected: int, spent: int) -> Iterator[str]:
    after, agreed = sum(tier.after_nanousd for tier in judged), sum(tier.later_agreed for tier in judged)
    wasted = sum(tier.after_agreed_nanousd for tier in judged)
    caught = rejected - agreed
    yield f"It rejected {rejected} answers, and the shifts up that this caused cost {usd(after)} USD."
    if agreed:
        yield f"{agreed} of them equalled the answer that was served in the end: {usd(wasted)} USD for nothing."
    if caught:
        yield f"Each of the {caught} wrong answers that it caught cost {usd(spent // caught)} USD of judging."


def _net(nanousd: int) -> str:
    return f"{usd(abs(nanousd))} USD {'are left' if nanousd >= 0 else 'are lost'}"


def _error(judged: Sequence[JudgedTier]) -> str:
    known = sum(tier.known for tier in judged)
    if not known:
        return "Nobody has said yet which of its verdicts were right: POST /v1/feedback tells."
    accepts, rejects = sum(tier.false_accepts for tier in judged), sum(tier.false_rejects for tier in judged)
    return (
        f"Against feedback and audits it erred on {accepts + rejects} of {known} verdicts "
        f"({(accepts + rejects) / known:.0%}): {accepts} false accepts, {rejects} false rejects."
    )


def _money(amounts: Mapping[str, int | None]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, nanousd in amounts.items():
        told[f"{name}_usd"] = None if nanousd is None else nanousd_to_usd(nanousd)
        told[f"{name}_nanousd"] = nanousd
    return told
