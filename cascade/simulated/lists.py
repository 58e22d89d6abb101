"""Questions about lists and strings: find the data, read the instruction clause by clause, run the operations.

Pure. An instruction with words left over that no operation and no filler explains is not recognised.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

from cascade.simulated.numbers import NUMBER, read, with_digits
from cascade.simulated.operations import FILTER as FILTER_STAGE
from cascade.simulated.operations import Operation
from cascade.simulated.phrases import TABLE
from cascade.simulated.tasks import LISTS, Task, make_task
from cascade.simulated.values import NotPossibleError, Value, items, shown

_BRACKETS = re.compile(r"\[([^\[\]]{1,3000})\]")
_QUOTED = re.compile(
    r"\"([^\"\n]{1,500})\"|(?<!\w)'([^'\n]{1,500})'(?!\w)|\u201c([^\u201d\n]{1,500})\u201d|`([^`\n]{1,500})`"
)
_NUMBER_RUN = re.compile(rf"(?<![\w.]){NUMBER}(?:\s*,\s*(?:and\s+)?{NUMBER}(?![\w.]*\w))+(?:\s+and\s+{NUMBER})?")
_WORD_RUN = re.compile(
    r"(?:(?<=: )|(?<=words )|(?<=names )|(?<=list ))(?!in |of )[A-Za-z]+(?:, (?:and )?[A-Za-z]+){2,}(?:,? and "
    r"[A-Za-z]+)?"
)
_BARE = re.compile(
    r"(?:\b(?:word|string|name) (?!in\b|of\b|by\b|at\b|has\b|is\b)|\bspell )(?P<a>[A-Za-z]{2,40})\b"
    r"|\b(?:vowels|consonants|letters|characters|letter [a-z]|[a-z]'s)(?: are(?: there)?| does)? in "
    r"(?P<b>(?!the\b|this\b|LIST\b)[A-Za-z]{2,40})\b"
    r"|\b[Ii]s (?P<c>(?!the\b|it\b|this\b)[A-Za-z]{2,40}) a palindrome"
    r"|\b(?:[Rr]everse|[Uu]ppercase|[Cc]apitali[sz]e) (?P<d>(?!the\b|it\b|this\b|them\b|order\b|LIST\b|words\b"
    r"|each\b|all\b)[A-Za-z]{2,40})[?.!]?$"
)
_VERBS = (
    "take|reverse|sort|order|arrange|remove|keep|count|add|sum|give|return|find|join|uppercase|lowercase"
    "|convert|multiply|"
    "double|triple|square|replace|tell|what|how|shift|drop|capitali[sz]e|make|compute|calculate|get|report"
    "|delete|subtract|"
    "pick|which|capital|turn|write|name|state|list|only|change|skip|encode|concatenate|output"
)
_SPLIT = re.compile(
    rf"[.;!?:]+(?:\s+|$)|,?\s*(?:\band\s+)?\b(?:then|after that|afterwards|finally|next|lastly)\b,?|,\s*(?:and\s+)?"
    rf"|\s+and\s+(?=(?:{_VERBS})\b)",
)
_FILLER_WORDS = """
a after all an and appear appears apply are array as at be before begin big by caesar calculate can change
character characters cipher collection compute consider convert could data determine did do does each element
elements entry every filtered final find first following for from get give given gives has have hello here hey
hi how i i'd if in integer integers into is it item items its just keep left left-over let let's letter letters
like list lists lst make many me name names need new now number numbers occur of on one ones only or order
original out output perform phrase pick please print question remain remaining report result result's resulting
results return returns same say second sentence sequence set show so sorted spell spelled start starting state
str string strings take tell text that the their them there thereof these they this those to turn up us using
value values want we what whats when where which who will with word words would write you your
"""
_FILLER = frozenset(_FILLER_WORDS.split())
_BOTH = re.compile(r"\bcommon\b|\bboth\b|\bintersect(?:ion)?\b|\bshare[ds]?\b|\boverlap\b")
_UNION = re.compile(r"\bunion\b|\bmerge[d]?\b|\bcombin(?:e|ed|ing)\b|\bconcatenat(?:e|ed|ion|ing)\b")
_MINUS = re.compile(r"\b(?:but|and) (?:are )?not (?:in )?|\bset difference\b|\bmissing from\b")
_ANAGRAM = re.compile(r"\banagrams?(?: of each other)?\b")
_MAX_CHARS = 6000
_Data: TypeAlias = "list[Value]"


def _parse_items(inner: str) -> Value:
    parts = [part.strip().strip("'\"") for part in re.split(r",\s*(?:and\s+)?|\s+and\s+", inner)]
    return [part if (number := read(part)) is None else number for part in parts]


def _extract(text: str) -> tuple[str, _Data]:
    """The instruction, with LIST and STR where the data stood, and the data in order."""
    data: _Data = []

    def take_list(match: re.Match[str]) -> str:
        data.append(_parse_items(match[match.lastindex or 0]))
        return " LIST "

    def take_string(match: re.Match[str]) -> str:
        found = next(group for group in match.groups() if group)
        if len(found) == 1:
            return found
        data.append(found)
        return " STR "

    def take_bare(match: re.Match[str]) -> str:
        found = next(group for group in match.groups() if group)
        data.append(found)
        start = match.start(match.lastgroup or 0) - match.start()
        return match[0][:start] + " STR " + match[0][start + len(found) :]

    for pattern, take in ((_BRACKETS, take_list), (_QUOTED, take_string)):
        text = pattern.sub(take, text)
    if not data:
        text = _NUMBER_RUN.sub(take_list, text)
    if not data:
        text = _WORD_RUN.sub(take_list, text)
    if not data:
        text = _BARE.sub(take_bare, text, count=1)
    if len(data) > 2 and all(isinstance(value, str) for value in data):  # noqa: PLR2004 - three quoted words are a list
        data = [[str(value) for value in data]]
        text = re.sub(r"STR(?:[\s,]+(?:and\s+)?STR)+", "LIST", text)
    return text, data


def _lower(text: str) -> str:
    lowered = with_digits(text.lower())
    return re.sub(r"\s+", " ", re.sub(r"\b(list|str)\b(?= |$)", lambda match: match[0], lowered)).strip()


def _clauses(instruction: str) -> list[str]:
    parts = re.split(r"( LIST | STR )", f" {instruction} ")
    text = "".join(part if part in {" LIST ", " STR "} else _lower_keep(part) for part in parts)
    text = re.sub(r"\s+", " ", text)
    return [part.strip() for part in _SPLIT.split(text) if part and part.strip()]


def _lower_keep(part: str) -> str:
    return f" {_lower(part)} " if part.strip() else " "


def _merged(instruction: str, data: _Data) -> tuple[str, Value, str] | None:
    """Two pieces of data made one by a set operation, and what was done; None where nothing says how."""
    one, two = data
    if isinstance(one, str) and isinstance(two, str):
        same = sorted(one.lower().replace(" ", "")) == sorted(two.lower().replace(" ", ""))
        return (
            (_ANAGRAM.sub(" ", instruction), same, "compare the sorted letters")
            if _ANAGRAM.search(instruction)
            else None
        )
    if isinstance(one, str) or isinstance(two, str):
        return None
    first, second = items(one), items(two)
    table = (
        (_MINUS, [item for item in first if item not in second], "keep those that only the first has"),
        (_BOTH, [item for item in dict.fromkeys(first) if item in second], "keep those in both"),
        (_UNION, [*first, *second], "put the lists together"),
    )
    for pattern, value, name in table:
        if pattern.search(instruction):
            done = value if "union" not in instruction else list(dict.fromkeys(value))
            return pattern.sub(" ", instruction), list(done), name
    return None


def _operations(clause: str) -> tuple[list[Operation], str]:
    found: list[Operation] = []
    for pattern, build in _ROWS:
        while match := pattern.search(clause):
            operation = build(match)
            found.append(operation)
            mark = " FILTERED " if operation.stage == FILTER_STAGE else " "
            clause = re.sub(r"\s+", " ", clause[: match.start()] + mark + clause[match.end() :]).strip()
    return sorted(found, key=lambda operation: operation.stage), clause


_ROWS = tuple((re.compile(pattern), build) for pattern, build in TABLE)


def _read_instruction(instruction: str) -> list[Operation] | None:
    operations: list[Operation] = []
    for clause in _clauses(instruction):
        found, rest = _operations(clause)
        operations += found
        words = re.findall(r"[a-z0-9'-]+", rest.replace("LIST", " ").replace("STR", " ").replace("FILTERED", " "))
        if any(word not in _FILLER for word in words):
            return None
    return operations


def _run(value: Value, operations: Sequence[Operation], careless: int = -1) -> list[Value]:
    values = []
    for place, operation in enumerate(operations):
        value = (operation.slip or (lambda value: value))(value) if place == careless else operation.act(value)
        values.append(value)
    return values


def _slips(start: Value, operations: Sequence[Operation]) -> list[str]:
    """What comes out when one step, the last first, is done carelessly or forgotten."""
    found = []
    for place in reversed(range(len(operations))):
        try:
            found.append(shown(_run(start, operations, place)[-1]))
        except NotPossibleError:
            continue
    return found


def _size_factor(value: Value) -> float:
    return 0.7 + 0.06 * min(20, len(items(value)))


def _solved(start: Value, operations: Sequence[Operation], merged: str) -> Task | None:
    values = _run(start, operations)
    cost = 0.2 if merged else 0.0
    steps = [f"{merged}: {shown(start)}"] if merged else []
    before = start
    for operation, value in zip(operations, values, strict=True):
        cost += operation.cost * _size_factor(before) + 0.03
        steps.append(f"{operation.name}: {shown(value)}")
        before = value if isinstance(value, list | str) else []
    final = shown(values[-1] if values else start)
    return make_task(LISTS, final, cost + 0.02 * len(operations), steps, _slips(start, operations)) if final else None


def solve(question: str) -> Task | None:
    """The list or string task that the question is; None where it is something else."""
    if len(question) > _MAX_CHARS:
        return None
    instruction, data = _extract(question)
    merged = ""
    if len(data) == 2:  # noqa: PLR2004 - two pieces need an operation that joins them
        made = _merged(instruction.lower().replace(" list ", " LIST ").replace(" str ", " STR "), data)
        if made is None:
            return None
        instruction, start, merged = made
    elif len(data) == 1:
        start = data[0]
    else:
        return None
    try:
        operations = _read_instruction(instruction)
        return _solved(start, operations, merged) if operations or (operations is not None and merged) else None
    except (NotPossibleError, ValueError, KeyError):
        return None
