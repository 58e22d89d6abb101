"""A stored decision in words that a manager understands. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from router.domain import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_BECAME = {
    Verdict.VALID: "was accepted",
    Verdict.INVALID: "was rejected",
    Verdict.ABSTAINED: "abstained",
    Verdict.UNJUDGED: "was not judged",
    Verdict.ERROR: "failed",
}


def paragraph(story: Mapping[str, Any]) -> str:
    """The whole decision in a few sentences."""
    return " ".join(_sentences(story))


def _sentences(story: Mapping[str, Any]) -> Iterator[str]:
    yield f"Request {story['id']} asked for {story['asked_model']!r} and was routed by {story['policy']}."
    evidence = story["evidence"]
    if evidence["neighbours"]:
        near, known = evidence["neighbours"], evidence["history_size"]
        nearest = near[0]["similarity"]
        yield f"The {len(near)} nearest of {known} past questions were looked at; the best similarity is {nearest:.2f}."
    if evidence["note"]:
        yield f"Evidence: {evidence['note']}."
    talk = evidence.get("conversation")
    if talk:
        cache = "warm" if talk["warm"] else "cold"
        ago = f"{talk['age_s']:.0f} s before"
        yield f"{talk['tier']} answered the conversation's last turn {ago}; its prompt cache is {cache}."
    if evidence.get("estimates"):
        told = ", ".join(f"{tier} {p:.2f}" for tier, p in evidence["estimates"].items())
        yield f"The chance of a valid answer was estimated as {told}."
    for attempt in story["attempts"]:
        yield _attempt(attempt)
    yield f"In the end: {story['why']}."
    if evidence.get("late"):
        yield _late(evidence["late"])
    yield _money(story)
    if story["nearby"]:
        yield _neighbours_of(story["nearby"])


def _attempt(attempt: Mapping[str, Any]) -> str:
    became = _BECAME.get(attempt["verdict"], attempt["verdict"])
    by = f" by {attempt['verdict_by'].replace(':', ' ')}" if attempt["verdict_by"] else ""
    reason = f" ({attempt['reason']})" if attempt["reason"] else ""
    return f"{attempt['tier']} was asked because {attempt['why']}; its answer {became}{by}{reason}."


def _late(late: Mapping[str, Any]) -> str:
    """What was found out after the answer had been served."""
    by = f" by {late['by'].replace(':', ' ')}" if late["by"] else ""
    reason = f" ({late['reason']})" if late["reason"] else ""
    became = _BECAME.get(late["verdict"], late["verdict"])
    return f"Afterwards, for learning only, {late['tier']}'s answer {became}{by}{reason}."


def _neighbours_of(nearby: Sequence[Mapping[str, Any]]) -> str:
    """What the neighbouring settings would have done; those that would have changed nothing together."""
    same = [f"{each['setting']} {each['value']:g}" for each in nearby if not each["changes"]]
    told = [f"With {each['setting']} {each['value']:g} {_instead(each)}." for each in nearby if each["changes"]]
    if same:
        told.append(f"With {' or '.join(same)} it would have gone the same way.")
    return " ".join(told)


def _instead(each: Mapping[str, Any]) -> str:
    start, tier, cost = each["start_tier"], each["tier"], each["cost_usd"]
    if start is None:
        return "nobody would have been asked"
    price = "at an unknown price" if cost is None else f"for {'' if each['exact'] else 'about '}{cost:.9f} USD"
    if not each["exact"]:
        asked = "" if start == tier else f" and {tier} been asked after it"
        return f"{start} would have started{asked} {price}, and nobody knows what would have come of it"
    ended = "nobody would have answered" if tier is None else f"{tier} would have answered"
    return f"{ended} {price}" if start == tier else f"{start} would have started and {ended} {price}"


def _money(story: Mapping[str, Any]) -> str:
    cost, saved = story["cost_usd"], story["saved_usd"]
    if cost is None:
        return "Its cost is unknown: a model without a price took part."
    told = f"It cost {cost:.9f} USD"
    if saved is None:
        return f"{told}."
    against = f"{abs(saved):.9f} USD {'less' if saved >= 0 else 'more'} than always asking the top tier"
    return f"{told}, {against}."
