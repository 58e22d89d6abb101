"""From drafts to OpenAI's objects: choices cut to length, usage, the completion and its stream of chunks.

Pure. The stream's chunks add up to the completion.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from cascade.simulated import tokens
from cascade.simulated.answer import Draft, draft
from cascade.simulated.chance import digest
from cascade.simulated.conversation import Prompt, prompt_tokens, read_messages
from cascade.simulated.logprobs import logprobs
from cascade.simulated.request import ChatRequest

_REFUSAL = "I'm sorry, I can't help with that (simulated refusal)."


@dataclass(frozen=True, slots=True)
class Choice:
    """One choice as it goes out; `pieces` are the content's tokens."""

    index: int
    pieces: list[str]
    tool_calls: tuple[Mapping[str, Any], ...]
    finish_reason: str
    logprobs: list[dict[str, Any]] | None
    refusal: str | None
    final: str
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Completion:
    """Everything that a reply says; `usage` is None where a fault hides it."""

    id: str
    created_s: int
    model: str
    choices: tuple[Choice, ...]
    usage: dict[str, Any] | None


def _cut(text: str, request: ChatRequest) -> tuple[list[str], str]:
    ends = [place for entry in request.stop if (place := text.find(entry)) >= 0]
    pieces = tokens.pieces(text[: min(ends)] if ends else text)
    if request.max_tokens is not None and len(pieces) > request.max_tokens:
        return pieces[: request.max_tokens], "length"
    return pieces, "stop"


def _cut_calls(made: Draft, request: ChatRequest) -> tuple[tuple[Mapping[str, Any], ...], str, int]:
    out, used = [], 0
    for call in made.tool_calls:
        function = call["function"]
        pieces = tokens.pieces(function["arguments"])
        room = len(pieces) if request.max_tokens is None else max(0, request.max_tokens - used)
        used += min(room, len(pieces))
        out.append({**call, "function": {**function, "arguments": "".join(pieces[:room])}})
        if room < len(pieces):
            return tuple(out), "length", used
    return tuple(out), "tool_calls", used


def _faulty(made: Draft, fault: str) -> tuple[Draft, str | None, str | None]:
    """The draft under an answer fault, its refusal and the finish reason that the fault forces."""
    half = "".join(tokens.pieces(made.content)[: max(1, tokens.count(made.content) // 2)])
    table: dict[str, tuple[Draft, str | None, str | None]] = {
        "empty_answer": (replace(made, content="", tool_calls=()), None, "stop"),
        "truncated": (replace(made, content=half), None, "length"),
        "content_filter": (replace(made, content=half, tool_calls=()), None, "content_filter"),
        "refusal": (replace(made, content="", tool_calls=()), _REFUSAL, "stop"),
    }
    return table.get(fault, (made, None, None))


def _choice(request: ChatRequest, prompt: Prompt, seed: int, index: int) -> Choice:
    fault = request.fault.name if request.fault else ""
    made, refusal, forced = _faulty(draft(request, prompt, seed, index), fault)
    pieces, finish = _cut(made.content, request)
    calls, calls_finish, used = _cut_calls(made, request)
    listed = None
    if request.top_logprobs is not None and pieces:
        luck = (seed, prompt.question)
        listed = logprobs(pieces, request.tier, made.difficulty, made.rivals, request.top_logprobs, *luck)
    reason = forced or (calls_finish if calls else finish)
    size = len(pieces) + used + tokens.count(refusal or "")
    return Choice(index, pieces, calls, reason, listed, refusal, made.final, size)


def _usage(request: ChatRequest, choices: tuple[Choice, ...]) -> dict[str, Any]:
    extras = "".join(str(part) for part in (request.tools, request.response_format) if part)
    sent, made = prompt_tokens(request.messages, extras), sum(choice.completion_tokens for choice in choices)
    none = dict.fromkeys(
        ("reasoning_tokens", "audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"), 0
    )
    return {
        "prompt_tokens": sent,
        "completion_tokens": made,
        "total_tokens": sent + made,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": none,
    }


def complete(request: ChatRequest, seed: int, created_s: int) -> Completion:
    """The whole completion, decided before its first byte leaves."""
    prompt = read_messages(request.messages)
    choices = tuple(_choice(request, prompt, seed, index) for index in range(request.n))
    hidden = request.fault is not None and request.fault.name == "no_usage"
    identity = digest(seed, request.tier, prompt.whole, request.n, request.sample_seed, created_s).hex()[:24]
    usage = None if hidden else _usage(request, choices)
    return Completion(f"chatcmpl-{identity}", created_s, f"simulated-{request.tier}", choices, usage)


def _head(completion: Completion, kind: str) -> dict[str, Any]:
    return {
        "id": completion.id,
        "object": kind,
        "created": completion.created_s,
        "model": completion.model,
        "system_fingerprint": "fp_simulated",
    }


def _listed(entries: list[dict[str, Any]] | None) -> dict[str, Any] | None:
    return None if entries is None else {"content": entries, "refusal": None}


def _message(choice: Choice, *, hints: bool) -> dict[str, Any]:
    content = None if choice.tool_calls or choice.refusal else "".join(choice.pieces)
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": choice.refusal}
    if choice.tool_calls:
        message["tool_calls"] = list(choice.tool_calls)
    if hints and choice.final:
        message["final_answer"] = choice.final
    return message


def as_object(completion: Completion, *, hints: bool = False) -> dict[str, Any]:
    """The `chat.completion` object; with hints the message carries its final answer (wire.md, hints)."""
    choices = [
        {
            "index": choice.index,
            "message": _message(choice, hints=hints),
            "logprobs": _listed(choice.logprobs),
            "finish_reason": choice.finish_reason,
        }
        for choice in completion.choices
    ]
    body = {**_head(completion, "chat.completion"), "choices": choices}
    return body if completion.usage is None else {**body, "usage": completion.usage}


def _deltas(choice: Choice) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]] | None]]:
    yield {"role": "assistant", "content": None if choice.tool_calls else "", "refusal": None}, None
    for place, piece in enumerate(choice.pieces):
        yield {"content": piece}, choice.logprobs[place : place + 1] if choice.logprobs else None
    for piece in tokens.pieces(choice.refusal or ""):
        yield {"refusal": piece}, None
    for number, call in enumerate(choice.tool_calls):
        function = call["function"]
        yield {"tool_calls": [{**call, "index": number, "function": {**function, "arguments": ""}}]}, None
        for piece in tokens.pieces(function["arguments"]):
            yield {"tool_calls": [{"index": number, "function": {"arguments": piece}}]}, None


def as_chunks(completion: Completion, *, include_usage: bool) -> Iterator[dict[str, Any]]:
    """The `chat.completion.chunk` objects: role, content token by token, finish, and usage where it was asked for."""
    head = _head(completion, "chat.completion.chunk")
    if include_usage:
        head["usage"] = None
    for choice in completion.choices:
        for delta, listed in _deltas(choice):
            entry = {"index": choice.index, "delta": delta, "logprobs": _listed(listed), "finish_reason": None}
            yield {**head, "choices": [entry]}
        last = {"index": choice.index, "delta": {}, "logprobs": None, "finish_reason": choice.finish_reason}
        yield {**head, "choices": [last]}
    if include_usage and completion.usage is not None:
        yield {**head, "choices": [], "usage": completion.usage}
