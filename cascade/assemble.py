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
        elif key == "role" or not isinstance(value, str):
            message[key] = value if value is not None else message.get(key)
        else:
            texts.setdefault(key, []).append(value)


def _merge_tool_call(calls: list[dict[str, Any]], part: Mapping[str, Any]) -> None:
    index = part.get("index", len(calls) - 1 if calls else 0)
    call = next((call for call in calls if call["index"] == index), None)
    if call is None:
        call = {"index": index, "function": {"arguments": ""}}
        calls.append(call)
    for key, value in part.items():
        if key == "function":
            function = call["function"]
            for name, text in (value or {}).items():
                function[name] = (
                    function.get(name, "") + (text or "") if name == "arguments" else text or function.get(name)
                )
        elif key != "index" and value is not None:
            call[key] = value


def _merge_function(function: dict[str, Any], part: Mapping[str, Any]) -> None:
    for name, text in part.items():
        if name == "arguments":
            function[name] = function.get(name, "") + (text or "")
        elif text is not None:
            function[name] = text


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
