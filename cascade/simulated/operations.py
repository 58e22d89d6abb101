"""Operations on lists and strings: what each does, what it costs a small head, how the instruction names it.

Pure. A value is a list of Fractions or strings, one of those, or a truth value. Operations within one clause run in the
order of their stage: filter, change, order, cut, reduce; "the sum of the even numbers" filters first.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from cascade.simulated.numbers import show

Item: TypeAlias = Fraction | str
Value: TypeAlias = list[Item] | Fraction | str | bool
FILTER, CHANGE, ORDER, CUT, REDUCE = range(5)
VOWELS = "aeiou"
_ORDINALS = dict(
    zip(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"],
        range(1, 11),
        strict=True,
    )
)
ORDINAL = r"(?P<nth>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|\d+(?:st|nd|rd|th))"
_ITEM = r"(?:elements?|numbers?|items?|words?|values?|entry|entries|integers?|letters?|characters?|names?|ones?)"


class NotPossibleError(ValueError):
    """The operation does not apply to the value it meets, so the question was misread."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One step: `slip` is what a careless head does instead."""

    stage: int
    name: str
    cost: float
    act: Callable[[Value], Value]
    slip: Callable[[Value], Value] | None = None


Builder: TypeAlias = "Callable[[re.Match[str]], Operation]"


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
    key: Callable[[Item], tuple[Fraction | int, str]] = (
        (lambda item: (len(str(item)), "")) if by_length else (lambda item: _sort_key(item))
    )
    return like(value, sorted(found, key=key, reverse=descending))


def _sort_key(item: Item) -> tuple[Fraction | int, str]:
    return (item, "") if isinstance(item, Fraction) else (0, item.lower())


def _sort(match: re.Match[str]) -> Operation:
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


def _cut(match: re.Match[str]) -> Operation:
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


def _nth(match: re.Match[str]) -> Operation:
    nth = match["nth"] or match["place"]
    return Operation(
        REDUCE,
        f"take the {nth}",
        0.07,
        lambda value: at(value, index_of(nth, len(items(value)))),
        lambda value: at(value, index_of(nth, len(items(value))) + (1 if nth != "last" else -1)),
    )


def _extreme_nth(match: re.Match[str]) -> Operation:
    place = index_of(match["nth"], 0)
    largest = bool(re.search("larg|high|big|great", match["kind"]))
    return Operation(
        REDUCE,
        f"take the {match['nth']} {match['kind']}",
        0.14,
        lambda value: at(sorted(set(numbers(value)), reverse=largest), place),
        lambda value: at(sorted(numbers(value), reverse=largest), place + 1),
    )


def _kept(match: re.Match[str]) -> Operation:
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


def _limit(match: re.Match[str]) -> Operation:
    bound, above = Fraction(match["n"]), bool(re.search("great|larg|more|above|over|bigg|high", match["kind"]))
    removing = bool(re.match(r"remov|drop|delete|exclud", match[0]))

    def keep(value: Value) -> Value:
        return [n for n in numbers(value) if (n > bound if above else n < bound) != removing]

    name = f"{'remove' if removing else 'keep'} those {'above' if above else 'below'} {show(bound)}"
    slip = lambda value: (
        [n for n in numbers(value) if n >= bound] if above else [n for n in numbers(value) if n <= bound]
    )
    return Operation(FILTER, name, 0.08, keep, slip)


def _shift(match: re.Match[str]) -> Operation:
    amount = int(match["n"]) * (-1 if re.search(r"back|left|decod|decrypt", match[0]) else 1)
    return Operation(
        CHANGE,
        f"shift each letter by {amount}",
        0.42,
        lambda value: caesar(text(value), amount),
        lambda value: caesar(text(value), amount + 1),
    )


def _each_number(match: re.Match[str]) -> Operation:
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


