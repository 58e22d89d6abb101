"""What a recognised question is: its exact answer, how hard it is, and the believable ways to get it wrong.

Pure. Difficulty is in 0..1 and comes from the steps themselves: their number, their kind, the size of their operands.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

from cascade.simulated.numbers import digits, read, show

ARITHMETIC = "arithmetic"
LISTS = "lists"
_LIMIT = 10**40
_MAX_POWER_BITS = 130
_WEIGHTS = {"+": 0.025, "-": 0.035, "*": 0.07, "/": 0.08, "mod": 0.1, "^": 0.12}
_STEP = 0.02


class TooLargeError(ArithmeticError):
    """The calculation leaves the range that the simulated tiers work in (about 40 digits)."""


@dataclass(frozen=True, slots=True)
class Task:
    """A solved question; `wrongs` is never empty and never holds the answer."""

    family: str
    answer: str
    difficulty: float
    steps: tuple[str, ...]
    wrongs: tuple[str, ...]


def near_misses(answer: str) -> list[str]:
    """Slips that fit any answer of that shape: off by one, a lost carry, a lost or swapped item."""
    if answer in {"yes", "no"}:
        return ["no" if answer == "yes" else "yes"]
    value = read(answer)
    if value is not None:
        return [show(value + 1), show(value - 1), show(value + 10), show(value - 10)]
    inside = answer[1:-1].split(", ") if re.fullmatch(r"\[.+\]", answer, re.DOTALL) else None
    if inside is not None:
        return [f"[{', '.join(items)}]" for items in (inside[:-1], inside[1:] + inside[:1], inside[:1] + inside)]
    return [answer[:-1] or "nothing", answer[1:] + answer[:1], answer + answer[-1:] + "."]


def _kind(answer: str) -> str:
    if answer in {"yes", "no"}:
        return "truth"
    return "list" if answer.startswith("[") else "number" if read(answer) is not None else "text"


def make_task(family: str, answer: str, difficulty: float, steps: Iterable[str], wrongs: Iterable[str]) -> Task:
    """A task whose wrong answers are distinct and really wrong, completed with near misses."""
    distinct = dict.fromkeys([wrong for wrong in wrongs if _kind(wrong) == _kind(answer)] + near_misses(answer))
    distinct.pop(answer, None)
    clamped = min(1.0, max(0.02, round(difficulty, 4)))
    return Task(family, answer, clamped, tuple(steps), tuple(distinct))


def _divide(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise TooLargeError("division by zero")
    return left / right


def _modulo(left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise TooLargeError("modulo zero")
    return left % right


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    size = max(abs(base.numerator), base.denominator).bit_length() * exponent
    if exponent.denominator != 1 or exponent < 0 or size > _MAX_POWER_BITS * 2:
        raise TooLargeError("the exponent must be a whole number and the power of bounded size")
    return Fraction(base ** int(exponent))


_OPERATIONS: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": _divide,
    "mod": _modulo,
    "^": _power,
}


@dataclass(slots=True)
class Work:
    """A calculation on paper: every step is written down with what it costs a small head."""

    steps: list[str] = field(default_factory=list)
    values: list[Fraction] = field(default_factory=list)
    cost: float = 0.0

    def do(self, operation: str, left: Fraction, right: Fraction) -> Fraction:
        """Calculate and note one step; raises TooLargeError outside the bounds."""
        value = _OPERATIONS[operation](left, right)
        if abs(value.numerator) > _LIMIT or value.denominator > _LIMIT:
            raise TooLargeError("more than 40 digits")
        effort = 1 + 0.5 * (digits(left) - 1 + digits(right) - 1)
        self.note(f"{show(left)} {operation} {show(right)} = {show(value)}", value, _WEIGHTS[operation] * effort)
        return value

    def note(self, step: str, value: Fraction, cost: float) -> Fraction:
        """Write a step down that was calculated elsewhere."""
        self.steps.append(step)
        self.values.append(value)
        self.cost += cost + _STEP
        return value

    def task(self, answer: Fraction, wrongs: Iterable[Fraction] = ()) -> Task:
        """The finished task: the first slip is the forgotten last step, then those given."""
        slips = [*wrongs, *self.values[-2:-1]]
        return make_task(ARITHMETIC, show(answer), self.cost, self.steps, map(show, slips))
