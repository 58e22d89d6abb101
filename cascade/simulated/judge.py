"""A simulated judge: it solves the question itself, as well as its tier can, and compares.

Pure. Question and candidate stand between tags that carry a nonce, so text inside them cannot end them; what the
candidate asks of the judge is never read as an instruction. A weak judge is lenient, as the papers measured.
"""

import re
from dataclasses import dataclass

from cascade.simulated.chance import fraction
from cascade.simulated.final import final_value, same
from cascade.simulated.recognise import recognise
from cascade.simulated.tiers import knows

LENIENCE = 0.7
LENIENCE_RIGHT = 0.9
ERROR = 0.02
_OPENING = re.compile(r"<(?:context|question) id=[\"']?(?P<nonce>[0-9A-Za-z_-]{1,128})[\"']?>")

_TOOL_CALL = re.compile(r"\[\{.{0,200}\"function\"", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Case:
    """What a judge is asked about."""

    question: str
    candidate: str


def _between(text: str, name: str, nonce: str, start: int) -> tuple[str, int] | None:
    opening = re.compile(rf"<{name} id=[\"']?{re.escape(nonce)}[\"']?>").search(text, start)
    if not opening:
        return None
    closing = re.compile(rf"</{name} id=[\"']?{re.escape(nonce)}[\"']?>").search(text, opening.end())
    return (text[opening.end() : closing.start()].strip(), closing.end()) if closing else None


def read_case(text: str) -> Case | None:
    """The question and the candidate of a judge prompt; None for any other text."""
    opening = _OPENING.search(text)
    if not opening or "validity" not in text:
        return None
    question = _between(text, "question", opening["nonce"], opening.start())
    if question is None:
        return None
    candidate = _between(text, "answer", opening["nonce"], question[1])
    return Case(question[0], candidate[0]) if candidate else None


def says_nothing(candidate: str) -> bool:
    """Whether it is empty, or the bare word that declines to answer."""
    return not candidate.strip() or bool(re.fullmatch(r"abstain\.?", candidate.strip(), re.IGNORECASE))


def verdict(case: Case, tier: str, *luck: object) -> tuple[bool, float]:
    """Whether the tier accepts the candidate, and how hard it found that (0..1)."""
    candidate = case.candidate.strip()
    if says_nothing(candidate):
        return False, 0.0
    if _TOOL_CALL.search(candidate):
        return True, 0.5
    task = recognise(case.question)
    said = final_value(candidate)
    if task is None or said is None:
        return True, 0.5
    right = same(said, task.answer)
    unit = fraction("judge", tier, case.question, candidate, *luck)
    if knows(tier, task.difficulty, "judging", case.question, *luck):
        return right != (unit < ERROR), task.difficulty
    return unit < (LENIENCE_RIGHT if right else LENIENCE), task.difficulty


def judged(case: Case, tier: str, *luck: object) -> tuple[str, float]:
    """The judge's reply, ending in its `validity:` line, and the difficulty it met."""
    valid, difficulty = verdict(case, tier, *luck)
    reason = "The answer looks right to me." if valid else "The answer does not look right to me."
    return f"{reason}\nvalidity: {'yes' if valid else 'no'}", difficulty
