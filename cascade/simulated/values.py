"""Values that list and string operations work on, and what can be read from them.

Pure. A value is a list of Fractions or strings, one of those, or a truth value.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import TypeAlias

from cascade.simulated.numbers import show

Item: TypeAlias = Fraction | str
Value: TypeAlias = list[Item] | Fraction | str | bool
_ORDINALS = dict(
    zip(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"],
        range(1, 11),
        strict=True,
    )
)


class NotPossibleError(ValueError):
    """The operation does not apply to the value it meets, so the question was misread."""


def shown(value: Value) -> str:
    """A value as the answer writes it: `[1, 2]`, `yes`, a number, a string."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return f"[{', '.join(shown(item) for item in value)}]"
    return show(value) if isinstance(value, Fraction) else value


def items(value: Value) -> list[Item]:
    """The value as a list; a string is its characters."""
    if isinstance(value, str):
        return list(value)
    if not isinstance(value, list):
        raise NotPossibleError("neither list nor text")
    return value


def like(value: Value, result: Sequence[Item]) -> Value:
    """The result in the shape of the value: text stays text."""
    return "".join(map(str, result)) if isinstance(value, str) else list(result)


def numbers(value: Value) -> list[Fraction]:
    """The value as a list of numbers, at least one."""
    found = [item for item in items(value) if isinstance(item, Fraction)]
    if not found or len(found) != len(items(value)):
        raise NotPossibleError("not a list of numbers")
    return found


def text(value: Value) -> str:
    """The value as text."""
    if not isinstance(value, str):
        raise NotPossibleError("not text")
    return value


def index_of(nth: str, length: int) -> int:
    """The position, from zero, that an ordinal names."""
    if nth == "last":
        return length - 1
    return (_ORDINALS.get(nth) or int(re.sub(r"\D", "", nth))) - 1


def at(value: Value, index: int) -> Item:
    """The item at a position; NotPossibleError outside."""
    found = items(value)
    if not 0 <= index < len(found):
        raise NotPossibleError("no such position")
    return found[index]


def caesar(word: str, shift: int) -> str:
    """Each letter moved along the alphabet, case kept."""
    out = []
    for char in word:
        base = ord("a") if "a" <= char <= "z" else ord("A") if "A" <= char <= "Z" else None
        out.append(char if base is None else chr((ord(char) - base + shift) % 26 + base))
    return "".join(out)


def median(value: Value) -> Fraction:
    """The middle of the sorted numbers, or the mean of the two in the middle."""
    ordered = sorted(numbers(value))
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def mode(value: Value) -> Item:
    """The most frequent item, the first of equals."""
    return Counter(items(value)).most_common(1)[0][0]


def product(value: Value) -> Fraction:
    """All numbers multiplied."""
    result = Fraction(1)
    for number in numbers(value):
        result *= number
    return result


def ordered(value: Value, *, by_length: bool = False, descending: bool = False) -> Value:
    """Sorted, stable; words without regard to case."""
    found = items(value)
    key: Callable[[Item], tuple[Fraction | int, str]] = (lambda item: (len(str(item)), "")) if by_length else _sort_key
    return like(value, sorted(found, key=key, reverse=descending))


def _sort_key(item: Item) -> tuple[Fraction | int, str]:
    return (item, "") if isinstance(item, Fraction) else (0, item.lower())
