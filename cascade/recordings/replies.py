"""Recorded answers and verdicts in OpenAI's shape: `chat.completion`, its stream, and log-probabilities.

The law of this file: pure. What was recorded is told as it was recorded; the only thing invented is the runner-up of
the first token, from which a recorded confidence can be read back as the margin.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cascade.recordings.records import RecordedAnswer, RecordedVerdict
    from router.pricing import Usage

#: OpenAI's log-probability of a token that is as good as impossible; JSON has no minus infinity.
IMPOSSIBLE = -9999.0
_RUNNERS_UP = ("B", "#", "~")


@dataclass(frozen=True, slots=True)
class Said:
    """What a reply says; `final` None = no hint, `confidence` None = no log-probabilities."""

    content: str
    usage: Usage
    finish_reason: str = "stop"
    final: str | None = None
    confidence: float | None = None


def answered(answer: RecordedAnswer, limit_tokens: int | None) -> Said:
    """An answer as its model gave it, cut where the request allows fewer tokens than it took.

    A cut keeps that share of the text and the whole limit's price, as a vendor would bill it.
    """
    content = answer.content or ("Abstain" if answer.abstained else "")
    usage = answer.usage
    if limit_tokens is None or limit_tokens >= usage.completion_tokens:
        return Said(content, usage, final=answer.final, confidence=answer.confidence)
    kept = content[: len(content) * limit_tokens // usage.completion_tokens]
    cut = type(usage)(usage.prompt_tokens, limit_tokens)
    return Said(kept, cut, "length", final="", confidence=answer.confidence)


def judged(verdict: RecordedVerdict) -> Said:
    """A verdict in the words that a judge is asked for."""
    return Said(f"validity: {'yes' if verdict.valid else 'no'}", verdict.usage)


def completion(said: Said, shared: Mapping[str, Any], n: int) -> dict[str, Any]:
    """The whole `chat.completion`: n equal choices, since only one answer was recorded."""
    message = {"role": "assistant", "content": said.content, "refusal": None, **_hint(said)}
    choice = {"message": message, "logprobs": logprobs(said), "finish_reason": said.finish_reason}
    choices = [{"index": index, **choice} for index in range(n)]
    return {**shared, "object": "chat.completion", "choices": choices, "usage": usage_object(said.usage, n)}


def chunks(said: Said, shared: Mapping[str, Any], n: int, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The same as a stream, split by words; with `include_usage` one more event, and `usage: null` on the others."""
    extra = {"usage": None} if include_usage else {}
    common = {**shared, "object": "chat.completion.chunk", **extra}
    for index in range(n):
        for choice in _deltas(said):
            yield {**common, "choices": [{"index": index, **choice}]}
    if include_usage:
        yield {**common, "choices": [], "usage": usage_object(said.usage, n)}


def _deltas(said: Said) -> Iterator[dict[str, Any]]:
    first = {"role": "assistant", "content": "", **_hint(said)}
    yield {"delta": first, "logprobs": logprobs(said), "finish_reason": None}
    for word in re.findall(r"\s*\S+\s*$|\s*\S+|\s+$", said.content):
        yield {"delta": {"content": word}, "logprobs": None, "finish_reason": None}
    yield {"delta": {}, "logprobs": None, "finish_reason": said.finish_reason}


def _hint(said: Said) -> dict[str, str]:
    return {} if said.final is None else {"final_answer": said.final}


def usage_object(usage: Usage, n: int = 1) -> dict[str, int]:
    """OpenAI's usage: the prompt once, the completion n times."""
    completion_tokens = usage.completion_tokens * n
    total = usage.prompt_tokens + completion_tokens
    return {"prompt_tokens": usage.prompt_tokens, "completion_tokens": completion_tokens, "total_tokens": total}


def logprobs(said: Said) -> dict[str, Any] | None:
    """The first token's, such that its margin p1 - p2 is the recorded confidence c: p1 = (1 + c)/2, p2 = (1 - c)/2.

    None where no confidence was recorded: this upstream has no log-probabilities.
    """
    if said.confidence is None:
        return None
    token = (said.content.split() or ["A"])[0]
    other = next(text for text in _RUNNERS_UP if text not in token and token not in text)
    best, second = _candidate(token, (1 + said.confidence) / 2), _candidate(other, (1 - said.confidence) / 2)
    return {"content": [{**best, "top_logprobs": [best, second]}], "refusal": None}


def _candidate(token: str, probability: float) -> dict[str, Any]:
    logprob = math.log(probability) if probability > 0 else IMPOSSIBLE
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