def _case(match: re.Match[str]) -> Operation:
    upper = "upper" in match[0] or "capital" in match[0]

    def change(word: str) -> str:
        return word.upper() if upper else word.lower()

    def act(value: Value) -> Value:
        if isinstance(value, list):
            return [change(item) if isinstance(item, str) else item for item in value]
        return change(text(value))

    return Operation(CHANGE, "upper case" if upper else "lower case", 0.03, act)


def _letter_count(match: re.Match[str]) -> Operation:
    letter = match["letter"]
    return Operation(
        REDUCE,
        f"count the letter {letter}",
        0.1,
        lambda value: Fraction(text(value).lower().count(letter.lower())),
        lambda value: Fraction(max(0, text(value).lower().count(letter.lower()) - 1)),
    )


def _starting(match: re.Match[str]) -> Operation:
    letter = match["letter"].lower()
    end = match["where"].startswith("end")

    def keep(value: Value) -> Value:
        return [
            w for w in items(value) if (str(w).lower().endswith(letter) if end else str(w).lower().startswith(letter))
        ]

    return Operation(FILTER, f"keep those that {match['where']} with {letter}", 0.08, keep)


def _replace(match: re.Match[str]) -> Operation:
    old, new = match["old"], match["new"]
    return Operation(
        CHANGE,
        f"replace {old} with {new}",
        0.1,
        lambda value: text(value).replace(old, new),
        lambda value: text(value).replace(old, new, 1),
    )


def _times(match: re.Match[str]) -> Operation:
    wanted = match["what"].strip("'\"")
    return Operation(
        REDUCE,
        f"count {wanted}",
        0.1,
        lambda value: Fraction(sum(shown(item) == wanted for item in items(value))),
    )


def fixed(
    stage: int, name: str, cost: float, act: Callable[[Value], Value], slip: Callable[[Value], Value] | None = None
) -> Builder:
    """A builder for an operation without parameters."""
    operation = Operation(stage, name, cost, act, slip)
    return lambda _: operation


def _reversed(value: Value) -> Value:
    return like(value, items(value)[::-1])


def _deduped(value: Value) -> Value:
    return like(value, list(dict.fromkeys(items(value))))


def _words(value: Value) -> list[Item]:
    return list(text(value).split()) if isinstance(value, str) else items(value)


def _letters(value: Value) -> list[str]:
    return [char for char in text(value) if char.isalpha()]


def _vowels(value: Value) -> list[str]:
    return [char for char in _letters(value) if char.lower() in VOWELS]


def _palindrome(value: Value) -> bool:
    plain = [char.lower() for char in text(value) if char.isalnum()]
    return plain == plain[::-1]


def _by_length(value: Value, *, longest: bool) -> Item:
    found = _words(value)
    if not found or isinstance(found[0], Fraction):
        raise NotPossibleError("not words")
    return (max if longest else min)(found, key=lambda word: len(str(word)))


def _join(match: re.Match[str]) -> Operation:
    glue = {"h": "-", "d": "-", "s": " ", "c": ",", "u": "_"}[match["glue"][0]]
    return Operation(REDUCE, f"join with {glue!r}", 0.05, lambda value: glue.join(map(shown, items(value))))


