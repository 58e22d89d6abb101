"""What a policy is: it reads a run and answers with the next step; it never acts.

The law of this file: pure functions and protocols. A policy knows no clock, no network and no store; whatever needs
those becomes evidence before the first decision. The helpers below are the few moves that every policy shares, so
that "the next rung up" and "the best so far" mean the same everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from router.domain import Ask, Deliver, Judge, Judging, Stop, Verdict
from router.errors import Retry, UpstreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from router.domain import Attempt, Decision, Run, Tier
    from router.errors import GearboxError


class Policy(Protocol):
    """Decides every step of a request.

    Each policy keeps three promises (tests/cascade/test_every_policy.py): it ends within two steps a tier, whatever
    the verdicts; it never asks what the budget cannot pay; a rejected answer is delivered only as the last resort.
    """

    @property
    def name(self) -> str:
        """The name it is registered and reported under."""

    @property
    def neighbours(self) -> int:
        """How many similar past questions it wants to see as evidence; 0 = none, and nothing is embedded for it."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every number it decides by, as it is stored with each outcome."""

    def estimates(self, run: Run) -> Mapping[str, float]:
        """P(valid) of each rung before anyone is asked; empty where the policy estimates nothing."""

    def decide(self, run: Run) -> Decision:
        """The next step; each carries its reason in words."""


@runtime_checkable
class WantsMargins(Protocol):
    """A policy that wants `evidence.margins`."""

    @property
    def horizon(self) -> int | None:
        """Over how many requests its pot runs; None = it has no pot."""

    @property
    def wants_curve(self) -> bool:
        """Whether it wants P(wrong) by margin too."""

    @property
    def curves(self) -> str | None:
        """The path of curves fitted elsewhere; None = only what is learnt here counts."""


@runtime_checkable
class WantsSkills(Protocol):
    """A policy that wants `evidence.skills`."""

    @property
    def profile(self) -> str | None:
        """The skill profile's path; None = it has none and does without."""

    @property
    def profiled_neighbours(self) -> int:
        """From how many profiled questions the needed skills are taken."""


@dataclass(frozen=True, slots=True)
class Turned:
    """A policy with one of its settings a step away from the configured one."""

    setting: str
    value: float
    policy: Policy


@runtime_checkable
class Turnable(Protocol):
    """A policy with settings that an operator would turn a little."""

    @property
    def nearby(self) -> Sequence[Turned]:
        """Itself with each of them one step lower and one step higher; none beyond their ranges."""


def turned(policy: Callable[[Any], Policy], settings: Any, steps: Mapping[str, float]) -> list[Turned]:
    """`Turnable.nearby` of a policy whose settings are a dataclass that checks itself.

    Args:
        policy: makes the policy of its settings.
        settings: the configured ones.
        steps: setting -> how far one step is.
    """
    found = []
    for name, step in steps.items():
        for value in (round(getattr(settings, name) + sign * step, 9) for sign in (-1, 1)):
            try:
                found.append(Turned(name, value, policy(replace(settings, **{name: value}))))
            except ValueError:  # beyond the setting's range
                continue
    return found


def check_shares(settings: Any, *names: str) -> None:
    """Raise ValueError where one of these settings is no number from 0 to 1."""
    for name in names:
        if not 0 <= getattr(settings, name) <= 1:
            raise ValueError(f"{name} is a number from 0 to 1, not {getattr(settings, name)}")


#: How good an answer is to serve when the policy cannot go on, best first.
_WORTH = (Verdict.VALID, Verdict.UNJUDGED, Verdict.INVALID, Verdict.ABSTAINED)


def asked(run: Run) -> frozenset[str]:
    """The tiers that were asked already."""
    return frozenset(attempt.tier for attempt in run.attempts)


def next_up(run: Run) -> Tier | None:
    """The lowest unasked rung above every rung asked so far that the budget still pays."""
    highest = max((run.position(attempt.tier) for attempt in run.attempts), default=-1)
    return next((tier for tier in run.ladder[highest + 1 :] if run.budget.pays_ask(tier.name)), None)


