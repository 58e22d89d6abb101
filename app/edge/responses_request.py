"""`/v1/responses`, the way in: a Responses request -> a chat body.

The law of this file: pure, and nothing is lost in silence: what a chat cannot express is a 400 that names it. Nothing
of an earlier response is kept here, so whatever needs one is refused too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.edge.bodies import check_chat
from router.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

#: Parameters that need what Gearbox does not keep or do, and what to do instead.
_REFUSED = {
    "previous_response_id": "responses are not kept here; send the whole conversation as input",
    "conversation": "conversations are not kept here; send the whole conversation as input",
    "prompt": "prompt templates live at OpenAI; send instructions and input",
    "background": "responses are answered at once; leave it out, or stream",
}
#: Read by the translation, or about keeping and echoing, and not for a chat model.
_READ = frozenset(
    {"background", "conversation", "include", "input", "instructions", "max_output_tokens", "max_tool_calls"}
    | {"metadata", "previous_response_id", "prompt", "reasoning", "store", "stream_options", "text", "tool_choice"}
    | {"tools", "truncation"}
)
_LOGPROBS = "message.output_text.logprobs"
_SIDES = {"input_text": "text", "output_text": "text", "text": "text"}


def chat(body: Mapping[str, Any]) -> dict[str, Any]:
    """The chat body.

    Raises:
        RequestError: naming what cannot be done, or is wrong.
    """
    for name, instead in _REFUSED.items():
        if body.get(name):
            raise RequestError(f"{name} is not supported: {instead}", param=name)
    told = {key: value for key, value in body.items() if key not in _READ and value is not None}
    told["messages"] = [*_instructions(body.get("instructions")), *_messages(body.get("input"))]
    translated = {
        "max_completion_tokens": _positive(body, "max_output_tokens"),
        "reasoning_effort": _object(body, "reasoning").get("effort"),
        "verbosity": _object(body, "text").get("verbosity"),
        "response_format": _format(_object(body, "text").get("format")),
        "tools": _tools(body.get("tools")),
        "tool_choice": _tool_choice(body.get("tool_choice")),
        "stream_options": {"include_usage": True} if body.get("stream") else None,
    }
    told.update({name: value for name, value in translated.items() if value is not None})
    if _wants_logprobs(body):
        told["logprobs"] = True
    else:
        told.pop("top_logprobs", None)
    check_chat(told)
    return told


def _wants_logprobs(body: Mapping[str, Any]) -> bool:
    include = body.get("include") or []
    if not isinstance(include, list):
        raise RequestError("include must be an array", param="include")
    return _LOGPROBS in include or bool(body.get("top_logprobs"))


def _object(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = body.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(f"{name} must be an object", param=name)
    return value or {}


def _positive(body: Mapping[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise RequestError(f"{name} must be a positive integer", param=name)
    return value


def _format(given: Any) -> dict[str, Any] | None:
    """`text.format` -> `response_format`: the schema one level deeper."""
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("type"), str):
        raise RequestError("text.format must be an object with a type", param="text.format")
    if given["type"] == "text":
        return None
    if given["type"] != "json_schema":
        return dict(given)
    if not isinstance(given.get("schema"), dict):
        raise RequestError("text.format needs a schema, an object", param="text.format.schema")
    return {"type": "json_schema", "json_schema": {key: value for key, value in given.items() if key != "type"}}


def _tools(tools: Any) -> list[dict[str, Any]] | None:
    if tools is None:
        return None
    if not isinstance(tools, list):
        raise RequestError("tools must be an array", param="tools")
    return [_tool(place, tool) for place, tool in enumerate(tools)] or None


def _tool(place: int, tool: Any) -> dict[str, Any]:
    param = f"tools.{place}"
    kind = tool.get("type") if isinstance(tool, dict) else None
    if kind != "function":
        raise RequestError(
            f"{param}: tools of type {kind!r} run at OpenAI and are not supported; functions are", param=param
        )
    if not isinstance(tool.get("name"), str):
        raise RequestError(f"{param}.name is missing", param=f"{param}.name")
    function = {key: value for key, value in tool.items() if key != "type" and value is not None}
    return {"type": "function", "function": function}


def _tool_choice(choice: Any) -> Any:
    """`{type: function, name}` -> `{type: function, function: {name}}`; words stay words."""
    if not isinstance(choice, dict):
        return choice
    match choice.get("type"):
        case "function":
            return {"type": "function", "function": {"name": choice.get("name")}}
        case "allowed_tools":
            tools = choice.get("tools")
            named = [_tool_choice(tool) for tool in tools] if isinstance(tools, list) else tools
            return {"type": "allowed_tools", "allowed_tools": {"mode": choice.get("mode", "auto"), "tools": named}}
        case kind:
            raise RequestError(f"tool_choice of type {kind!r} is not supported", param="tool_choice")


def _instructions(instructions: Any) -> list[dict[str, Any]]:
    if instructions is None:
        return []
    if isinstance(instructions, list):
        return _messages(instructions)
    if not isinstance(instructions, str):
        raise RequestError("instructions must be a string", param="instructions")
    return [{"role": "system", "content": instructions}]


# input items -> messages


def _messages(given: Any) -> list[dict[str, Any]]:
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    if not isinstance(given, list) or not given:
        raise RequestError("you must provide input: a string, or an array of items", param="input")
    messages: list[dict[str, Any]] = []
    for place, item in enumerate(given):
        for message in _item(item, f"input.{place}"):
            _append(messages, message)
    return messages


def _append(messages: list[dict[str, Any]], message: dict[str, Any]) -> None:
    """Add a message; the calls of one turn belong to one assistant message."""
    last = messages[-1] if messages else {}
    if message.get("tool_calls") and last.get("role") == "assistant":
        last["tool_calls"] = [*last.get("tool_calls", ()), *message["tool_calls"]]
    else:
        messages.append(message)


def _item(item: Any, param: str) -> Iterator[dict[str, Any]]:
    if not isinstance(item, dict):
        raise RequestError(f"{param} must be an object", param=param)
    kind = item.get("type") or "message"
    read = _ITEMS.get(kind) if isinstance(kind, str) else None
    if read is None:
        raise RequestError(
            f"{param}: items of type {kind!r} are not supported; there are: {', '.join(sorted(_ITEMS))}", param=param
        )
    yield from read(item, param)


def _message(item: Mapping[str, Any], param: str) -> Iterator[dict[str, Any]]:
    content = item.get("content")
    if isinstance(content, list):
        content = [_part(part, f"{param}.content.{place}") for place, part in enumerate(content)]
        if item.get("role") == "assistant":
            content = _joined(content)
    yield {"role": item.get("role"), "content": content}


def _joined(parts: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """An assistant's text as one string, which every vendor takes."""
    if all(part.get("type") == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _part(part: Any, param: str) -> dict[str, Any]:
    kind = str(part.get("type")) if isinstance(part, dict) else None
    if kind in _SIDES and isinstance(part.get("text"), str):
        return {"type": "text", "text": part["text"]}
    match kind:
        case "refusal":
            return {"type": "refusal", "refusal": part.get("refusal")}
        case "input_image" if isinstance(part.get("image_url"), str):
            detail = {"detail": part["detail"]} if part.get("detail") else {}
            return {"type": "image_url", "image_url": {"url": part["image_url"], **detail}}
        case "input_file":
            return {"type": "file", "file": {key: value for key, value in part.items() if key != "type"}}
        case "input_audio":
            return dict(part)
        case _:
            raise RequestError(f"{param}: a part of type {kind!r} that cannot be read as it is", param=param)


def _function_call(item: Mapping[str, Any], param: str) -> Iterator[dict[str, Any]]:
    function = {"name": _text(item, "name", param), "arguments": _text(item, "arguments", param)}
    call = {"id": _text(item, "call_id", param), "type": "function", "function": function}
    yield {"role": "assistant", "content": None, "tool_calls": [call]}


def _function_output(item: Mapping[str, Any], param: str) -> Iterator[dict[str, Any]]:
    output = item.get("output")
    if isinstance(output, list):
        output = [_part(part, f"{param}.output.{place}") for place, part in enumerate(output)]
    elif not isinstance(output, str):
        raise RequestError(f"{param}.output must be a string or an array of parts", param=f"{param}.output")
    yield {"role": "tool", "tool_call_id": _text(item, "call_id", param), "content": output}


def _nothing(_item: Mapping[str, Any], _param: str) -> Iterator[dict[str, Any]]:
    """A model's own reasoning of an earlier turn: no other model can read it."""
    yield from ()


def _text(item: Mapping[str, Any], name: str, param: str) -> str:
    value = item.get(name)
    if not isinstance(value, str):
        raise RequestError(f"{param}.{name} must be a string", param=f"{param}.{name}")
    return value


_ITEMS: Mapping[str, Callable[[Mapping[str, Any], str], Iterator[dict[str, Any]]]] = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_output,
    "reasoning": _nothing,
}
