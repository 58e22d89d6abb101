"""litellm's objects -> OpenAI's JSON. Pure: it reads what `model_dump` gives, and imports no litellm."""

from __future__ import annotations

from typing import Any


def whole(response: Any) -> dict[str, Any]:
    """A `ModelResponse` -> `chat.completion`."""
    body = _plain(response)
    body["choices"] = [_whole_choice(choice) for choice in body.get("choices") or ()]
    return body


def chunk(response: Any) -> dict[str, Any]:
    """A streamed `ModelResponse` -> `chat.completion.chunk`."""
    body = _plain(response)
    body["choices"] = [_chunk_choice(choice) for choice in body.get("choices") or ()]
    return body


def _plain(response: Any) -> dict[str, Any]:
    body: dict[str, Any] = response.model_dump(exclude_none=True, mode="json", warnings=False)
    usage = body.get("usage")
    if isinstance(usage, dict):
        usage.pop("cost", None)  # litellm's own guess; what a call cost is ours to say
    return body


def _whole_choice(choice: dict[str, Any]) -> dict[str, Any]:
    message = _without_empty(choice.get("message") or {})
    filled = {"role": "assistant", "content": None, "refusal": None, **message}
    return {"logprobs": None, "finish_reason": None, **choice, "message": filled}


def _chunk_choice(choice: dict[str, Any]) -> dict[str, Any]:
    return {"finish_reason": None, **choice, "delta": _without_empty(choice.get("delta") or {})}


def _without_empty(message: dict[str, Any]) -> dict[str, Any]:
    """Without the containers that litellm adds and fills with nothing."""
    return {key: value for key, value in message.items() if not _is_empty(value)}


def _is_empty(value: Any) -> bool:
    return value == [] or (isinstance(value, dict) and all(inner is None for inner in value.values()))
