"""The final value in an answer's text, for judging: what `router.answers` finds, else a looser guess at it.

Pure. Looser: JSON fields of other names, a text of one word or one list, the last number in prose.
"""

import json
import re
from typing import Any

from cascade.simulated.numbers import read
from router.answers import written_answer

_NUMBER = re.compile(r"-?\d+(?:,\d{3})*(?:\.\d+)?(?:/\d+)?")
ANSWER_FIELDS = ("answer", "final_answer", "result", "value", "solution", "output")
_TAIL_CHARS = 20000


def answer_field(obj: Any) -> Any:
    """The answer-like field of a JSON object; None where there is none."""
    if isinstance(obj, dict):
        return next((obj[name] for name in ANSWER_FIELDS if name in obj), None)
    return None


def _from_json(text: str) -> str | None:
    if not text.startswith(("{", "```")):
        return None
    try:
        found = answer_field(json.loads(re.sub(r"^```\w*\n|```$", "", text).strip()))
    except (ValueError, RecursionError):
        return None
    if isinstance(found, list):
        return f"[{', '.join(map(str, found))}]"
    if isinstance(found, bool):
        return "yes" if found else "no"
    return None if found is None else str(found)


def final_value(text: str) -> str | None:
    """What the text says in the end; None where nothing can be told apart from prose."""
    text = text[-_TAIL_CHARS:].strip()
    if (found := _from_json(text)) is not None:
        return found
    if said := written_answer(text):
        return said.strip().strip("*").rstrip(".").strip()
    if re.fullmatch(r"\S+", text) or re.fullmatch(r"\[[^\]]*\]\.?", text):
        return text.strip("*").rstrip(".")
    if numbers := _NUMBER.findall(text):
        return str(numbers[-1])
    return None


def same(left: str, right: str) -> bool:
    """Whether two final values mean the same: numbers by value, text without case, quotes and spacing."""
    one, two = read(left), read(right)
    if one is not None and two is not None:
        return one == two
    return _plain(left) == _plain(right)


def _plain(text: str) -> str:
    return re.sub(r"[\s'\"()*`$]|^\[|\]$", "", text).lower()
