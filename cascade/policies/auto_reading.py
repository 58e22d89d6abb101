"""What `auto` makes of a run: its evidence, of whatever kind, as one belief.

The law of this file: pure; one function for each kind of evidence, each ending in a likelihood: how probable is what
was seen if the answer is right, and if it is wrong.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from cascade.policies.auto_belief import Belief, Chances
from cascade.policies.auto_plan import State, answered, answered_alone, chances_of, told
from cascade.policies.policy import asked
from cascade.policies.skills import DEFAULTS, predicted_of
from router.accuracy import label_of
from router.answers import agrees
from router.difficulty import NORMAL, curves, difficulty
from router.domain import CheckOutcome, Verdict

if TYPE_CHECKING:
    from cascade.policies.auto_settings import AutoSettings
    from router.difficulty import Curve as Difficulty
    from router.domain import Attempt, Run, Tier
    from router.margins_state import Curve

#: No rule and no margin is taken for a proof: P(wrong) stays this far from 0 and 1.
_DOUBT = 0.02
#: How likely a right answer is to be cut by our own output limit, where a wrong one is taken to be for certain.
_CUT_IF_RIGHT = 0.2


class Reading:
    """One run, read once a decision.

    Args:
        settings: how far each kind of evidence is trusted.
        run: so far.
    """

    def __init__(self, settings: AutoSettings, run: Run) -> None:
        self._set = settings
        self._run = run
        self._curves = curves([_accuracy(run, tier) for tier in run.ladder])

    @cached_property
    def start(self) -> State:
        """Before anybody was asked."""
        neighbours = self._run.evidence.neighbours[: self._set.k]
        return self._begin(difficulty(neighbours, self._run.ladder, self._curves, self._set.neighbour_weight))

    @cached_property
    def now(self) -> State:
        """With all attempts."""
        return self._with_attempts(self.start)

    def estimates(self) -> dict[str, float]:
        """P(right) of each tier before it is asked."""
        chances = self.start.belief.p_ask()
        return {tier.name: chance for tier, chance in zip(self._run.ladder, chances, strict=True)}

    def known_of(self, rung: int) -> int:
        """How many of the similar questions have a label of this tier."""
        tier, neighbours = self._run.ladder[rung], self._run.evidence.neighbours[: self._set.k]
        return sum(label_of(neighbour, tier) is not None for neighbour in neighbours)

    def lessons(self) -> dict[int, float]:
        """P(right) of each answer by its attempt's place, by what was seen of this question alone.

        Similar questions are left out: their labels would come back as labels and look like more of them. Empty where
        nothing was seen: an answer that nobody looked at and nothing was compared with teaches nothing.
        """
        answers = [place for place, attempt in enumerate(self._run.attempts) if _counts(attempt)]
        if len(answers) < 2 and not any(self._spoken_of(self._run.attempts[place]) for place in answers):  # noqa: PLR2004 - two can be compared
            return {}
        state = self._with_attempts(self._begin(NORMAL))
        return dict(zip(answers, chances_of(state, state.given), strict=True))

    # --- the run as a state

    def _begin(self, weights: Difficulty) -> State:
        tried = asked(self._run)
        open_ = frozenset(
            place
            for place, tier in enumerate(self._run.ladder)
            if tier.name not in tried and self._run.budget.pays_ask(tier.name)
        )
        return State(Belief.of(Chances.of(self._curves), weights), open=open_)

    def _with_attempts(self, state: State) -> State:
        finals: list[tuple[str, int]] = []
        for attempt in self._run.attempts:
            rung = self._run.position(attempt.tier)
            if _counts(attempt):
                state = self._spoken(self._compared(state, rung, attempt, finals), attempt)
                continue
            # Only the last answer can be judged, and this was none.
            belief = state.belief.failed(rung) if attempt.verdict is Verdict.ABSTAINED else state.belief
            state = replace(state, belief=belief, judgeable=None)
        return state

    def _compared(self, state: State, rung: int, attempt: Attempt, finals: list[tuple[str, int]]) -> State:
        """The answer joins those that say the same, as far as that can be told."""
        final = attempt.answer.final if attempt.answer else ""
        if not final:
            return answered_alone(state, rung)
        same = next((group for said, group in finals if agrees(said, final)), None)
        finals.append((final, state.belief.groups if same is None else same))
        return answered(state, rung, same)

    # --- what was said of an answer

    def _spoken(self, state: State, attempt: Attempt) -> State:
        """The state after everything that was said of its last answer, which may yet be judged where nobody has."""
        one, place = state.given[-1], state.judgeable
        for if_right, if_wrong in self._spoken_of(attempt):
            state = told(state, one, if_right, if_wrong)
        refused = attempt.verdict is Verdict.INVALID or (attempt.judge_failed and not self._run.judge_fails_open)
        fresh = attempt.verdict is Verdict.UNJUDGED and not attempt.judge_failed
        judgeable = place if fresh and attempt.tier != self._run.top and self._run.budget.pays_judge() else None
        return replace(state, given=(*state.given[:-1], replace(one, refused=refused)), judgeable=judgeable)

    def _spoken_of(self, attempt: Attempt) -> list[tuple[float, float]]:
        """P(this was said | right), P(this was said | wrong), for each thing that was said of an answer."""
        return [*self._checks(attempt), *self._verdict(attempt), *self._margin(attempt), *_cut(attempt)]

    def _checks(self, attempt: Attempt) -> list[tuple[float, float]]:
        passed = [each for each in attempt.checks if each.outcome is CheckOutcome.VALID]
        return [(1.0 - _DOUBT, self._set.verifier_accepts_wrong)] * len(passed)

    def _verdict(self, attempt: Attempt) -> list[tuple[float, float]]:
        right, wrong = self._set.judge_accepts_right, self._set.judge_accepts_wrong
        match attempt.verdict:
            case Verdict.VALID:
                return [(right, wrong)]
            case Verdict.INVALID if attempt.verdict_by.startswith("judge"):
                return [(1.0 - right, 1.0 - wrong)]
            case Verdict.INVALID:
                return [(_DOUBT, 1.0 - self._set.verifier_accepts_wrong)]
        return []

    def _margin(self, attempt: Attempt) -> list[tuple[float, float]]:
        """How many times likelier this margin is among right (or wrong) answers of the model than among all."""
        known = self._run.evidence.margins
        curve = known.curves.get((attempt.model, attempt.confidence_by)) if known else None
        if curve is None or attempt.confidence is None:
            return []
        usual, here = _mean_wrong(curve), _wrong_at(curve, attempt.confidence)
        return [((1.0 - here) / (1.0 - usual), here / usual)]


def _counts(attempt: Attempt) -> bool:
    """Whether it is an answer, of which something can be believed."""
    return attempt.answer is not None and attempt.verdict not in {Verdict.ERROR, Verdict.ABSTAINED}


def _cut(attempt: Attempt) -> list[tuple[float, float]]:
    return [(_CUT_IF_RIGHT, 1.0)] if attempt.cut_by_cap else []


def _accuracy(run: Run, tier: Tier) -> float:
    """The tier's accuracy on questions like this: by its skills where there is a profile, else its prior."""
    skills = run.evidence.skills
    if skills is None or not skills.models:
        return tier.prior_accuracy
    return predicted_of(tier, skills, DEFAULTS.prior_weight)


def _wrong_at(curve: Curve, margin: float) -> float:
    """P(wrong) at this margin; below the first block the first one's."""
    found = curve.blocks[0].p_wrong
    for block in curve.blocks:
        if margin >= block.margin:
            found = block.p_wrong
    return _doubted(found)


def _mean_wrong(curve: Curve) -> float:
    return _doubted(sum(block.share * block.p_wrong for block in curve.blocks))


def _doubted(chance: float) -> float:
    return min(max(chance, _DOUBT), 1.0 - _DOUBT)
