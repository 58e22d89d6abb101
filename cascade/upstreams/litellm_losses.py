"""What litellm would leave out, or set, without a word: done here, and told.

The law of this file: pure, and only what was seen on the wire (docs/fidelity.md comes from the same tests). It works on
arguments that are ours already, never on the client's body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from router.domain import Deployment, ModelFacts

#: Tokens that litellm sets aside for thinking, by effort; Anthropic refuses a limit that is not above them.
_THINKING = {"minimal": 1024, "low": 1024, "medium": 2048, "high": 4096, "xhigh": 4096, "max": 4096}


def tell_losses(given: dict[str, Any], provider: str, deployment: Deployment) -> list[str]:
    """Take out of the arguments what this vendor cannot be told, and say so."""
    claude_elsewhere = provider == "vertex_ai" and "claude" in deployment.model
    rules = _ANTHROPIC if claude_elsewhere else _RULES.get(provider, ())
    return [note for rule in rules for note in rule(given, deployment.facts)]


def _names(given: dict[str, Any], _facts: ModelFacts) -> Iterator[str]:
    if any(isinstance(message, dict) and message.pop("name", None) for message in given["messages"]):
        yield "messages.name dropped"


def _json_mode(given: dict[str, Any], _facts: ModelFacts) -> Iterator[str]:
    wanted = given.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_object":
        del given["response_format"]
        yield "response_format json_object dropped"


def _one_call_at_a_time(given: dict[str, Any], _facts: ModelFacts) -> Iterator[str]:
    if given.pop("parallel_tool_calls", None) is False:
        yield "parallel_tool_calls dropped"


def _whole_limit(given: dict[str, Any], facts: ModelFacts) -> Iterator[str]:
    """Anthropic needs a limit; litellm's own guess beside an effort is far below what the model can say."""
    if "max_tokens" not in given and facts.max_output_tokens is not None:
        given["max_tokens"] = facts.max_output_tokens
    yield from ()


def _whole_limit_to_think(given: dict[str, Any], facts: ModelFacts) -> Iterator[str]:
    """Bedrock takes the model's own limit where none is given; beside an effort litellm would set a far lower one."""
    return _whole_limit(given, facts) if "reasoning_effort" in given else iter(())


def _room_to_think(given: dict[str, Any], _facts: ModelFacts) -> Iterator[str]:
    effort, limit = given.get("reasoning_effort"), given.get("max_tokens")
    if isinstance(effort, str) and limit is not None and limit <= _THINKING.get(effort, 0):
        del given["reasoning_effort"]
        yield "reasoning_effort dropped (the output limit leaves no room to think)"


_Rules: TypeAlias = "tuple[Callable[[dict[str, Any], ModelFacts], Iterator[str]], ...]"
_ANTHROPIC: _Rules = (_names, _json_mode, _whole_limit, _room_to_think)
_GEMINI: _Rules = (_names, _one_call_at_a_time)
_BEDROCK: _Rules = (_names, _json_mode, _whole_limit_to_think, _room_to_think)
_RULES: dict[str, _Rules] = {"anthropic": _ANTHROPIC, "gemini": _GEMINI, "vertex_ai": _GEMINI, "bedrock": _BEDROCK}
