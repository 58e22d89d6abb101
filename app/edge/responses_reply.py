"""`/v1/responses`, the way out: an answered chat -> a Response object.

The law of this file: pure; the shape is OpenAI's
(https://platform.openai.com/docs/api-reference/responses/object), and fields it does not know are carried along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.edge import reports

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.edge.reports import Extras
    from router.domain import Outcome

#: Why a response is incomplete, by the chat's finish reason.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
#: Parameters that a response repeats, with OpenAI's defaults. The empty ones: OpenAI's document wants a text and no
#: null, https://www.openresponses.org wants them always.
_ECHOED: Mapping[str, Any] = {
    "frequency_penalty": 0.0,
    "instructions": None,
    "max_output_tokens": None,
    "max_tool_calls": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "presence_penalty": 0.0,
    "prompt_cache_key": "",
    "safety_identifier": "",
    "temperature": 1.0,
    "tool_choice": "auto",
    "top_logprobs": 0,
    "top_p": 1.0,
}
#: Details of tokens that only chats have.
_CHAT_DETAILS = frozenset({"audio_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens"})
#: What a chat body has beside these goes into the response as it is (service_tier, vendors' own fields).
_CHAT = frozenset({"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "gearbox"})


def whole(asked: Mapping[str, Any], outcome: Outcome, extras: Extras) -> dict[str, Any]:
    """The Response of a finished run; `asked` is the client's own request."""
    chat = reports.body(outcome, extras)
    choice = chat["choices"][0]
    incomplete = _INCOMPLETE.get(choice.get("finish_reason") or "")
    status = "incomplete" if incomplete else "completed"
    started = begun(asked, outcome.request.id, outcome.request.received_at)
    return {
        **{key: value for key, value in chat.items() if key not in _CHAT},
        **started,
        "completed_at": None if incomplete else int(outcome.started_at + outcome.latency_s),
        "service_tier": chat.get("service_tier") or asked.get("service_tier") or "default",
        "status": status,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "model": chat["model"],
        "output": list(output(choice, outcome.request.id, status)),
        "usage": usage(chat.get("usage")),
        **({"gearbox": chat["gearbox"]} if "gearbox" in chat else {}),
    }


def begun(asked: Mapping[str, Any], request_id: str, received_at: float) -> dict[str, Any]:
    """The Response of a run that has only started."""
    text, reasoning = asked.get("text") or {}, asked.get("reasoning") or {}
    echoed = {name: default if asked.get(name) is None else asked[name] for name, default in _ECHOED.items()}
    return {
        "id": f"resp_{request_id}",
        "object": "response",
        "created_at": int(received_at),
        "completed_at": None,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": asked.get("model"),
        "output": [],
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": None},
        "service_tier": asked.get("service_tier") or "auto",
        "store": False,  # nothing can be fetched again by this id
        "tools": [_tool(tool) for tool in asked.get("tools") or ()],
        "text": {**text, "format": text.get("format") or {"type": "text"}},
        "truncation": "disabled",
        "usage": None,
        **echoed,
        **({} if asked.get("user") is None else {"user": asked["user"]}),  # a text in OpenAI's document, never null
    }


def _tool(tool: Mapping[str, Any]) -> dict[str, Any]:
    """A function as it was passed on: with every field that OpenAI's shape has."""
    return {"description": None, "parameters": None, **tool, "strict": bool(tool.get("strict"))}


def output(choice: Mapping[str, Any], request_id: str, status: str) -> Iterator[dict[str, Any]]:
    """The items of an answer: its message, then its calls, all as complete as the response itself."""
    message = choice.get("message") or {}
    calls = message.get("tool_calls") or ()
    content = list(parts(message, choice.get("logprobs")))
    if content or not calls:
        yield message_item(request_id, content, status)
    for place, call in enumerate(calls):
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        yield call_item(request_id, place, call.get("id"), function.get("name"), arguments, status)


def parts(message: Mapping[str, Any], logprobs: Any) -> Iterator[dict[str, Any]]:
    """A message's text and refusal."""
    if message.get("content"):
        entries = logprobs.get("content") if isinstance(logprobs, dict) else None
        yield text_part(message["content"], entries or [])
    if message.get("refusal"):
        yield refusal_part(message["refusal"])


def text_part(text: str, logprobs: list[Any]) -> dict[str, Any]:
    """A part of text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": logprobs}


def refusal_part(text: str) -> dict[str, Any]:
    """A part that declines."""
    return {"type": "refusal", "refusal": text}


def message_item(request_id: str, content: list[dict[str, Any]], status: str) -> dict[str, Any]:
    """The answer's message."""
    return {"id": f"msg_{request_id}", "type": "message", "role": "assistant", "status": status, "content": content}


def call_item(request_id: str, place: int, call_id: Any, name: Any, arguments: str, status: str) -> dict[str, Any]:
    """One call of a function; `call_id` is what its output must name."""
    return {
        "id": f"fc_{request_id}_{place}",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def usage(chat: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A chat's usage under the Responses API's names; what it does not know (`cost`) is carried along."""
    if not chat:
        return None
    inside, outside = chat.get("prompt_tokens_details") or {}, chat.get("completion_tokens_details") or {}
    named = {"prompt_tokens", "completion_tokens", "total_tokens", "prompt_tokens_details", "completion_tokens_details"}
    prompt, completion = chat.get("prompt_tokens") or 0, chat.get("completion_tokens") or 0
    return {
        **{key: value for key, value in chat.items() if key not in named},
        "input_tokens": prompt,
        "input_tokens_details": _details(inside, "cached_tokens", "cache_write_tokens"),
        "output_tokens": completion,
        "output_tokens_details": _details(outside, "reasoning_tokens"),
        "total_tokens": chat.get("total_tokens") or prompt + completion,
    }


def _details(chat: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """A chat's details of tokens with the names that a Response always has, and without those only chats have."""
    kept = {key: value for key, value in chat.items() if key not in _CHAT_DETAILS}
    return {**kept, **{name: chat.get(name) or 0 for name in names}}
