"""The policies that others are compared with, each usable live: random mixing, bottom-up, agreement. Pure.

`always:<tier>` has its own file; the oracle needs labels and lives in the lab.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from cascade.policies.policy import cascade_on, deliver_best, deliver_last, failed_words, is_final, step_up
from router.answers import agrees
from router.domain import Ask, Deliver, Judging, Stop, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cascade.policies.policy import Policy
    from router.domain import Attempt, Decision, Run, Tier

RANDOM = "random:"
NAMES = ("bottom-up", "agreement")


class _Blind:
    """What looks at nothing before it asks: no neighbours, no estimates, and no settings unless it names some."""

    neighbours = 0

    @property
    def settings(self) -> Mapping[str, Any]:
        """None."""
        return {}

    def estimates(self, run: Run) -> Mapping[str, float]:  # noqa: ARG002 - it looks at nothing
        """None."""
        return {}


class BottomUp(_Blind):
    """`bottom-up`: start at the lowest rung and have every rung judged; no history is looked at."""

    name = "bottom-up"

    def decide(self, run: Run) -> Decision:
        """Ask the lowest rung, then judge and shift up."""
        if run.attempts:
            return cascade_on(run, {})
        return _first(run, list(run.ladder), "the lowest tier always starts")


class Agreement(_Blind):
    """`agreement`: ask the two cheapest rungs, then one rung up at a time until two final answers agree; no judge."""

    name = "agreement"

    def decide(self, run: Run) -> Decision:
        """Ask rung after rung; the first answer that agrees with an earlier one is served, else the highest."""
        if not run.attempts:
            return _first(run, list(run.ladder), "the two lowest tiers are compared")
        if run.stop is not None:
            return deliver_best(run, f"no new call is started ({run.stop})", run.stop)
        if run.attempts[-1].verdict is not Verdict.UNJUDGED:
            return step_up(run, failed_words(run.attempts[-1]))
        return _compare(run)


class RandomMix(_Blind):
    """`random:<share>`: that share of the requests goes to the top, the others to the lowest rung.

    What came is served, an abstention too, as with `always:<tier>`: so its results lie on the line between always the
    lowest and always the top. The dice are a hash of the request's id: the same stream is always mixed the same way.
    """

    def __init__(self, share: float) -> None:
        if not 0 <= share <= 1:
            raise ValueError(f"random:<share> takes a share from 0 to 1, not {share}")
        self._share = share

    @property
    def name(self) -> str:
        """`random:<share>`."""
        return f"{RANDOM}{self._share:g}"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The share of requests that go to the top, 0..1."""
        return {"share": self._share}

    def decide(self, run: Run) -> Decision:
        """Ask the one or the other; only where that fails, whichever still can be asked."""
        if not run.attempts:
            top = dice(run.id) < self._share
            order = list(reversed(run.ladder)) if top else list(run.ladder)
            return _first(run, order, f"chance chose the {'highest' if top else 'lowest'} tier")
        last = run.attempts[-1]
        if last.verdict is not Verdict.ERROR:
            return deliver_last(run, f"chance chose {last.tier}, and nobody looks at its answer")
        if run.stop is not None:
            return deliver_best(run, f"no new call is started ({run.stop})", run.stop)
        return step_up(run, failed_words(last))


def baseline(name: str) -> Policy | None:
    """The baseline of that name; None where it is none.

    Raises:
        ValueError: `random:` with something that is no share.
    """
    if name.startswith(RANDOM):
        return RandomMix(_share(name.removeprefix(RANDOM)))
    makers: Mapping[str, Callable[[], Policy]] = {"bottom-up": BottomUp, "agreement": Agreement}
    return makers[name]() if name in makers else None


def dice(request_id: str, purpose: str = "random") -> float:
    """A number in [0, 1) that depends on nothing but the id and what it is thrown for."""
    digest = hashlib.sha256(f"{purpose}\n{request_id}".encode()).digest()
    return float(int.from_bytes(digest[:8], "big") / 2**64)


def _share(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"random:<share> takes a share from 0 to 1, not {text!r}") from None


def _compare(run: Run) -> Decision:
    """Serve the fresh answer if an earlier one agrees, or nobody is left to ask; else ask the next rung."""
    last = run.attempts[-1]
    if run.judging is not Judging.BEFORE:
        return deliver_last(run, f"{last.tier}'s answer is served as it is: only one is wanted")
    same = [attempt.tier for attempt in run.attempts[:-1] if _agree(attempt, last)]
    if same:
        return deliver_last(run, f"{last.tier} and {same[0]} agree")
    if last.tier == run.ladder[-1].name:
        return deliver_last(run, f"no two tiers agree: {last.tier}, the highest, has the last word")
    return step_up(run, f"{last.tier} agrees with no tier below it")


def _agree(one: Attempt, other: Attempt) -> bool:
    """Two answers that nobody rejected say the same."""
    if one.answer is None or other.answer is None or one.verdict is not Verdict.UNJUDGED:
        return False
    return agrees(one.answer.final, other.answer.final)


def _first(run: Run, order: list[Tier], why: str) -> Decision:
    """Ask the first of these tiers that the cap pays for."""
    if run.stop is not None:
        return Deliver(None, f"no call was started ({run.stop})", run.stop)
    tier = next((tier for tier in order if run.budget.pays_ask(tier.name)), None)
    if tier is None:
        return Deliver(None, "the cap pays for no tier", Stop.BUDGET)
    return Ask(tier.name, why, final=is_final(run, tier))
