"""LiteLLM's retries, time-outs and cool-downs -> ours: what of its settings concerns how a call is made.

The law of this file: a table from its words to ours, pure. A value of the wrong kind goes through as it is: the shape
says what is wrong with it, at the operator's own line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.config.lines import Path


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that was found: where it stands in LiteLLM's file, where it belongs in ours, and what it is there."""

    theirs: Path
    ours: tuple[str, str]
    value: Any


#: LiteLLM's words, the later winning, -> ours, and what is added: it counts the tries after the first, and the
#: failures it puts up with.
_WORDS: Mapping[tuple[str, str], tuple[tuple[str, str], int]] = {
    ("litellm_settings", "num_retries"): (("retries", "attempts"), 1),
    ("litellm_settings", "request_timeout"): (("timeouts", "total_s"), 0),
    ("litellm_settings", "allowed_fails"): (("retries", "cooldown_failures"), 1),
    ("router_settings", "num_retries"): (("retries", "attempts"), 1),
    ("router_settings", "timeout"): (("timeouts", "total_s"), 0),
    ("router_settings", "stream_timeout"): (("timeouts", "first_token_s"), 0),
    ("router_settings", "allowed_fails"): (("retries", "cooldown_failures"), 1),
    ("router_settings", "cooldown_time"): (("retries", "cooldown_s"), 0),
    ("router_settings", "retry_after"): (("retries", "backoff_s"), 0),
}


def patience(data: Mapping[str, Any]) -> Iterator[Setting]:
    """The settings that a LiteLLM configuration has, those of its router last."""
    for (block, word), (ours, more) in _WORDS.items():
        inner = data.get(block)
        value = inner.get(word) if isinstance(inner, dict) else None
        if value is not None:
            counts = isinstance(value, int) and not isinstance(value, bool)
            yield Setting((block, word), ours, value + more if counts else value)
