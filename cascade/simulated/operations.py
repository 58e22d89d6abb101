"""Operations on lists and strings that take parameters: what each does, costs, and what a careless head does instead.

Pure. Operations within one clause run in the order of their stage: filter, change, order, cut, reduce; "the sum of the
even numbers" filters first.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from cascade.simulated.numbers import show
from cascade.simulated.values import (
    NotPossibleError,
    Value,
    at,
    caesar,
    index_of,
    items,
    like,
    numbers,
    ordered,
    shown,
    text,
)

FILTER, CHANGE, ORDER, CUT, REDUCE = range(5)


@dataclass(frozen=True, slots=True)
class Operation:
    """One step: `slip` is what a careless head does instead."""

    stage: int
    name: str
    cost: float
    act: Callable[[Value], Value]
    slip: Callable[[Value], Value] | None = None


def sort_by(match: re.Match[str]) -> Operation:
    """Sort, ascending or descending, by value or length."""
    clause = match[0]
    descending = bool(
        re.search(r"descend|decreas|reverse|(?:largest|highest|biggest|longest|big) (?:to|first)|z to a", clause)
    )
    by_length = bool(re.search(r"length|longest|shortest", clause))
    name = f"sort {'by length ' if by_length else ''}{'descending' if descending else 'ascending'}"
    return Operation(
        ORDER,
        name,
        0.06 + 0.03 * by_length + 0.02 * descending,
        lambda value: ordered(value, by_length=by_length, descending=descending),
        lambda value: ordered(value, by_length=by_length, descending=not descending),
    )


def cut_off(match: re.Match[str]) -> Operation:
    """Take or remove some at one end."""
    count, removing = int(match["n"] or 1), bool(re.match(r"remov|drop|delete|skip|without", match[0]))
    front = match["side"] == "first"

    def cut(value: Value, count: int) -> Value:
        found = items(value)
        if count > len(found):
            raise NotPossibleError("not that many")
        split = count if front else len(found) - count
        return like(value, found[split:] if front == removing else found[:split])

    name = f"{'remove' if removing else 'take'} the {match['side']} {count}"
    return Operation(CUT, name, 0.06, lambda value: cut(value, count), lambda value: cut(value, count + 1))


def nth_item(match: re.Match[str]) -> Operation:
    """Take the item at a position."""
    nth = match["nth"] or match["place"]
    return Operation(
        REDUCE,
        f"take the {nth}",
        0.07,
        lambda value: at(value, index_of(nth, len(items(value)))),
        lambda value: at(value, index_of(nth, len(items(value))) + (1 if nth != "last" else -1)),
    )


def nth_extreme(match: re.Match[str]) -> Operation:
    """Take the second largest and the like; equal numbers count once."""
    place = index_of(match["nth"], 0)
    largest = bool(re.search("larg|high|big|great", match["kind"]))
    return Operation(
        REDUCE,
        f"take the {match['nth']} {match['kind']}",
        0.14,
        lambda value: at(sorted(set(numbers(value)), reverse=largest), place),
        lambda value: at(sorted(numbers(value), reverse=largest), place + 1),
    )


def kind_filter(match: re.Match[str]) -> Operation:
    """Keep or remove the even, odd, positive or negative ones."""
    kind, removing = match["kind"], bool(re.match(r"remov|drop|delete|without|exclud", match[0]))
    tests: dict[str, Callable[[Fraction], bool]] = {
        "even": lambda number: number % 2 == 0,
        "odd": lambda number: number % 2 == 1,
        "positive": lambda number: number > 0,
        "negative": lambda number: number < 0,
    }
    name = f"{'remove' if removing else 'keep'} the {kind} ones"
    keep = tests[kind]
    return Operation(FILTER, name, 0.07, lambda value: [n for n in numbers(value) if keep(n) != removing])


def bound_filter(match: re.Match[str]) -> Operation:
    """Keep or remove what lies above or below a bound."""
    bound, above = Fraction(match["n"]), bool(re.search("great|larg|more|above|over|bigg|high", match["kind"]))
    removing = bool(re.match(r"remov|drop|delete|exclud", match[0]))

    def keep(value: Value) -> Value:
        return [n for n in numbers(value) if (n > bound if above else n < bound) != removing]

    name = f"{'remove' if removing else 'keep'} those {'above' if above else 'below'} {show(bound)}"

    def slip(value: Value) -> Value:
        return [n for n in numbers(value) if (n >= bound if above else n <= bound) != removing]

    return Operation(FILTER, name, 0.08, keep, slip)


def shift_letters(match: re.Match[str]) -> Operation:
    """A Caesar shift."""
    amount = int(match["n"]) * (-1 if re.search(r"back|left|decod|decrypt", match[0]) else 1)
    return Operation(
        CHANGE,
        f"shift each letter by {amount}",
        0.42,
        lambda value: caesar(text(value), amount),
        lambda value: caesar(text(value), amount + 1),
    )


def change_each(match: re.Match[str]) -> Operation:
    """The same change to each number."""
    verb, amount = match["verb"], Fraction(match["n"] or match["k"] or 2)
    table: dict[str, Callable[[Fraction], Fraction]] = {
        "add": lambda number: number + amount,
        "subtract": lambda number: number - amount,
        "multiply": lambda number: number * amount,
        "double": lambda number: number * 2,
        "triple": lambda number: number * 3,
        "square": lambda number: number * number,
    }
    change = table[verb]

    def act(value: Value) -> Value:
        return [change(number) for number in numbers(value)]

    def slip(value: Value) -> Value:
        found = numbers(value)
        return [*[change(number) for number in found[:-1]], *found[-1:]]

    return Operation(CHANGE, f"{verb} each", 0.1, act, slip)


def change_case(match: re.Match[str]) -> Operation:
    """Upper or lower case."""
    upper = "upper" in match[0] or "capital" in match[0]

    def change(word: str) -> str:
        return word.upper() if upper else word.lower()

    def act(value: Value) -> Value:
        if isinstance(value, list):
            return [change(item) if isinstance(item, str) else item for item in value]
        return change(text(value))

    return Operation(CHANGE, "upper case" if upper else "lower case", 0.03, act)


def letter_count(match: re.Match[str]) -> Operation:
    """Count one letter, without regard to case."""
    letter = match["letter"]
    return Operation(
        REDUCE,
        f"count the letter {letter}",
        0.1,
        lambda value: Fraction(text(value).lower().count(letter.lower())),
        lambda value: Fraction(max(0, text(value).lower().count(letter.lower()) - 1)),
    )


def start_filter(match: re.Match[str]) -> Operation:
    """Keep the words that start or end with a letter."""
    letter = match["letter"].lower()
    end = match["where"].startswith("end")

    def keep(value: Value) -> Value:
        return [
            w for w in items(value) if (str(w).lower().endswith(letter) if end else str(w).lower().startswith(letter))
        ]

    return Operation(FILTER, f"keep those that {match['where']} with {letter}", 0.08, keep)


def replace_letter(match: re.Match[str]) -> Operation:
    """Replace a letter everywhere."""
    old, new = match["old"], match["new"]
    return Operation(
        CHANGE,
        f"replace {old} with {new}",
        0.1,
        lambda value: text(value).replace(old, new),
        lambda value: text(value).replace(old, new, 1),
    )


def count_item(match: re.Match[str]) -> Operation:
    """Count how often an item appears."""
    wanted = match["what"].strip("'\"")
    return Operation(
        REDUCE,
        f"count {wanted}",
        0.1,
        lambda value: Fraction(sum(shown(item) == wanted for item in items(value))),
    )


def join_with(match: re.Match[str]) -> Operation:
    """Join the items to one text."""
    glue = {"h": "-", "d": "-", "s": " ", "c": ",", "u": "_"}[match["glue"][0]]
    return Operation(REDUCE, f"join with {glue!r}", 0.05, lambda value: glue.join(map(shown, items(value))))
