"""A simulated critic: it solves the question itself, as well as its tier can, and names skills by the steps it took.

Pure. Question, reference and answer stand between tags that carry a nonce, as for a judge, and the critic is right as
often as the judge of its tier: it lets a wrong answer pass where that one would. A reference is compared with.
"""

import json
import re
from collections import Counter
from dataclasses import dataclass

from cascade.simulated.chance import fraction
from cascade.simulated.final import final_value, same
from cascade.simulated.judge import ERROR, Case, says_nothing, verdict
from cascade.simulated.recognise import recognise
from cascade.simulated.tasks import Task

_OPENING = re.compile(r"<question-(?P<nonce>[0-9A-Za-z_-]{1,128})>")
_OPERATION = re.compile(r"^-?[\d.]+ (?P<sign>[-+*/^]|mod) -?[\d.]+ = ")
_SIGNS = {
    "+": "addition",
    "-": "subtraction",
    "*": "multiplication",
    "/": "division",
    "mod": "modular arithmetic",
    "^": "exponentiation",
}
#: What a step of a list or string task, or of number theory, is called after: the first row that occurs in it.
_WORDS = (
    ("sort", "sorting items"),
    ("shift each letter", "letter shifting"),
    ("count", "counting items"),
    ("reverse", "reversing order"),
    ("case", "letter case conversion"),
    ("remove", "filtering items"),
    ("keep", "filtering items"),
    ("take", "selecting items"),
    ("each", "transforming list items"),
    ("add them up", "summing items"),
    ("prime", "prime numbers"),
    ("gcd", "divisors and multiples"),
    ("lcm", "divisors and multiples"),
    ("leaves", "modular arithmetic"),
    ("collecting terms", "solving equations"),
)
_MANY_STEPS = 3
_MULTI_STEP = "multi-step reasoning"
#: What is left of a question that the simulated tiers cannot solve.
_OUTSIDE = {"open-ended answering": 0.5}
_LEAST_CRITICALITY = 0.2
_MOST_SKILLS = 5


@dataclass(frozen=True, slots=True)
class Critique:
    """What a critic is asked about; `reference` "" = none."""

    question: str
    reference: str
    candidate: str


def read_critique(system: str, text: str) -> Critique | None:
    """The three parts of a critic's prompt; None for any other prompt."""
    opening = _OPENING.search(text)
    if not opening or "demonstrated" not in system or "criticality" not in system:
        return None
    nonce = re.escape(opening["nonce"])
    parts = {
        name: found[1].strip()
        for name in ("question", "reference", "answer")
        if (found := re.search(rf"<{name}-{nonce}>(.*?)</{name}-{nonce}>", text, re.DOTALL))
    }
    if not {"question", "answer"} <= parts.keys():
        return None
    return Critique(parts["question"], parts.get("reference", ""), parts["answer"])


def criticised(critique: Critique, tier: str, *luck: object) -> tuple[str, float]:
    """The critic's reply, one JSON object, and the difficulty it met (0..1)."""
    valid, difficulty = _verdict(critique, tier, *luck)
    task = recognise(critique.question)
    skills = dict(_OUTSIDE) if task is None else _skills(task)
    missing = [] if valid else _missing(skills, critique.candidate)
    told = {
        "demonstrated": [_named(skill, weight) for skill, weight in skills.items() if skill not in missing],
        "missing": [_named(skill, skills[skill]) for skill in missing],
    }
    return json.dumps(told), difficulty


def _verdict(critique: Critique, tier: str, *luck: object) -> tuple[bool, float]:
    """Whether the tier takes the answer for right: by the reference, else as its judge would."""
    accepted, difficulty = verdict(Case(critique.question, critique.candidate), tier, *luck)
    said = final_value(critique.candidate)
    if not critique.reference or said is None:
        return accepted, difficulty
    slips = fraction("critic", tier, critique.question, critique.candidate, *luck) < ERROR
    return same(said, critique.reference) != slips, difficulty


def _skills(task: Task) -> dict[str, float]:
    """Skill -> how much hangs on it: its share of the steps, many steps being a skill of their own."""
    counts = Counter(_skill(step) for step in task.steps)
    shares = {skill: max(_LEAST_CRITICALITY, count / len(task.steps)) for skill, count in counts.items()}
    if len(task.steps) >= _MANY_STEPS:
        shares[_MULTI_STEP] = max(_LEAST_CRITICALITY, task.difficulty)
    weightiest = sorted(shares, key=lambda skill: (-shares[skill], skill))[:_MOST_SKILLS]
    return {skill: round(shares[skill], 2) for skill in weightiest}


def _skill(step: str) -> str:
    if operation := _OPERATION.match(step):
        return _SIGNS[operation["sign"]]
    action = step.partition(":")[0]
    return next((skill for word, skill in _WORDS if word in action), "careful calculation")


def _missing(skills: dict[str, float], candidate: str) -> list[str]:
    """What a wrong answer lacks: the weightiest skill, and all of them where it holds no answer at all."""
    return list(skills) if says_nothing(candidate) else [max(skills, key=lambda skill: skills[skill])]


def _named(skill: str, criticality: float) -> dict[str, str | float]:
    return {"skill": skill, "criticality": criticality}
