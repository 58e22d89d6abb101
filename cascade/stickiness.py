"""Whether a conversation stays on its tier: the rule that every policy's start shares.

The law of this file: pure; one rule a line, the first that fits decides:

    nothing known of the conversation, or its tier may not answer this request ... the policy's own choice
    its last answer was found to be wrong ........................................ the policy's own choice
    the request brings results of tools that its tier called ..................... stay
    the policy wants the same tier ............................................... stay
    the policy's choice rests on no evidence (cold start, nobody reaches) ........ stay, the higher tier of the two
    the policy wants a higher tier: its cache is cold, or the estimate for the
        conversation's tier misses the threshold by more than the margin ......... leave, else stay
    the policy wants a lower tier: leaving saves money in spite of the cache ..... leave, else stay

Leaving a warm prompt cache has a price: there the conversation so far is read at the cached rate, elsewhere at the
plain one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.pricing import Usage, cost_nanousd, usd_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain import Conversation, Run, Tier
    from router.pricing import Price

#: How far the estimate for a conversation's tier may fall below the threshold while its cache is warm.
MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Start:
    """The tier that a policy would ask first, and why.

    `by_evidence`: it rests on what is known of similar questions, not on a default for want of knowledge.
    """

    tier: Tier
    why: str
    by_evidence: bool = True


def stickiness(run: Run, wanted: Start, estimates: Mapping[str, float], threshold: float) -> Start:
    """The start, the conversation considered; its `why` tells what it weighed.

    Args:
        run: before its first step.
        wanted: the policy's own choice.
        estimates: P(valid) of each rung, as far as the policy has one.
        threshold: the P(valid) that the policy wants.
    """
    talk = run.evidence.conversation
    home = None if talk is None else next((tier for tier in run.ladder if tier.name == talk.tier), None)
    if talk is None or home is None:
        return wanted
    if talk.rejected:
        return Start(wanted.tier, f"{wanted.why}; the conversation's last answer, {home.name}'s, was found to be wrong")
    if talk.tool_result:
        return Start(home, f"{home.name} called the tools whose results this turn brings")
    if wanted.tier.name == home.name:
        return Start(home, f"{wanted.why}; the conversation is there already")
    if run.position(wanted.tier.name) > run.position(home.name):
        return _upwards(talk, home, wanted, estimates.get(home.name), threshold)
    return _downwards(talk, home, wanted)


def _upwards(talk: Conversation, home: Tier, wanted: Start, estimate: float | None, threshold: float) -> Start:
    if not wanted.by_evidence:
        return wanted
    if talk.warm and estimate is not None and estimate >= threshold - MARGIN:
        near = f"P(valid) {estimate:.2f} is near enough to {threshold:.2f}"
        return _stay(talk, home, f"{near} to keep its prompt cache", wanted)
    return Start(wanted.tier, f"{wanted.why}; it leaves {home.name}{_price_words(talk, home, wanted.tier)}")


def _downwards(talk: Conversation, home: Tier, wanted: Start) -> Start:
    if not wanted.by_evidence:
        return _stay(talk, home, "nothing is known that speaks for a lower tier", wanted)
    staying, leaving = _turn_nanousd(talk, home, talk.warm), _turn_nanousd(talk, wanted.tier, warm=False)
    if staying is None or leaving is None or leaving >= staying:
        return _stay(talk, home, f"{wanted.tier.name} would save nothing", wanted)
    return Start(wanted.tier, f"{wanted.why}; it leaves {home.name}{_price_words(talk, home, wanted.tier)}")


def _stay(talk: Conversation, home: Tier, because: str, wanted: Start) -> Start:
    why = f"the conversation stays on {home.name}, which answered its last turn {talk.age_s:.0f} s ago: {because}"
    return Start(home, f"{why}{_price_words(talk, home, wanted.tier)}")


def _price_words(talk: Conversation, home: Tier, other: Tier) -> str:
    """What the next turn's prompt costs here and there, in words; "" where there is no cache or no price."""
    here, there = _reading_nanousd(talk, home, talk.warm), _reading_nanousd(talk, other, warm=False)
    if not talk.warm or not talk.tokens or here is None or there is None:
        return ""
    return (
        f" (its warm cache reads the {talk.tokens} tokens so far for {usd_text(here)} USD, "
        f"{other.name} for {usd_text(there)} USD)"
    )


def _reading_nanousd(talk: Conversation, tier: Tier, warm: bool) -> int | None:
    """The conversation so far as a prompt."""
    price = _price(tier)
    return None if price is None else cost_nanousd(Usage(talk.tokens, 0, talk.tokens if warm else 0), price)


def _turn_nanousd(talk: Conversation, tier: Tier, warm: bool) -> int | None:
    """The same and an answer as long as the last one."""
    price = _price(tier)
    if price is None:
        return None
    return cost_nanousd(Usage(talk.tokens, talk.answer_tokens, talk.tokens if warm else 0), price)


def _price(tier: Tier) -> Price | None:
    return tier.deployments[0].price
