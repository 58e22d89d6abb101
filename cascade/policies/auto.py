"""`auto`: every kind of evidence weighed against its price; Gearbox's own policy, and its default.

The law of this file: pure. It reads a run (`auto_reading.py`), values what could be done next (`auto_plan.py`), and
acts on the best. There is no threshold: a call is made where what it is expected to bring, in right answers, is worth
more than it costs. Similar questions, agreement between tiers, verdicts, checks, margins and skills all speak through
one belief (`auto_belief.py`), so that each counts for as much as it tells.
"""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from cascade.margins import measure
from cascade.policies.auto_plan import Move, Planner, Verdicts, came, horizon_of
from cascade.policies.auto_prices import expected, worth
from cascade.policies.auto_reading import Reading
from cascade.policies.auto_settings import AutoSettings
from cascade.policies.auto_words import Words
from cascade.policies.baselines import dice
from cascade.policies.policy import (
    Turned,
    all_failed,
    deliver_accepted,
    deliver_at,
    deliver_best,
    deliver_last,
    failed_words,
    next_down,
    refused,
    stopped_or_accepted,
    turned,
    why_stuck,
)
from cascade.policies.skills import DEFAULTS as SKILLS_DEFAULTS
from cascade.stickiness import Start, stickiness
from router.domain import Ask, Budget, Deliver, Judge, Judging, Stop, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cascade.policies.auto_plan import Option, State
    from router.domain import Decision, Run, Tier

_DEFAULTS = AutoSettings()
#: However cheap a second opinion is, no larger share of answers waits for one.
MOST_OPINIONS = 0.5


class Auto:
    """The policy `auto`."""

    name = "auto"
    #: It keeps no pot (`WantsMargins`): what it knows of costs and margins is nobody's budget.
    horizon = None
    #: From how many profiled questions the needed skills are taken (`WantsSkills`), as with `skills`.
    profiled_neighbours = SKILLS_DEFAULTS.neighbours

    def __init__(self, settings: AutoSettings = _DEFAULTS) -> None:
        self._set = settings

    @property
    def neighbours(self) -> int:
        """How many similar past questions it looks at; one at least where skills are looked up by the question."""
        return max(self._set.k, 1) if self._set.profile else self._set.k

    @property
    def wants_curve(self) -> bool:
        """Whether margins are asked for (`WantsMargins`)."""
        return self._set.margin != "none"

    @property
    def curves(self) -> str | None:
        """The path of curves that were fitted elsewhere (`WantsMargins`)."""
        return self._set.curves

    @property
    def profile(self) -> str | None:
        """The skill profile's path (`WantsSkills`)."""
        return self._set.profile

    @property
    def settings(self) -> Mapping[str, Any]:
        """Every number it decides by."""
        return asdict(self._set)

    @property
    def nearby(self) -> list[Turned]:
        """A right answer worth half as much, and half as much again (`Turnable`)."""
        name = "worth" if self._set.worth_usd is None else "worth_usd"
        return turned(Auto, self._set, {name: getattr(self._set, name) / 2})

    def estimates(self, run: Run) -> Mapping[str, float]:
        """P(right) of each tier before it is asked."""
        return Reading(self._set, run).estimates()

    def decide(self, run: Run) -> Decision:
        """The most valuable next step."""
        thought = _Thought(self._set, run)
        decision = thought.go_on() if run.attempts else thought.start()
        if isinstance(decision, Deliver) and run.attempts and run.judging is Judging.BEFORE:
            return replace(decision, beliefs=thought.reading.lessons())
        return decision


