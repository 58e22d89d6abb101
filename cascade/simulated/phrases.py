"""How instructions name the operations: one table from phrase to operation, tried from top to bottom.

Pure. The order matters: a phrase that is matched is taken out of its clause, so the longer ones stand first.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from cascade.simulated.operations import (
    CHANGE,
    FILTER,
    ORDER,
    REDUCE,
    Operation,
    bound_filter,
    change_case,
    change_each,
    count_item,
    cut_off,
    join_with,
    kind_filter,
    letter_count,
    nth_extreme,
    nth_item,
    replace_letter,
    shift_letters,
    sort_by,
    start_filter,
)
from cascade.simulated.values import (
    Item,
    NotPossibleError,
    Value,
    items,
    like,
    median,
    mode,
    numbers,
    product,
    text,
)

Builder: TypeAlias = Callable[[re.Match[str]], Operation]
VOWELS = "aeiou"
ORDINAL = r"(?P<nth>first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|\d+(?:st|nd|rd|th))"
_ITEM = r"(?:elements?|numbers?|items?|words?|values?|entry|entries|integers?|letters?|characters?|names?|ones?)"


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


TABLE: tuple[tuple[str, Builder], ...] = (
    (
        (
            r"how many times (?:does|do|is|are) (?:the (?:number|word|letter|item) )?(?P<what>'?[\w.-]+'?\"?)(?: "
            r"appears?| occurs?)?.*LIST"
        ),
        count_item,
    ),
    (rf"{ORDINAL}[- ](?P<kind>largest|highest|biggest|greatest|smallest|lowest)(?: {_ITEM})?", nth_extreme),
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
    (r"\b(?:sort|order|arrange|rank|alphabeti[sz]e)(?:s|ed)?\b(?: (?!and\b|then\b)[\w']+)*", sort_by),
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
        kind_filter,
    ),
    (
        (
            r"(?:(?:remove|drop|delete|exclude)(?: all| any| everything)?(?: the)? )?(?:numbers |elements |values "
            r"|items |ones )?(?:that are |which are |are )?\b"
            r"(?P<kind>greater|larger|bigger|more|higher|less|smaller|lower) than (?P<n>-?\d+)"
        ),
        bound_filter,
    ),
    (r"\b(?P<where>start|begin|end)(?:s|ing)? with (?:the letter |an? )?['\"]?(?P<letter>[a-z])\b['\"]?", start_filter),
    (
        (
            r"(?:caesar|shift|rotate|encode|encrypt|decode|decrypt|cipher)\b.*?(?:by|of) (?P<n>\d+)(?: "
            r"(?:positions?|places|letters))?"
            r"(?: (?:forward|back(?:wards?)?|(?:to the )?(?:left|right)))?(?: in the alphabet)?"
        ),
        shift_letters,
    ),
    (r"\brot ?-?(?P<n>13)\b", shift_letters),
    (
        (
            r"\b(?P<verb>add|subtract|multiply|double|triple|square)\b(?: (?P<n>\d+) (?:to|from))? (?:each|every"
            r"|all)(?: of)?(?: the)?"
            r"(?: (?:numbers?|elements?|values?|items?))?(?: by (?P<k>\d+))?"
        ),
        change_each,
    ),
    (
        (
            r"replace (?:each |every |all )?(?:the )?(?:letter )?['\"]?(?P<old>[a-z])['\"]?s? (?:with|by) (?:the "
            r"letter )?['\"]?(?P<new>[a-z])\b['\"]?"
        ),
        replace_letter,
    ),
    (r"\b(?:upper ?-?case|lower ?-?case|capital(?:s|ise|ize| letters))\b", change_case),
    (
        r"\b(?:reverse|backwards?)[ds]?\b(?: order)?|\bin reverse\b",
        fixed(ORDER, "reverse", 0.06, _reversed, lambda v: v),
    ),
    (
        (
            rf"(?:(?:remove|drop|delete|skip|take|keep|get|return) )?(?:only )?(?:the )?\b(?P<side>first|last) "
            rf"(?P<n>\d+)(?: {_ITEM})?"
        ),
        cut_off,
    ),
    (
        (
            r"(?:remove|drop|delete|skip) (?:the )?\b(?P<side>first|last)(?P<n>) (?:element|number|item|word"
            r"|letter|character)"
        ),
        cut_off,
    ),
    (r"\bpalindromes?\b", fixed(REDUCE, "compare with its reverse", 0.12, _palindrome)),
    (
        (
            r"(?:how many|number of|count)(?: of)?(?: all)?(?: the)? (?:times (?:does |is |do )?)?(?:the "
            r")?(?:letter |letters )?['\"]?(?P<letter>[a-z])['\"]?(?:'?s)?"
            r"(?= (?:are|is|does|do|occur|appear|in)\b| ?$)(?:.*(?:appear|occur)s?)?"
        ),
        letter_count,
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
        nth_item,
    ),
    (
        r"\bjoin\b(?: \w+)* (?:with|by) (?:a |an )?(?P<glue>hyphens?|dash(?:es)?|spaces?|commas?|underscores?)",
        join_with,
    ),
)
