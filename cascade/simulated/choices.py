"""Multiple choice: the options under a question, and the task that picking a letter is.

Pure.
"""

import re

from cascade.simulated.numbers import read
from cascade.simulated.tasks import Task

_MARK = re.compile(r"(?:^|(?<=\s))\(?([A-J])[).:](?=\s*\S)")
_MIN_OPTIONS = 2


def split_choices(text: str) -> tuple[str, dict[str, str]]:
    """The question's stem and its options by letter, in order; no options where there are fewer than two."""
    marks: list[re.Match[str]] = []
    for match in _MARK.finditer(text):
        if match[1] == chr(ord("A") + len(marks)):
            marks.append(match)
    if len(marks) < _MIN_OPTIONS:
        return text, {}
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    options = {}
    for mark, end in zip(marks, ends, strict=True):
        lines = text[mark.end() : end].strip().split("\n")
        options[mark[1]] = lines[0].strip().rstrip(",;")
    return text[: marks[0].start()].strip(), options


def _same(option: str, answer: str) -> bool:
    left, right = read(option.rstrip(".")), read(answer)
    return left == right if left is not None else option.strip(" .\"'").lower() == answer.lower()


def as_choice(task: Task, options: dict[str, str]) -> Task | None:
    """The task of naming the right letter; None where no option is right."""
    right = next((letter for letter, option in options.items() if _same(option, task.answer)), None)
    if right is None:
        return None
    tempting = [letter for letter, option in options.items() if any(_same(option, wrong) for wrong in task.wrongs)]
    wrongs = dict.fromkeys(letter for letter in [*tempting, *options] if letter != right)
    steps = (*task.steps, f"that is option {right}")
    return Task(task.family, right, task.difficulty, steps, tuple(wrongs))
