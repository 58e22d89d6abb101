"""What a chat request's messages say: the question, the system's wishes, tool results, media.

Pure. Takes OpenAI's message dicts as they came; anything of an unexpected shape counts as empty text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cascade.simulated import tokens
from cascade.simulated.final import final_value
from cascade.simulated.recognise import wants_bare

_PER_MESSAGE = 4
_PER_MEDIA = 85
_PRIMING = 3
_BACK = re.compile(r"\b(?:that|it|the result|this|the answer)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One conversation, read; `followup` is the question with its "that" replaced by the last answer, or ""."""

    question: str
    followup: str
    system: str
    tool_results: tuple[str, ...]
    media: bool
    bare: bool
    may_abstain: bool
    whole: str


def text_of(content: Any) -> str:
    """A message's text: a string, or its text parts on lines of their own."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str))


def _media_parts(messages: Sequence[Mapping[str, Any]]) -> int:
    kinds = {"text", "refusal"}
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return sum(isinstance(part, Mapping) and part.get("type", "text") not in kinds for part in parts)


def _tool_results(messages: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    found: list[str] = []
    for message in reversed(messages):
        if message.get("role") not in {"tool", "function"}:
            break
        found.insert(0, text_of(message.get("content")))
    return tuple(found)


def _followup(messages: Sequence[Mapping[str, Any]], question: str) -> str:
    said = [text_of(message.get("content")) for message in messages if message.get("role") == "assistant"]
    value = final_value(said[-1]) if said and said[-1] else None
    return _BACK.sub(lambda _: value, question, count=1) if value else ""


def read_messages(messages: Sequence[Mapping[str, Any]]) -> Prompt:
    """The prompt in the messages; the question is the last user message."""
    users = [message for message in messages if message.get("role") == "user"]
    question = text_of(users[-1].get("content")) if users else ""
    system = "\n".join(text_of(m.get("content")) for m in messages if m.get("role") in {"system", "developer"})
    return Prompt(
        question=question,
        followup=_followup(messages, question),
        system=system,
        tool_results=_tool_results(messages),
        media=_media_parts(users[-1:]) > 0,
        bare=wants_bare(question) or wants_bare(system),
        may_abstain="abstain" in (system + question[-2000:]).lower(),
        whole="\n".join(text_of(message.get("content")) for message in messages),
    )


def prompt_tokens(messages: Sequence[Mapping[str, Any]], extras: str = "") -> int:
    """What the messages cost: text, tool calls, media, a constant each; `extras` is tools and schema as text."""
    text = sum(tokens.count(text_of(message.get("content"))) for message in messages)
    calls = sum(tokens.count(str(message["tool_calls"])) for message in messages if message.get("tool_calls"))
    return (
        text
        + calls
        + _PER_MESSAGE * len(messages)
        + _PER_MEDIA * _media_parts(messages)
        + _PRIMING
        + tokens.count(extras)
    )
