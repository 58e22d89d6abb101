"""What is believed of the answers to one question: which of them are right, and who else would be.

The law of this file: pure probability, one step at a time; a belief is never changed, each observation makes a new one.

Answers that say the same stand or fall together, and of several different ones at most one is right. So the belief
keeps one hypothesis per distinct answer ("this one is right") and a first one ("none is"), each as a likelihood by
difficulty (`router.difficulty`). An answer that cannot be compared (a text without a final answer) stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

from router.difficulty import over

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.difficulty import Curve

#: The chance that two wrong answers are the same one. In recordings of real models: 0.13 to 0.49, mostly 0.2 to 0.3.
SAME_MISTAKE = 0.3


@dataclass(frozen=True, slots=True)
class Lone:
    """An answer that is compared with no other: its tier's place, and what was said of it as likelihoods."""

    rung: int
    if_right: float = 1.0
    if_wrong: float = 1.0


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One of the distinct answers is right, or none is: the likelihood of all that was seen, if so.

    By difficulty it is `scale` times `curve`: what says the same at every difficulty touches one number.
    """

    scale: float
    curve: Sequence[float]

    @property
    def mass(self) -> float:
        """Its likelihood over all difficulties."""
        return self.scale * sum(self.curve)

    def seen(self, curve: Curve, factor: float = 1.0) -> Hypothesis:
        """After something that has this likelihood by difficulty, times a factor."""
        return Hypothesis(self.scale * factor, list(map(mul, self.curve, curve)))

    def scaled(self, factor: float) -> Hypothesis:
        """After something that is as likely at every difficulty."""
        return Hypothesis(self.scale * factor, self.curve)


@dataclass(frozen=True, slots=True)
class Chances:
    """Every tier's P(right | difficulty), and the opposite."""

    right: tuple[Curve, ...]
    wrong: tuple[Curve, ...]

    @classmethod
    def of(cls, right: tuple[Curve, ...]) -> Chances:
        """From the tiers' curves."""
        return cls(right, tuple(tuple(1.0 - p for p in curve) for curve in right))


@dataclass(frozen=True, slots=True)
class Belief:
    """Everything seen of one question; `either` is first that none of the distinct answers is right, then each."""

    chances: Chances
    either: tuple[Hypothesis, ...]
    lone: tuple[Lone, ...] = ()

    @classmethod
    def of(cls, chances: Chances, difficulty: Curve) -> Belief:
        """Before anything was answered; `difficulty` is P(difficulty)."""
        return cls(chances, (Hypothesis(1.0, difficulty),))

    # --- what was seen

    @property
    def groups(self) -> int:
        """How many distinct answers there are."""
        return len(self.either) - 1

    def answered(self, rung: int, group: int | None) -> Belief:
        """A tier's answer came: the same as that of an earlier group, or (None) different from them all."""
        right, wrong, groups = self.chances.right[rung], self.chances.wrong[rung], self.groups
        none, *rest = self.either
        if group is None:
            other = _new_mistake(groups - 1)
            grown = [none.seen(wrong, _new_mistake(groups)), *[each.seen(wrong, other) for each in rest]]
            return Belief(self.chances, (*grown, none.seen(right)), self.lone)
        other = SAME_MISTAKE / max(groups - 1, 1)
        same = [each.seen(right) if place == group else each.seen(wrong, other) for place, each in enumerate(rest)]
        return Belief(self.chances, (none.seen(wrong, SAME_MISTAKE / groups), *same), self.lone)

    def answered_alone(self, rung: int) -> Belief:
        """A tier's answer came that cannot be compared."""
        return Belief(self.chances, self.either, (*self.lone, Lone(rung)))

    def failed(self, rung: int) -> Belief:
        """A tier declined to answer: it would have been wrong."""
        return Belief(self.chances, tuple(each.seen(self.chances.wrong[rung]) for each in self.either), self.lone)

    def told(self, group: int, if_right: float, if_wrong: float) -> Belief:
        """Something was said of one group's answer, with these likelihoods (a verdict, a check, a margin)."""
        either = [each.scaled(if_right if place == group + 1 else if_wrong) for place, each in enumerate(self.either)]
        return Belief(self.chances, tuple(either), self.lone)

    def told_alone(self, place: int, if_right: float, if_wrong: float) -> Belief:
        """Something was said of an answer that stands alone, by its place in `lone`."""
        one = self.lone[place]
        said = Lone(one.rung, one.if_right * if_right, one.if_wrong * if_wrong)
        factors = tuple(new / old for new, old in zip(self._seen(said), self._seen(one), strict=True))
        lone = (*self.lone[:place], said, *self.lone[place + 1 :])
        return Belief(self.chances, tuple(each.seen(factors) for each in self.either), lone)

    # --- what follows

    @property
    def likelihood(self) -> float:
        """P(all that was seen), up to a factor that all beliefs of one question share."""
        return sum(each.mass for each in self.either)

    def p_right(self) -> tuple[list[float], list[float]]:
        """P(right) of each distinct answer and of each lone one, 0..1."""
        masses = [each.mass for each in self.either]
        mass = sum(masses)
        return [each / mass for each in masses[1:]], [self._p_alone(one, mass) for one in self.lone]

    def p_ask(self) -> list[float]:
        """P(right) of each tier's answer, were it asked and compared with nothing, 0..1."""
        total = self._total()
        mass = sum(total)
        return [over(curve, total) / mass for curve in self.chances.right]

    def _total(self) -> Sequence[float]:
        """The likelihood by difficulty, whoever is right."""
        scaled = [[each.scale * p for p in each.curve] for each in self.either]
        return scaled[0] if len(scaled) == 1 else list(map(sum, zip(*scaled, strict=True)))

    def _p_alone(self, one: Lone, mass: float) -> float:
        pairs = zip(self._total(), self.chances.right[one.rung], self._seen(one), strict=True)
        return sum(likely * right * one.if_right / seen for likely, right, seen in pairs) / mass

    def _seen(self, one: Lone) -> Sequence[float]:
        """P(what was said of a lone answer | difficulty)."""
        return [right * one.if_right + (1.0 - right) * one.if_wrong for right in self.chances.right[one.rung]]


def _new_mistake(mistakes: int) -> float:
    """The chance that a wrong answer is a new one, beside so many distinct wrong ones."""
    return 1.0 - SAME_MISTAKE if mistakes > 0 else 1.0
