"""What a tier says to a prompt: one draft for one choice, before lengths and stops.

Pure. The same prompt gives the same draft; a sample (temperature above 0) may change the wording, and beyond the
tier's reach the slip.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cascade.simulated.chance import pick
from cascade.simulated.conversation import Prompt
from cascade.simulated.critic import criticised, read_critique
from cascade.simulated.judge import judged, read_case
from cascade.simulated.recognise import recognise
from cascade.simulated.request import ChatRequest
from cascade.simulated.schema import Filler
from cascade.simulated.tasks import Task
from cascade.simulated.tiers import UNKNOWN_DIFFICULTY, abstains, attempt
from cascade.simulated.tools import calls, chosen, from_results

_OPENINGS = ("Step by step", "Working it out", "Let me work through this", "Here is the work")
_MAX_STEPS = 8
_CANNOT_SEE = "I cannot see images or hear audio: "
_WHAT = (
    "This is a simulated tier ({tier}) of Gearbox, without a model behind it. I can do arithmetic, word "
    "problems, and list "
    "and string tasks. For anything else, add an API key for a real model to the configuration."
)


@dataclass(frozen=True, slots=True)
class Draft:
    """A choice before it is cut; `rivals`: what the first token might have been; `final`: "" where there is none."""

    content: str
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    difficulty: float = UNKNOWN_DIFFICULTY
    rivals: tuple[str, ...] = ()
    final: str = ""


def _worded(task: Task, final: str, *luck: object) -> str:
    opening = pick(_OPENINGS, "opening", *luck)
    steps = list(task.steps[:_MAX_STEPS])
    if final != task.answer:
        steps = steps[:-1]
    shown = f"{opening}: {'; '.join(steps)}.\n" if steps else ""
    return f"{shown}The answer is {final}."


def _structured(request: ChatRequest, prompt: Prompt, final: str, reasoning: str) -> str:
    wanted = request.response_format
    holder = wanted.get("json_schema")
    schema = holder.get("schema") if isinstance(holder, Mapping) else None
    if wanted.get("type") == "json_schema" and isinstance(schema, Mapping):
        return json.dumps(Filler(schema, prompt.question, final, reasoning).fill(schema))
    return json.dumps({"answer": final, "reasoning": reasoning})


def _formatted(request: ChatRequest) -> bool:
    return request.response_format.get("type") in {"json_object", "json_schema"}


def _about(prompt: Prompt) -> Task | None:
    return recognise(prompt.question) or (recognise(prompt.followup) if prompt.followup else None)


def _solved(request: ChatRequest, prompt: Prompt, task: Task, seed: int, sample: tuple[object, ...]) -> Draft:
    luck = (seed, prompt.question, *sample)
    if prompt.may_abstain and abstains(request.tier, task.difficulty, *luck):
        return Draft("Abstain", difficulty=task.difficulty)
    final = attempt(request.tier, task, *luck)
    reasoning = "; ".join(task.steps[: _MAX_STEPS if final == task.answer else -1])
    if _formatted(request):
        return Draft(_structured(request, prompt, final, reasoning), (), task.difficulty, (), final)
    rivals = tuple(wrong for wrong in (task.answer, *task.wrongs) if wrong != final)
    if prompt.bare:
        return Draft(final, (), task.difficulty, rivals, final)
    return Draft(_worded(task, final, *luck, "words"), (), task.difficulty, (), final)


def _outside(request: ChatRequest, prompt: Prompt) -> Draft:
    if prompt.may_abstain:
        return Draft("Abstain")
    text = (_CANNOT_SEE if prompt.media else "") + _WHAT.format(tier=request.tier)
    return Draft(_structured(request, prompt, text, text) if _formatted(request) else text)


def draft(request: ChatRequest, prompt: Prompt, seed: int, index: int) -> Draft:
    """The tier's answer for the choice at `index`."""
    sample = (request.sample_seed, index) if request.sampled else ()
    if case := read_case(prompt.question):
        text, difficulty = judged(case, request.tier, seed, *sample)
        return Draft(text, difficulty=difficulty)
    if critique := read_critique(prompt.system, prompt.question):
        text, difficulty = criticised(critique, request.tier, seed, *sample)
        return Draft(text, difficulty=difficulty)
    if prompt.tool_results:
        said = from_results(prompt.tool_results)
        return Draft(_structured(request, prompt, said, said) if _formatted(request) else said, difficulty=0.1)
    if function := chosen(request.tools, request.tool_choice, prompt.question):
        salt = (seed, request.tier, index)
        return Draft("", tuple(calls(function, prompt.question, parallel=request.parallel, salt=salt)), difficulty=0.1)
    task = None if prompt.media else _about(prompt)
    return _solved(request, prompt, task, seed, sample) if task else _outside(request, prompt)
