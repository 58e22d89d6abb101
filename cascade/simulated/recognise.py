"""From a user's words to a task, or to the honest None.

Pure. Instructions about the form of the answer are set aside first; long inputs are cut to their last lines, where the
question stands.
"""

import re

from cascade.simulated import arithmetic, lists, stories, words
from cascade.simulated.choices import as_choice, split_choices
from cascade.simulated.tasks import Task

_MAX_CHARS = 4000
_FORM = re.compile(
    r"(?:please )?(?:answer|reply|respond|return|output|give|show|explain|think|write|provide|end|state|put"
    r"|use|format)\b[^.!?\n]*"
    r"\b(?:only|json|just|step by step|work(?:ing)?|reasoning|briefly|concise(?:ly)?|one word|single|nothing "
    r"else|explanation|"
    r"short(?:ly)?|final answer|\\boxed|sentences?|schema|tool|format)\b[^.!?\n]*(?:[.!?]|$)"
    r"|\b(?:just|only) the (?:final )?(?:number|answer|letter|result|value)\b[^.!?\n]*(?:[.!?]|$)"
    r"|\bno explanation\b[.!]?|\bthink step by step\b[.!]?|\b(?:be brief|show your work(?:ing)?)\b[.!]?"
    r"|\bwithout explanation\b[.!]?",
    re.IGNORECASE,
)
_ROLE = re.compile(r"(?:^|\n)(?:user|question|problem|q|task)\s*:\s*", re.IGNORECASE)
_TOO_LONG = re.compile(r"\d{60}|[^\W\d_]{200}")
_SENTENCES = re.compile(r"(?<=[.!?])\s+|\n+")
_BARE = re.compile(
    r"\bonly (?:the |with |a |one |an? )*(?:the )?(?:final |correct |single )*(?:letter|number|answer|result"
    r"|value|word|option)\b"
    r"|\b(?:just|only) (?:the|a|one) (?:final |correct )?(?:letter|number|answer|result|value|option)\b"
    r"|\b(?:letter|number|answer|result) only\b|\bnothing else\b|\bno explanation\b|\bone word\b",
    re.IGNORECASE,
)


def wants_bare(text: str) -> bool:
    """Whether the prompt asks for the answer and nothing around it."""
    return bool(_BARE.search(text[-_MAX_CHARS:]))


def focus(text: str) -> str:
    """The part of the text where the question stands, without role labels and wishes about form."""
    if len(text) > _MAX_CHARS:
        text = text[-_MAX_CHARS // 2 :].rsplit("\n\n", 1)[-1]
    labels = list(_ROLE.finditer(text))
    if labels:
        text = text[labels[-1].end() :]
    kept = [sentence for sentence in _SENTENCES.split(text) if not _FORM.fullmatch(sentence.strip())]
    return "\n".join(kept).strip() if len(kept) < len(_SENTENCES.split(text)) else text.strip()


def _solve(stem: str) -> Task | None:
    if task := arithmetic.solve(stem):
        return task
    told = stories.prepared(stem)
    if "[" in stem:
        return lists.solve(stem)
    return words.solve(told) or lists.solve(stem) or stories.solve(told)


def recognise(question: str) -> Task | None:
    """The task in the question with its exact answer, or None where it is outside the simulated tiers' families."""
    asked = focus(question)
    if _TOO_LONG.search(asked):
        return None
    stem, options = split_choices(asked)
    task = _solve(stem)
    if task is None and "\n" in stem:
        task = _solve(stem.rsplit("\n", 1)[-1])
    if task is None or not options:
        return task
    return as_choice(task, options)
