"""What of a conversation is embedded: the question, and a little of what the user asked before it.

The law of this file: pure, and forgiving, since it reads JSON that clients wrote. papers.md: "The last user message
alone, its text parts only, never a system message; only where earlier *user* turns exist, up to 300 characters of them
before it."
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from router.pricing import estimate_tokens

#: How many characters of earlier user turns stand before the question, the newest ones.
CONTEXT_CHARS = 300
_TEXT_PARTS = ("text", "input_text")


def question_text(messages: Any) -> str:
    r"""The text to embed: `<the last 300 characters of earlier user turns>\n<the last user message>`.

    Turns and text parts are stripped, blank ones are left out, and all are joined by newlines in the order they were
    said. The last *user* message counts, whatever follows it (tool results, prefilled answers). A last user message
    without text (an image) leaves the earlier turns alone; "" = there is nothing to embed.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return ""
    contents = [message.get("content") for message in messages if _is_user(message)]
    if not contents:
        return ""
    return "\n".join(part for part in (_earlier(contents[:-1]), flat_text(contents[-1])) if part)


def prompt_tokens(messages: Any) -> int:
    """About how many tokens a whole conversation has, by its texts alone; 0 = there are none."""
    if not isinstance(messages, Sequence) or isinstance(messages, str | bytes):
        return 0
    contents = [message.get("content") for message in messages if isinstance(message, Mapping)]
    return sum(estimate_tokens(flat_text(content)) for content in contents)


def _is_user(message: Any) -> bool:
    return isinstance(message, Mapping) and message.get("role") == "user"


def _earlier(contents: Sequence[Any]) -> str:
    """The newest 300 characters of these turns; stops reading once it has them."""
    context = ""
    for content in reversed(contents):
        text = flat_text(content)[-CONTEXT_CHARS:]
        context = "\n".join(part for part in (text, context) if part)
        if len(context) >= CONTEXT_CHARS:
            break
    return context[-CONTEXT_CHARS:].strip()


def flat_text(content: Any) -> str:
    """A message's own text: the string, or its text parts; "" for None, images, audio and anything odd."""
    if isinstance(content, str):
        return content.strip()
    if not isinstance(content, Sequence) or isinstance(content, bytes):
        return ""
    return "\n".join(text for text in (_part(part).strip() for part in content) if text)


def _part(part: Any) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, Mapping) or part.get("type", "text") not in _TEXT_PARTS:
        return ""
    text = part.get("text")
    return text if isinstance(text, str) else ""