def next_down(run: Run) -> Tier | None:
    """The highest unasked rung that the budget pays: where to turn when everything above is down."""
    tried = asked(run)
    return next(
        (tier for tier in reversed(run.ladder) if tier.name not in tried and run.budget.pays_ask(tier.name)), None
    )


def all_failed(run: Run) -> bool:
    """Whether no tier asked so far gave any answer."""
    return all(attempt.verdict is Verdict.ERROR for attempt in run.attempts)


def best_so_far(run: Run) -> int | None:
    """The attempt to serve as the last resort: a valid one, else unjudged, else rejected; the higher tier on a tie."""
    places = [place for place, attempt in enumerate(run.attempts) if attempt.answer is not None]
    if not places:
        return None
    return min(
        places, key=lambda place: (_WORTH.index(run.attempts[place].verdict), -run.position(run.attempts[place].tier))
    )


def deliver_best(run: Run, why: str, stopped: Stop | None) -> Deliver:
    """Serve the best so far, or nothing but errors."""
    place = best_so_far(run)
    if place is None:
        return Deliver(None, why, stopped)
    attempt = run.attempts[place]
    return Deliver(place, f"{why}; {attempt.tier}'s answer ({attempt.verdict}) is the best so far", stopped)


def deliver_last(run: Run, why: str) -> Deliver:
    """Serve the last attempt's answer."""
    return deliver_at(run, len(run.attempts) - 1, why)


def deliver_at(run: Run, place: int, why: str) -> Deliver:
    """Serve the answer at this place; where the cap cut it, that is what stopped it."""
    return Deliver(place, why, Stop.BUDGET if run.attempts[place].cut_by_cap else None)


def deliver_accepted(run: Run, place: int) -> Deliver:
    """Serve the answer at this place, which somebody accepted."""
    accepted = run.attempts[place]
    return deliver_at(run, place, f"{accepted.verdict_by.partition(':')[2]} accepted {accepted.tier}'s answer")


def step_up(run: Run, why: str, estimates: Mapping[str, float] | None = None) -> Ask | Deliver:
    """Shift up; where nothing above can be asked, turn down if all failed, else serve the best so far."""
    tier = next_up(run) or (next_down(run) if all_failed(run) else None)
    if tier is not None:
        return Ask(tier.name, why, (estimates or {}).get(tier.name), final=is_final(run, tier))
    return deliver_best(run, f"{why}, and no other tier can be asked", why_stuck(run))


def why_stuck(run: Run) -> Stop | None:
    """Whether the cap or failing upstreams keep the policy from going on; None where the ladder simply ends."""
    places = [run.position(attempt.tier) for attempt in run.attempts]
    highest = max(places, default=-1)
    if run.ladder[highest + 1 :] or run.attempts[-1].cut_by_cap:
        return Stop.BUDGET
    # The last rung was asked: it answered, or nobody above the best answer is up.
    down = any(
        attempt.verdict is Verdict.ERROR and place == highest
        for attempt, place in zip(run.attempts, places, strict=True)
    )
    return Stop.UPSTREAM if down else None


def is_final(run: Run, tier: Tier) -> bool:
    """Whether an answer of this rung is served whatever it is: no judge and no check could still shift up.

    True for the last rung of this request's ladder, and for every rung where nobody judges before serving.
    """
    return run.judging is not Judging.BEFORE or run.ladder[-1].name == tier.name


def judge_or_deliver(run: Run, estimates: Mapping[str, float]) -> Decision:
    """What to do with a fresh answer that nobody judged yet: the same in every policy that judges rung by rung."""
    last = run.attempts[-1]
    why = why_unjudged(run, last)
    if why is not None:
        return deliver_last(run, why)
    if last.judge_failed:
        return step_up(run, f"the judge of {last.tier}'s answer failed ({last.reason})", estimates)
    if next_up(run) is None:
        return deliver_best(run, "a judge could change nothing: no tier above can be asked", why_stuck(run))
    if not run.budget.pays_judge():
        return deliver_best(run, "the cap does not pay for a judge", Stop.BUDGET)
    judge = run.tier(last.tier).judge
    return Judge(judge, f"{judge} judges {last.tier}'s answer")