TABLE: tuple[tuple[str, Builder], ...] = (
    (
        (
            r"how many times (?:does|do|is|are) (?:the (?:number|word|letter|item) )?(?P<what>'?[\w.-]+'?\"?)(?: "
            r"appears?| occurs?)?.*LIST"
        ),
        _times,
    ),
    (rf"{ORDINAL}[- ](?P<kind>largest|highest|biggest|greatest|smallest|lowest)(?: {_ITEM})?", _extreme_nth),
    (
        (
            r"(?:difference between the )?(?:largest|highest|max(?:imum)?) and (?:the )?(?:smallest|lowest"
            r"|min(?:imum)?)|\brange of"
        ),
        fixed(
            REDUCE,
            "largest minus smallest",
            0.1,
            lambda v: max(numbers(v)) - min(numbers(v)),
            lambda v: max(numbers(v)),
        ),
    ),
    (
        (
            r"(?:\bwords? )?in (?:the )?(?:reverse|opposite) order of (?:the )?words|reverse the (?:order of "
            r"the )?words|"
            r"reverse the word order"
        ),
        fixed(ORDER, "reverse the words", 0.1, lambda v: " ".join(text(v).split()[::-1]), lambda v: text(v)[::-1]),
    ),
    (r"\b(?:sort|order|arrange|rank|alphabeti[sz]e)(?:s|ed)?\b(?: (?!and\b|then\b)[\w']+)*", _sort),
    (
        (
            r"\b(?:(?:remove|delete|drop|without|eliminate|discard)(?: all| any)?(?: the)? (?:duplicates?"
            r"|repeated|repeats)|"
            r"de-?duplicate[d]?|(?:unique|distinct)(?! anagram))(?: (?:elements|numbers|values|items|words|letters))?"
        ),
        fixed(FILTER, "remove the duplicates", 0.09, _deduped, lambda v: v),
    ),
    (
        r"(?:remove|delete|drop|without)(?: all)?(?: the)? vowels",
        fixed(CHANGE, "remove the vowels", 0.1, lambda v: "".join(c for c in text(v) if c.lower() not in VOWELS)),
    ),
    (
        (
            r"(?:(?:remove|drop|delete|exclude)(?: all)?(?: the)? )?\b(?P<kind>even|odd|positive|negative)\b(?: "
            r"(?:numbers|elements|ones|values|integers))?"
        ),
        _kept,
    ),
    (
        (
            r"(?:(?:remove|drop|delete|exclude)(?: all| any| everything)?(?: the)? )?(?:numbers |elements |values "
            r"|items |ones )?(?:that are |which are |are )?\b"
            r"(?P<kind>greater|larger|bigger|more|higher|less|smaller|lower) than (?P<n>-?\d+)"
        ),
        _limit,
    ),
    (r"\b(?P<where>start|begin|end)(?:s|ing)? with (?:the letter |an? )?['\"]?(?P<letter>[a-z])\b['\"]?", _starting),
    (
        (
            r"(?:caesar|shift|rotate|encode|encrypt|decode|decrypt|cipher)\b.*?(?:by|of) (?P<n>\d+)(?: "
            r"(?:positions?|places|letters))?"
            r"(?: (?:forward|back(?:wards?)?|(?:to the )?(?:left|right)))?(?: in the alphabet)?"
        ),
        _shift,
    ),
    (r"\brot ?-?(?P<n>13)\b", _shift),
    (
        (
            r"\b(?P<verb>add|subtract|multiply|double|triple|square)\b(?: (?P<n>\d+) (?:to|from))? (?:each|every"
            r"|all)(?: of)?(?: the)?"
            r"(?: (?:numbers?|elements?|values?|items?))?(?: by (?P<k>\d+))?"
        ),
        _each_number,
    ),
    (
        (
            r"replace (?:each |every |all )?(?:the )?(?:letter )?['\"]?(?P<old>[a-z])['\"]?s? (?:with|by) (?:the "
            r"letter )?['\"]?(?P<new>[a-z])\b['\"]?"
        ),
        _replace,
    ),
    (r"\b(?:upper ?-?case|lower ?-?case|capital(?:s|ise|ize| letters))\b", _case),
    (
        r"\b(?:reverse|backwards?)[ds]?\b(?: order)?|\bin reverse\b",
        fixed(ORDER, "reverse", 0.06, _reversed, lambda v: v),
    ),
    (
        (
            rf"(?:(?:remove|drop|delete|skip|take|keep|get|return) )?(?:only )?(?:the )?\b(?P<side>first|last) "
            rf"(?P<n>\d+)(?: {_ITEM})?"
        ),
        _cut,
    ),
    (
        (
            r"(?:remove|drop|delete|skip) (?:the )?\b(?P<side>first|last)(?P<n>) (?:element|number|item|word"
            r"|letter|character)"
        ),
        _cut,
    ),
    (r"\bpalindromes?\b", fixed(REDUCE, "compare with its reverse", 0.12, _palindrome)),
    (
        (
            r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? (?:times (?:does |is |do )?)?(?:the "
            r")?(?:letter |letters )?['\"]?(?P<letter>[a-z])['\"]?(?:'?s)?"
            r"(?= (?:are|is|does|do|occur|appear|in)\b| ?$)(?:.*(?:appear|occur)s?)?"
        ),
        _letter_count,
    ),
    (
        r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? vowels",
        fixed(
            REDUCE,
            "count the vowels",
            0.1,
            lambda v: Fraction(len(_vowels(v))),
            lambda v: Fraction(max(0, len(_vowels(v)) - 1)),
        ),
    ),
    (
        r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? consonants",
        fixed(REDUCE, "count the consonants", 0.14, lambda v: Fraction(len(_letters(v)) - len(_vowels(v)))),
    ),
    (
        r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? words",
        fixed(REDUCE, "count the words", 0.06, lambda v: Fraction(len(_words(v)))),
    ),
    (
        r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? (?:letters|characters)|\bhow long is|\blength of",
        fixed(REDUCE, "count the characters", 0.08, lambda v: Fraction(len(items(v)))),
    ),
    (
        (
            r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)?(?: of them| (?:elements|numbers|items|values"
            r"|ones|entries|integers)|(?= FILTERED)|$)"
        ),
        fixed(REDUCE, "count the items", 0.05, lambda v: Fraction(len(items(v)))),
    ),
    (r"\bmedian\b", fixed(REDUCE, "take the median", 0.16, median, lambda v: numbers(v)[len(numbers(v)) // 2])),
    (
        r"\b(?:average|mean)\b",
        fixed(
            REDUCE,
            "divide the sum by the count",
            0.16,
            lambda v: sum(numbers(v), Fraction(0)) / len(numbers(v)),
            lambda v: sum(numbers(v), Fraction(0)) / (len(numbers(v)) + 1),
        ),
    ),
    (r"\bmode\b|most (?:frequent|common)(?: \w+)?", fixed(REDUCE, "take the most frequent", 0.14, mode)),
    (
        r"\b(?:sum|total)\b|\badd (?:up|them|together|everything)\b(?: all)?(?: up| together)?",
        fixed(
            REDUCE,
            "add them up",
            0.1,
            lambda v: sum(numbers(v), Fraction(0)),
            lambda v: sum(numbers(v)[:-1], Fraction(0)),
        ),
    ),
    (r"\bproduct\b|\bmultiply (?:them|the|all)", fixed(REDUCE, "multiply them", 0.2, product)),
    (
        rf"\b(?:max|maximum|largest|biggest|highest|greatest)\b(?: {_ITEM})?",
        fixed(REDUCE, "take the largest", 0.04, lambda v: max(numbers(v))),
    ),
    (
        rf"\b(?:min|minimum|smallest|lowest)\b(?: {_ITEM})?",
        fixed(REDUCE, "take the smallest", 0.04, lambda v: min(numbers(v))),
    ),
    (r"\blongest\b", fixed(REDUCE, "take the longest", 0.1, lambda v: _by_length(v, longest=True))),
    (r"\bshortest\b", fixed(REDUCE, "take the shortest", 0.1, lambda v: _by_length(v, longest=False))),
    (
        (
            rf"\b{ORDINAL} (?:{_ITEM})\b|(?:element|number|item|word|letter|character) (?:at|in) (?:the "
            rf")?{ORDINAL.replace('nth', 'place')} (?:position|place)"
        ),
        _nth,
    ),
    (r"\bjoin\b(?: \w+)* (?:with|by) (?:a |an )?(?P<glue>hyphens?|dash(?:es)?|spaces?|commas?|underscores?)", _join),
)
