r"""The final answer in a model's text, and whether two of them agree.

The law of this file: pure, one function for all who compare answers (labels, agreement, replay), and bounded: phrases
are looked for in the last `TAIL_CHARS` of a text, where answers end, and no candidate longer than `MAX_ANSWER_CHARS`.

In this order, and within each the last occurrence wins: a JSON `answer` field (the whole text, a fenced block, an
object at the very end), `\boxed{}`, "the answer is ..." or "answer: ...", a lone number or letter. Nothing found is "",
which agrees with nothing.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A final answer is short; what is longer is an essay, and not compared.
MAX_ANSWER_CHARS = 2_000
#: Where a final answer is looked for, unless the whole text is JSON: nobody hides it a book before the end.
TAIL_CHARS = 50_000
#: How many of the last occurrences of a form are tried before giving up (cut or empty ones are passed over).
TRIES = 8

_FENCE = re.compile(r"```[ \t]*(?:json|JSON)?[ \t]*\r?\n")
_BOXED = re.compile(r"\\(?:boxed|fbox)[ \t]{0,8}\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LEAD = re.compile(
    r"\banswer\b[*_`\"']{0,4}[ \t]{0,4}(?:to\b[^.:\n]{1,60}?[ \t])?(?:is\b|:|=)[ \t]{0,4}:?[*_`\"']{0,4}\s{0,8}",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[.!?;](?=\s|$)|[\r\n]")
_REASON = re.compile(r",?[ \t](?:because|since|as)\b", re.IGNORECASE)
_CHOICE = re.compile(
    r"(?:[Oo]ption |[Cc]hoice )?(?:\(([A-Za-z])\)(?=$|[\s.,:;])|([A-Z])(?=$|[).:,;](?:\s|$))|([A-Z])(?=\*\*))"
)
_LETTER = re.compile(r"(?:(?:option|choice) )?[(\[]?([A-Z])[)\]]?", re.IGNORECASE)
_NUMBER = re.compile(r"([-+]?)(\d{1,3}(?:,\d{3})+|\d*)(?:\.(\d*))?")
_FRACTION = re.compile(r"[-+]?\d{1,40}/\d{1,40}")
_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|boxed|fbox)[ ]?\{([^{}]*)\}")
_AROUND_OPERATOR = re.compile(r" ?([-+*/=^(){}\[\],|<>]) ?")
_LATEX = (("{,}", ","), ("\\!", ""), ("\\,", ""), ("\\left", ""), ("\\right", ""), ("dfrac", "frac"), ("tfrac", "frac"))
_DASHES = str.maketrans({"\u2212": "-", "\u2013": "-"})
_OPENING = " \t\r\n*_`\"':"
_CLOSING = " \t\r\n*_`\"'.,;:"


def final_answer(text: str) -> str:
    """The extracted and normalised final answer; "" where there is none.

    A text that is a JSON object as a whole has its `answer` or none: its other fields are not searched for phrases.
    """
    return normalise(written_answer(text))


def written_answer(text: str) -> str:
    """The final answer as it was written, before `normalise`; "" where there is none."""
    whole = _json_object(text.strip())
    if whole is not None:
        return _json_answer(whole)
    tail = text[-TAIL_CHARS:]
    candidates = chain.from_iterable(look(tail) for look in (_from_json, _from_boxed, _from_phrase, _from_lone))
    return next((candidate for candidate in candidates if normalise(candidate)), "")


def agrees(one: str, other: str) -> bool:
    """Whether two final answers are the same; "" agrees with nothing.

    Answers read by `final_answer` are normalised already; those that an upstream hands over are compared to the letter,
    since it alone knows whether case or quotes matter.
    """
    return bool(one) and one == other


def normalise(answer: str) -> str:
    """One spelling per answer: `70.0` = `70`, `1,000` = `1000`, `$5` = `5`, `B.` = `(b)`, `x + 1` = `x+1`.

    Idempotent; "" for what is empty or longer than `MAX_ANSWER_CHARS`.
    """
    if len(answer) > MAX_ANSWER_CHARS:
        return ""
    before = None
    while before != answer:  # each round takes characters away or leaves all as it is, so this ends
        before, answer = answer, _respelt(answer)
    return answer


def _respelt(answer: str) -> str:
    plain = _plain(" ".join(answer.split()))
    return _letter(plain) or _number(plain) or _AROUND_OPERATOR.sub(r"\1", " ".join(plain.casefold().split()))


def _plain(answer: str) -> str:
    """Without markdown, quotes, closing punctuation, currency, percent and LaTeX wrapping, however nested."""
    before = None
    while before != answer:
        before = answer
        answer = _WRAPPER.sub(r"\1", answer.translate(_DASHES))
        for latex, short in _LATEX:
            answer = answer.replace(latex, short)
        answer = (
            answer.lstrip(_OPENING)
            .rstrip(_CLOSING)
            .removeprefix("\\(")
            .removesuffix("\\)")
            .removeprefix("\\$")
            .strip("$")
        )
        answer = answer.removesuffix("^\\circ").rstrip("%\\")
    return answer


def _letter(answer: str) -> str:
    match = _LETTER.fullmatch(answer)
    return match[1].lower() if match else ""


def _number(answer: str) -> str:
    """A decimal number without sign of plus, thousands commas, leading and trailing zeros; "" for anything else."""
    match = _NUMBER.fullmatch(answer.replace("$", "", 1))
    if match is None or not (match[2] or match[3]):
        return ""
    whole = match[2].replace(",", "").lstrip("0") or "0"
    rest = (match[3] or "").rstrip("0")
    sign = "-" if match[1] == "-" and (whole != "0" or rest) else ""
    return f"{sign}{whole}.{rest}" if rest else f"{sign}{whole}"


def _from_json(text: str) -> Iterator[str]:
    """The `answer` of its last fenced blocks, of a flat object at its end."""
    for fence in reversed(deque(_FENCE.finditer(text), maxlen=TRIES)):
        end = text.find("```", fence.end())
        yield _json_answer(_json_object(text[fence.end() : end if end >= 0 else len(text)].strip()))
    stripped = text.rstrip()
    yield _json_answer(_json_object(stripped[max(stripped.rfind("{"), 0) :]))


def _json_object(text: str) -> Mapping[str, Any] | None:
    if not (text.startswith("{") and text.endswith("}")):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, Mapping) else None


def _json_answer(found: Mapping[str, Any] | None) -> str:
    value = found.get("answer") if found else None
    if value is None:
        return ""
    return _inner(value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":")))


def _inner(value: str) -> str:
    """An answer that a JSON field or a phrase wraps once more: its boxed part, its phrase, or itself."""
    for candidates in (_from_boxed, _from_phrase):
        for candidate in candidates(value):
            if candidate:
                return candidate
    return value


def _from_boxed(text: str) -> Iterator[str]:
    for match in reversed(deque(_BOXED.finditer(text), maxlen=TRIES)):
        yield _braced(text, match.end())


def _braced(text: str, start: int) -> str:
    r"""What stands between an opened brace and its own closing one; "" where it is cut. `\{` and `\}` do not count."""
    depth = 1
    for match in _BRACE.finditer(text, start, start + MAX_ANSWER_CHARS):
        depth += {"{": 1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return text[start : match.start()]
    return ""


def _from_phrase(text: str) -> Iterator[str]:
    for match in reversed(deque(_LEAD.finditer(text), maxlen=TRIES)):
        yield _phrase(text[match.end() : match.end() + MAX_ANSWER_CHARS])


def _phrase(rest: str) -> str:
    """The option's letter where one leads ("B) Paris", "(B), because"), else the rest of the sentence."""
    rest = rest.lstrip("*_`\"' \t")
    sentence = _SENTENCE_END.split(rest, maxsplit=1)[0]
    sentence = _REASON.split(sentence, maxsplit=1)[0]
    choice = _CHOICE.match(sentence)
    return (choice[1] or choice[2] or choice[3]) if choice else sentence


def _from_lone(text: str) -> Iterator[str]:
    stripped = text.strip()
    if len(stripped) <= MAX_ANSWER_CHARS:
        plain = _plain(stripped)
        if _letter(plain) or _number(plain) or _FRACTION.fullmatch(plain):
            yield plain