def why_unjudged(run: Run, last: Attempt) -> str | None:
    """Why an answer is served without a verdict; None where one is wanted."""
    if run.judging is Judging.AFTER:
        return f"{last.tier}'s answer is served as it comes; what is judged afterwards is for learning only"
    if run.judging is Judging.NEVER:
        return f"{last.tier}'s answer is served as it is: judging is off for this request"
    if last.tier == run.top:
        return f"{last.tier} is the top tier, whose answers are not judged"
    if last.tier == run.ladder[-1].name:
        return f"{last.tier} is the highest tier this request may use: a judge could change nothing"
    if last.judge_failed and run.judge_fails_open:
        return f"the judge failed ({last.reason}): {last.tier}'s answer is served unjudged"
    return None


def cascade_on(run: Run, estimates: Mapping[str, float]) -> Decision:
    """The step after an attempt in a judged cascade: valid -> serve, unjudged -> judge, everything else -> shift up."""
    last = run.attempts[-1]
    if ended := stopped_or_accepted(run):
        return ended
    if last.verdict is Verdict.UNJUDGED:
        return judge_or_deliver(run, estimates)
    return refused(run) or step_up(run, failed_words(last), estimates)


def stopped_or_accepted(run: Run) -> Deliver | None:
    """What ends a run under every policy that has its answers judged: its brake, or a yes; None = go on."""
    last = run.attempts[-1]
    if run.stop is not None:
        return deliver_best(run, f"no new call is started ({run.stop})", run.stop)
    if last.verdict is Verdict.VALID:
        return deliver_accepted(run, len(run.attempts) - 1)
    return None


def refused(run: Run) -> Deliver | None:
    """The upstream's 400 about the request itself, where nobody answered; None = there is no such thing."""
    last = run.attempts[-1]
    if last.error is not None and is_clients_fault(last.error) and all_failed(run):
        return Deliver(None, f"{last.tier}'s upstream says that the request itself is wrong", Stop.UPSTREAM)
    return None


def judge_failed(run: Run, onward: Callable[[Run, str], Decision]) -> Decision:
    """The judge of the last answer failed: serve it unjudged where that is configured, else go on by `onward`."""
    last = run.attempts[-1]
    if run.judge_fails_open:
        return deliver_last(run, f"the judge failed ({last.reason}): {last.tier}'s answer is served unjudged")
    return onward(run, f"the judge of {last.tier}'s answer failed ({last.reason})")


def nobody_left(run: Run, why: str) -> Deliver:
    """After a failure in a pool without an order, with no tier left that can be asked: the best so far."""
    unasked = len(run.ladder) > len(asked(run))
    stopped = Stop.BUDGET if unasked else Stop.UPSTREAM if run.attempts[-1].error is not None else None
    return deliver_best(run, f"{why}, and no other tier can be asked", stopped)


def is_clients_fault(error: GearboxError) -> bool:
    """Whether an upstream refused the request itself: its 400 passes through, no other tier is asked (wire.md)."""
    return isinstance(error, UpstreamError) and error.retry is Retry.NEVER


def failed_words(attempt: Attempt) -> str:
    """Why an attempt is not served, in words."""
    match attempt.verdict:
        case Verdict.ERROR:
            return f"{attempt.tier} failed ({attempt.error.message if attempt.error else 'no answer'})"
        case Verdict.ABSTAINED:
            return f"{attempt.tier} abstained"
        case _:
            by = attempt.verdict_by.partition(":")[2] or attempt.verdict_by
            return f"{by} rejected {attempt.tier}'s answer" + (f" ({attempt.reason})" if attempt.reason else "")
