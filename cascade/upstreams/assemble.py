"""`chat.completion` <-> `chat.completion.chunk`: the same answer in its two shapes.

The law of this file: pure, and it loses nothing: fields that OpenAI does not know are carried along in both
directions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

#: Fields of a chunk that are rebuilt rather than copied.
_REBUILT = frozenset({"object", "choices", "usage"})
#: Strings inside a delta's objects that come in pieces: arguments of functions, input of custom tools, audio.
_IN_PIECES = frozenset({"arguments", "input", "data", "transcript"})


def assemble(chunks: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Put a stream's events together into the `chat.completion` that the same call would have returned."""
    body: dict[str, Any] = {"object": "chat.completion", "choices": []}
    choices: dict[int, dict[str, Any]] = {}
    for chunk in chunks:
        body.update({key: value for key, value in chunk.items() if key not in _REBUILT and value is not None})
        if chunk.get("usage"):
            body["usage"] = chunk["usage"]
        for part in chunk.get("choices") or ():
            _merge_choice(choices.setdefault(part.get("index") or 0, _new_choice(part.get("index") or 0)), part)
    body["choices"] = [_finished(choices[index]) for index in sorted(choices)]
    return body


def _new_choice(index: int) -> dict[str, Any]:
    return {"index": index, "message": {"role": "assistant"}, "finish_reason": None, "_text": {}}


def _merge_choice(choice: dict[str, Any], part: Mapping[str, Any]) -> None:
    for key, value in part.items():
        match key:
            case "index":
                pass
            case "delta":
                _merge_delta(choice, value or {})
            case "logprobs":
                _merge_logprobs(choice, value)
            case _:
                choice[key] = value if value is not None else choice.get(key)


def _merge_delta(choice: dict[str, Any], delta: Mapping[str, Any]) -> None:
    message, texts = choice["message"], choice["_text"]
    for key, value in delta.items():
        if key == "tool_calls":
            for call in value or ():
                _merge_tool_call(message.setdefault("tool_calls", []), call)
        elif isinstance(value, str) and key != "role":
            texts.setdefault(key, []).append(value)
        else:
            _merge_value(message, key, value)


def _merge_tool_call(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    call = _call_of(calls, part)
    for key, value in part.items():
        if key != "index":
            _merge_value(call, key, value)


def _call_of(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> dict[str, Any]:
    """The call that a part belongs to: by its index, else (vendors that send none) the last, unless it is a new id."""
    index = part.get("index")
    if index is None:
        new = not calls or (part.get("id") is not None and part["id"] != calls[-1].get("id"))
        index = len(calls) if new else calls[-1]["index"]
    call = next((call for call in calls if call["index"] == index), None)
    if call is None:
        call = {"index": index}
        calls.append(call)
    return call


def _merge_value(into: dict[str, Any], key: str, value: Any) -> None:
    """Text that comes in pieces is joined, objects are merged, lists grow, everything else is replaced."""
    present = into.get(key)
    if value is None:
        into.setdefault(key, None)
    elif isinstance(value, dict):
        merged = dict(present) if isinstance(present, dict) else {}
        for name, inner in value.items():
            _merge_value(merged, name, inner)
        into[key] = merged
    elif isinstance(value, list) and isinstance(present, list):
        into[key] = [*present, *value]
    elif key in _IN_PIECES and isinstance(value, str) and isinstance(present, str):
        into[key] = present + value
    else:
        into[key] = value


def _merge_logprobs(choice: dict[str, Any], part: Mapping[str, Any] | None) -> None:
    if part is None:
        return
    logprobs = choice.get("logprobs") or {}
    choice["logprobs"] = logprobs
    for key, values in part.items():
        if isinstance(values, list):
            logprobs[key] = logprobs.get(key) or []
            logprobs[key].extend(values)
        else:
            logprobs.setdefault(key, values)


def _finished(choice: dict[str, Any]) -> dict[str, Any]:
    texts = choice.pop("_text")
    message = choice["message"]
    message.update({key: "".join(parts) for key, parts in texts.items()})
    message.setdefault("content", None)
    message.setdefault("refusal", None)
    calls = message.get("tool_calls")
    if calls:
        message["tool_calls"] = [{k: v for k, v in call.items() if k != "index"} for call in sorted(calls, key=_index)]
    choice.setdefault("logprobs", None)
    return choice


def _index(call: Mapping[str, Any]) -> int:
    return int(call["index"])


def as_chunks(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Tell a whole `chat.completion` as a stream: for each choice its role and content, then its finish reason."""
    shared = {key: value for key, value in body.items() if key not in _REBUILT}
    shared["object"] = "chat.completion.chunk"
    for choice in body.get("choices") or ():
        message = dict(choice.get("message") or {})
        if message.get("tool_calls"):
            message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(message["tool_calls"])]
        rest = {key: value for key, value in choice.items() if key not in {"message", "finish_reason"}}
        yield {**shared, "choices": [{**rest, "delta": message, "finish_reason": None}]}
        finish = {"index": choice.get("index", 0), "delta": {}, "finish_reason": choice.get("finish_reason")}
        yield {**shared, "choices": [finish]}
