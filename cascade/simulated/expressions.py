"""A parser for arithmetic: + - * / % ^, parentheses, signs. No eval, bounded length, depth and size.

Pure. Powers bind to the right, everything else to the left; `%` is the remainder.
"""

import re
from fractions import Fraction

from cascade.simulated.tasks import TooLargeError, Work

_TOKEN = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+|[-+*/%^()])")
_MAX_CHARS = 300
_MAX_DEPTH = 25
_NAMES = {"+": "+", "-": "-", "*": "*", "/": "/", "%": "mod", "^": "^"}
_PARENTHESES = frozenset("()")
_LEVELS = ("+-", "*/%")
CHARACTERS = r"[\d.\s()+\-*/%^]+"


class NotArithmeticError(ValueError):
    """The text is not an expression."""


def _tokens(text: str) -> list[str]:
    if len(text) > _MAX_CHARS:
        raise NotArithmeticError("too long")
    found = _TOKEN.findall(text)
    if "".join(found) != re.sub(r"\s+", "", text):
        raise NotArithmeticError("characters that are not arithmetic")
    return found


class _Parser:
    def __init__(self, tokens: list[str], work: Work) -> None:
        self._tokens = [*tokens, ""]
        self._at = 0
        self._depth = 0
        self._work = work

    def _take(self, wanted: str) -> str:
        token = self._tokens[self._at]
        if token and token in wanted:
            self._at += 1
            return token
        return ""

    def whole(self) -> Fraction:
        value = self._level(0)
        if self._tokens[self._at]:
            raise NotArithmeticError("something follows the expression")
        return value

    def _level(self, level: int) -> Fraction:
        if level == len(_LEVELS):
            return self._signed()
        value = self._level(level + 1)
        while operator := self._take(_LEVELS[level]):
            value = self._work.do(_NAMES[operator], value, self._level(level + 1))
        return value

    def _signed(self) -> Fraction:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise NotArithmeticError("nested too deeply")
        value = -self._signed() if self._take("-") else self._power()
        self._depth -= 1
        return value

    def _power(self) -> Fraction:
        base = self._atom()
        return self._work.do("^", base, self._signed()) if self._take("^") else base

    def _atom(self) -> Fraction:
        if self._take("("):
            value = self._level(0)
            if not self._take(")"):
                raise NotArithmeticError("a parenthesis is open")
            return value
        token = self._tokens[self._at]
        if not token or not token[-1].isdigit():
            raise NotArithmeticError("a number is missing")
        self._at += 1
        return Fraction(token)


def evaluate(text: str, work: Work) -> Fraction:
    """The expression's value, its steps noted in `work`.

    Raises:
        NotArithmeticError: it is no expression.
        TooLargeError: it leaves the bounds, or divides by zero.
    """
    return _Parser(_tokens(text), work).whole()


def flat(text: str) -> Fraction | None:
    """The value that someone gets who works from left to right and ignores precedence; None where there is none."""
    tokens = [token for token in _tokens(text) if token not in _PARENTHESES]
    work = Work()
    try:
        value = Fraction(tokens[0])
        for operator, operand in zip(tokens[1::2], tokens[2::2], strict=True):
            value = work.do(_NAMES[operator], value, Fraction(operand))
    except (ValueError, KeyError, TooLargeError):
        return None
    return value
