"""What the neighbouring settings of a policy would have made of a request: one way for all policies.

The law of this file: pure. The policy itself decides again, with one setting a step away, over the same evidence and
the answers that were really given; nothing about any policy is known here. Where it asks a tier that nobody asked, or a
judge that nobody paid, the walk ends there, and the price of what is missing is an expectation, said to be one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cascade.policies.policy import Turnable, Turned
from router.domain import Ask, Deliver, Judge, Nearby, Verdict
from router.pricing import cost_nanousd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade.policies.policy import Policy
    from router.domain import Attempt, Call, Decision, Run
    from router.pricing import Usage

#: How far a request's own wanted quality is turned, where it has one.
_QUALITY_STEP = 0.1
#: A policy that takes more steps than this a tier is broken (each promises two).
_STEPS_PER_TIER = 4


def nearby(policy: Policy, first: Run, finished: Run) -> tuple[Nearby, ...]:
    """Each neighbouring setting, and what would have come of it; () where the policy has none.

    Args:
        policy: as it decided.
        first: the run before its first decision.
        finished: the same with all its attempts; `first` again where nobody was asked (a dry run).
    """
    if not isinstance(policy, Turnable):
        return ()
    usual = _walk(policy, first, finished)
    return tuple(_told(turn, _walk(turn.policy, run, finished), usual) for turn, run in _turns(policy, first))


@dataclass(frozen=True, slots=True)
class _Way:
    """How far a policy comes on the answers there are: whom it asks, and the decision in which it ends."""

    asked: tuple[Attempt, ...]
    decision: Decision
    whys: tuple[str, ...]
    missing_nanousd: int | None = 0

    @property
    def start(self) -> str | None:
        return next(iter(self.tiers), None)

    @property
    def tiers(self) -> tuple[str, ...]:
        """Everybody it asks, the one that nobody asked really included."""
        more = (self.decision.tier,) if isinstance(self.decision, Ask) else ()
        return (*(attempt.tier for attempt in self.asked), *more)

    @property
    def serves(self) -> str | None:
        if isinstance(self.decision, Deliver):
            return None if self.decision.attempt is None else self.asked[self.decision.attempt].tier
        return self.tiers[-1]

    @property
    def cost_nanousd(self) -> int | None:
        if self.missing_nanousd is None:
            return None
        return sum(attempt.cost_nanousd for attempt in self.asked) + self.missing_nanousd

    @property
    def end(self) -> tuple[object, ...]:
        """What tells two ways apart."""
        return self.tiers, self.serves, type(self.decision)


def _turns(policy: Turnable, run: Run) -> Iterator[tuple[Turned, Run]]:
    """Each neighbour and the run that it sees. A request's own quality stands before any setting, so it is turned."""
    if run.quality is None:
        yield from ((turn, run) for turn in policy.nearby)
        return
    for quality in (round(run.quality - _QUALITY_STEP, 9), round(run.quality + _QUALITY_STEP, 9)):
        if 0 <= quality <= 1:
            yield Turned("quality", quality, policy), replace(run, quality=quality)  # type: ignore[arg-type]


def _walk(policy: Policy, run: Run, finished: Run) -> _Way:
    """Decide until it delivers, or wants what is not there."""
    whys: list[str] = []
    for _ in range(_STEPS_PER_TIER * len(run.ladder)):
        decision = policy.decide(run)
        whys.append(decision.why)
        match decision:
            case Ask():
                following = _answered(run, finished, decision.tier)
            case Judge():
                following = _judged(run, finished)
            case _:
                following = None
        if following is None:
            return _Way(run.attempts, decision, tuple(whys), _missing_nanousd(decision, run, finished))
        run = following
    raise RuntimeError(f"the policy {policy.name} never delivers an answer")


def _answered(run: Run, finished: Run, tier: str) -> Run | None:
    """The run with what this tier said when it was really asked, not judged yet; None where it was not."""
    times = sum(attempt.tier == tier for attempt in run.attempts)
    said = [attempt for attempt in finished.attempts if attempt.tier == tier]
    if times >= len(said):
        return None
    return _spent(run.with_attempt(_unjudged(said[times])))


def _judged(run: Run, finished: Run) -> Run | None:
    """The run with the verdict that a judge really gave on its last answer; None where none was asked."""
    tier = run.attempts[-1].tier
    place = sum(attempt.tier == tier for attempt in run.attempts) - 1
    really = [attempt for attempt in finished.attempts if attempt.tier == tier][place]
    return _spent(run.with_last(really)) if really.judge_calls else None


def _unjudged(attempt: Attempt) -> Attempt:
    if not attempt.judge_calls:
        return attempt
    return replace(attempt, verdict=Verdict.UNJUDGED, verdict_by="", reason="", judge_calls=())


def _spent(run: Run) -> Run:
    spent = sum(attempt.cost_nanousd for attempt in run.attempts)
    return replace(run, budget=replace(run.budget, spent_nanousd=spent))


def _missing_nanousd(decision: Decision, run: Run, finished: Run) -> int | None:
    """What is expected for the call that nobody made: the last real answer's tokens at that tier's price."""
    if isinstance(decision, Deliver):
        return 0
    tier = decision.tier if isinstance(decision, Ask) else decision.by
    price, usage = run.tier(tier).deployments[0].price, _usage(finished)
    return None if price is None or usage is None else cost_nanousd(usage, price)


def _usage(run: Run) -> Usage | None:
    """The last answer's tokens; None where nobody answered."""
    calls: list[Call] = [call for attempt in run.attempts if attempt.answer is not None for call in attempt.calls]
    return next((call.usage for call in reversed(calls) if call.usage is not None), None)


def _told(turn: Turned, way: _Way, usual: _Way) -> Nearby:
    """Why: its start, where that is another one, else its last word."""
    why = way.whys[0] if way.start != usual.start else way.whys[-1]
    exact, changes = isinstance(way.decision, Deliver), way.end != usual.end
    return Nearby(turn.setting, turn.value, way.start, way.serves, way.cost_nanousd, exact, changes, why)