class _Thought:
    """One decision in the making: a run, read and valued.

    Args:
        settings: the policy's.
        run: so far.
    """

    def __init__(self, settings: AutoSettings, run: Run) -> None:
        self._set = settings
        self._run = run
        self.reading = Reading(settings, run)
        self._prices = prices = expected(run)
        self._worth = worth(run, settings, prices)
        verdicts = Verdicts(settings.judge_accepts_right, settings.judge_accepts_wrong)
        self._planner = Planner(prices, self._worth, verdicts, settings.waiting)

    # --- before anyone was asked

    def start(self) -> Decision:
        """The first step."""
        run, state = self._run, self.reading.start
        if run.stop is not None:
            return Deliver(None, f"no call was started ({run.stop})", run.stop)
        # Where one answer is served unseen, nothing after it is worth thinking of.
        options = self._planner.options(state, horizon_of(state) if run.judging is Judging.BEFORE else 0)
        if not options:
            return Deliver(None, "the cap pays for no tier", Stop.BUDGET)
        wanted, estimates = run.ladder[options[0].rung], self.reading.estimates()
        known = any(neighbour.labels for neighbour in run.evidence.neighbours[: self._set.k])
        first = Start(wanted, self._words(options).first(), by_evidence=known)
        sticky = stickiness(run, first, estimates, estimates[wanted.name])
        chosen = sticky if run.budget.pays_ask(sticky.tier.name) else first
        return self._ask(chosen.tier, chosen.why)

    # --- with answers

    def go_on(self) -> Decision:
        """The step after an attempt."""
        run, last = self._run, self._run.attempts[-1]
        if ended := refused(run) or self._accepted() or stopped_or_accepted(run):
            return ended
        if run.judging is not Judging.BEFORE and last.verdict is Verdict.UNJUDGED:
            return deliver_last(run, f"{last.tier}'s answer is served as it comes")
        options = self._planner.options(self.reading.now, horizon_of(self.reading.now))
        if not options:
            return self._stuck()
        tier = run.ladder[options[0].rung]
        match options[0].move:
            case Move.SERVE:
                return self._second_opinion() or self._serve(tier, options)
            case Move.JUDGE:
                return Judge(tier.judge, self._words(options).judge())
            case Move.ASK:
                return self._ask(tier, self._words(options).next())

    def _accepted(self) -> Decision | None:
        """An answer that somebody accepted is served, if need be after a second opinion."""
        verdicts = [attempt.verdict for attempt in self._run.attempts]
        if Verdict.VALID not in verdicts or self._run.stop is not None:
            return None
        return self._second_opinion() or deliver_accepted(self._run, verdicts.index(Verdict.VALID))

    def _stuck(self) -> Decision:
        """No answer that may be served, and nobody above to ask."""
        why = failed_words(self._run.attempts[-1])
        below = next_down(self._run) if all_failed(self._run) else None
        if below is not None:
            return self._ask(below, why)
        return deliver_best(self._run, f"{why}, and no other tier can be asked", why_stuck(self._run))

    def _serve(self, tier: Tier, options: Sequence[Option]) -> Deliver:
        attempts = self._run.attempts
        place = next(place for place, each in enumerate(attempts) if each.tier == tier.name and each.answer is not None)
        served = deliver_at(self._run, place, self._words(options).serve())
        if served.stopped is not None:
            return served
        if self._held_back():
            return replace(served, stopped=Stop.BUDGET)
        # A tier that the cap does not pay, and that nobody would have asked, stops nothing.
        down = len(options) == 1 and why_stuck(self._run) is Stop.UPSTREAM
        return replace(served, stopped=Stop.UPSTREAM) if down else served

    def _held_back(self) -> bool:
        """Whether more would have been paid for without the client's cap."""
        budget = self._run.budget
        if budget.cap_nanousd is None:
            return False
        free = Reading(self._set, replace(self._run, budget=Budget(spent_nanousd=budget.spent_nanousd))).now
        return self._planner.options(free, horizon_of(free))[0].move is not Move.SERVE

    # --- second opinions

    def _second_opinion(self) -> Ask | None:
        """A neighbouring tier's answer for the sake of learning, where the only answer was compared with none."""
        first = self._run.attempts[0].tier
        if len(self._run.attempts) > 1 or not self.reading.now.comparable:
            return None
        other = self._second_tier(first)
        why = f"a second opinion on {first}'s answer, so that something is learnt"
        return None if other is None else self._ask(other, why)

    def _second_tier(self, tier: str) -> Tier | None:
        """Who gives a second opinion on this tier's answer; None where the dice, or what is known already, say no.

        Never under a client's cap, which is not there for our learning.
        """
        run, rung = self._run, self._run.position(tier)
        other = _neighbour(self.reading.start, rung)
        useful = run.learns and run.judging is Judging.BEFORE and run.budget.cap_nanousd is None
        if other is None or not useful:
            return None
        prices, known = self._prices.ask, self.reading.known_of(other)
        share = min(self._set.second_opinions * prices[rung] / max(prices[other], 1.0), MOST_OPINIONS)
        return run.ladder[other] if dice(run.id, "second opinion") < share / (1 + known) else None

    # --- shared

    def _words(self, options: Sequence[Option]) -> Words:
        return Words(self._run, options, self._worth(1.0))

    def _ask(self, tier: Tier, why: str) -> Ask:
        """Ask a tier, with what its confidence is taken from where margins are wanted."""
        run, state = self._run, self.reading.now
        chance = state.belief.p_ask()[run.position(tier.name)]
        lacking = run.evidence.margins.lacking if run.evidence.margins else frozenset()
        if self._set.margin != "none" and run.judging is Judging.BEFORE and not tier.models <= lacking:
            return Ask(tier.name, why, chance, logprobs=True, margin=measure(self._set.margin, self._set.scale))
        return Ask(tier.name, why, chance, final=self._is_final(tier, state))

    def _is_final(self, tier: Tier, state: State) -> bool:
        """Whether this tier's answer will be served whatever it says: then it may be streamed as it comes."""
        if self._run.judging is not Judging.BEFORE:
            return True
        if self._run.checks or (not self._run.attempts and self._second_tier(tier.name)):
            return False
        rung = self._run.position(tier.name)
        outcomes = came(state, rung) + (came(replace(state, comparable=False), rung) if state.comparable else [])
        if tier.name == self._run.top:
            outcomes = [replace(each, judgeable=None) for each in outcomes]
        return all(self._serves(each, rung) for each in outcomes)

    def _serves(self, state: State, rung: int) -> bool:
        """Whether this tier's answer is served; what beats serving one step ahead does so some steps ahead, too."""
        for horizon in range(1, horizon_of(state) + 1):
            best = self._planner.options(state, horizon)[0]
            if best.move is not Move.SERVE or best.rung != rung:
                return False
        return True


def _neighbour(state: State, rung: int) -> int | None:
    """The next tier below that can still be asked, which is cheap, else the next above."""
    below = [other for other in state.open if other < rung]
    above = [other for other in state.open if other > rung]
    return max(below) if below else min(above, default=None)
