"""What becomes of each OpenAI chat parameter, by the kind of deployment that answers.

One table for both: the suite sends every row through a real server and checks each cell on the wire, and
`scripts/fidelity` writes docs/fidelity.md of it. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OPENAI, REASONING, ANTHROPIC, GEMINI = (
    "OpenAI-compatible",
    "OpenAI, reasoning",
    "litellm: Anthropic",
    "litellm: Gemini",
)
KINDS = (OPENAI, REASONING, ANTHROPIC, GEMINI)


@dataclass(frozen=True)
class Cell:
    """`word` is yes, translated, no or refused; `sent` what the upstream's body must hold; `note` for the reader.

    "no" means left out, and the decision's `dropped` says so; "refused" is a 400 that names it, nothing is spent.
    """

    word: str
    sent: dict[str, Any] | None = None
    note: str = ""


@dataclass(frozen=True)
class Row:
    """One parameter: the fields that are added to the request, and its cells by kind."""

    name: str
    body: dict[str, Any]
    cells: dict[str, Cell]
    text: str | None = None


def yes() -> Cell:
    return Cell("yes")


def as_(note: str, **sent: Any) -> Cell:
    return Cell("translated", sent, note)


def no(note: str = "") -> Cell:
    return Cell("no", note=note)


def refused(note: str = "") -> Cell:
    return Cell("refused", note=note)


def row(
    name: str,
    body: dict[str, Any],
    *,
    reasoning: Cell | None = None,
    anthropic: Cell | None = None,
    gemini: Cell | None = None,
    text: str | None = None,
) -> Row:
    """A row; what is not said is "yes"."""
    cells = {OPENAI: yes(), REASONING: reasoning or yes(), ANTHROPIC: anthropic or yes(), GEMINI: gemini or yes()}
    return Row(name, body, cells, text)


def generation(**sent: Any) -> Cell:
    """A field of Gemini's generationConfig."""
    return as_(f"generationConfig.{next(iter(sent))}", generationConfig=sent)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "add", "description": "Adds.", "type": "custom"}
GEMINI_TOOL = {"function_declarations": [{"name": "add", "description": "Adds."}]}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}}
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}


def user(*parts: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, *parts]}]}


def inline(kind: str, data: str) -> dict[str, Any]:
    return {
        "contents": [{"role": "user", "parts": [{"text": "hi"}, {"inline_data": {"mime_type": kind, "data": data}}]}]
    }


def block(kind: str, media_type: str, data: str) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": data}
    return {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": kind, "source": source}]}]
    }


SEVERAL_TURNS = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "add 1"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "2"},
    ],
    "tools": [TOOL],
}
SYSTEM = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]}
DEVELOPER = {"messages": [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": "hi"}]}
_SYSTEM_CELLS = {
    "anthropic": as_("system", system=[{"type": "text", "text": "Be brief."}]),
    "gemini": as_("system_instruction", system_instruction={"parts": [{"text": "Be brief."}]}),
}

TABLE: tuple[Row, ...] = (
    row(
        "messages: system",
        SYSTEM,
        **_SYSTEM_CELLS,
    ),
    row("messages: developer", DEVELOPER, **_SYSTEM_CELLS),
    row(
        "messages: tool calls and results",
        SEVERAL_TURNS,
        anthropic=as_("tool_use, tool_result", messages=[{"role": "user"}, {"role": "assistant"}, {"role": "user"}]),
        gemini=as_("function_call, function_response", contents=[{"role": "user"}, {"role": "model"}, {}]),
    ),
    row(
        "messages: name",
        {"messages": [{"role": "user", "name": "bob", "content": "hi"}]},
        anthropic=no(),
        gemini=no(),
    ),
    row(
        "messages: image",
        user(IMAGE),
        anthropic=as_("image source", **block("image", "image/png", "iVBORw0KGgo=")),
        gemini=as_("inline_data", **inline("image/png", "iVBORw0KGgo=")),
    ),
    row(
        "messages: audio",
        user(AUDIO),
        anthropic=refused("no model of it hears"),
        gemini=as_("inline_data", **inline("audio/wav", "AAAA")),
    ),
    row(
        "messages: file",
        user(FILE),
        anthropic=as_("document source", **block("document", "application/pdf", "JVBERi0=")),
        gemini=as_("inline_data", **inline("application/pdf", "JVBERi0=")),
    ),
    row(
        "audio",
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        anthropic=no(),
        gemini=no(),
    ),
    row(
        "frequency_penalty",
        {"frequency_penalty": 0.5},
        reasoning=no(),
        anthropic=no(),
        gemini=generation(frequency_penalty=0.5),
    ),
    row(
        "function_call",
        {"functions": [TOOL["function"]], "function_call": {"name": "add"}},
        anthropic=refused("use tools"),
        gemini=refused("use tool_choice"),
    ),
    row(
        "functions",
        {"functions": [TOOL["function"]]},
        anthropic=refused("use tools"),
        gemini=as_("function_declarations", tools=[GEMINI_TOOL]),
    ),
    row("logit_bias", {"logit_bias": {"5": 1}}, reasoning=no(), anthropic=no(), gemini=no()),
    row(
        "logprobs",
        {"logprobs": True},
        reasoning=refused("the model has none"),
        anthropic=refused("the vendor has none"),
        gemini=generation(responseLogprobs=True),
    ),
    row(
        "top_logprobs",
        {"logprobs": True, "top_logprobs": 2},
        reasoning=refused("the model has none"),
        anthropic=refused("the vendor has none"),
        gemini=no(),
    ),
    row(
        "max_completion_tokens",
        {"max_completion_tokens": 77},
        anthropic=as_("max_tokens", max_tokens=77),
        gemini=generation(max_output_tokens=77),
    ),
    row(
        "max_tokens",
        {"max_tokens": 77},
        reasoning=as_("max_completion_tokens", max_completion_tokens=77),
        gemini=generation(max_output_tokens=77),
    ),
    row("metadata", {"metadata": {"a": "b"}}, anthropic=no(), gemini=no()),
    row("modalities", {"modalities": ["text"]}, anthropic=no(), gemini=generation(responseModalities=["TEXT"])),
    row("n", {"n": 2}, anthropic=refused("the vendor has none"), gemini=generation(candidate_count=2)),
    row(
        "parallel_tool_calls",
        {"tools": [TOOL], "parallel_tool_calls": False},
        anthropic=as_(
            "tool_choice.disable_parallel_tool_use", tool_choice={"type": "auto", "disable_parallel_tool_use": True}
        ),
        gemini=no(),
    ),
    row("prediction", {"prediction": {"type": "content", "content": "x"}}, anthropic=no(), gemini=no()),
    row(
        "presence_penalty",
        {"presence_penalty": 0.5},
        reasoning=no(),
        anthropic=no(),
        gemini=generation(presence_penalty=0.5),
    ),
    row("prompt_cache_key", {"prompt_cache_key": "k"}, anthropic=no(), gemini=no()),
    row("prompt_cache_retention", {"prompt_cache_retention": "24h"}, anthropic=no(), gemini=no()),
    row(
        "reasoning_effort",
        {"reasoning_effort": "low"},
        anthropic=as_("thinking", thinking={"type": "enabled"}),
        gemini=as_("thinkingConfig", generationConfig={"thinkingConfig": {"includeThoughts": True}}),
    ),
    row(
        "response_format: json_object",
        {"response_format": {"type": "json_object"}},
        anthropic=no("the answer is checked to be JSON all the same"),
        gemini=generation(response_mime_type="application/json"),
        text='{"a": 1}',
    ),
    row(
        "response_format: json_schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
        anthropic=as_("output_format", output_format={"type": "json_schema"}),
        gemini=generation(response_json_schema={"type": "object"}),
        text='{"a": 1}',
    ),
    row("safety_identifier", {"safety_identifier": "s"}, anthropic=no(), gemini=no()),
    row("seed", {"seed": 3}, anthropic=no(), gemini=generation(seed=3)),
    row(
        "service_tier",
        {"service_tier": "flex"},
        anthropic=no("`auto` and `default` arrive"),
        gemini=as_("serviceTier", serviceTier="flex"),
    ),
    row(
        "stop: a string",
        {"stop": "END"},
        anthropic=as_("stop_sequences", stop_sequences=["END"]),
        gemini=generation(stop_sequences=["END"]),
    ),
    row(
        "stop: an array",
        {"stop": ["END", "###"]},
        anthropic=as_("stop_sequences", stop_sequences=["END", "###"]),
        gemini=generation(stop_sequences=["END", "###"]),
    ),
    row("store", {"store": True}, anthropic=no(), gemini=no()),
    row("temperature", {"temperature": 0.3}, reasoning=no(), gemini=generation(temperature=0.3)),
    row(
        "tool_choice: a word",
        {"tools": [TOOL], "tool_choice": "required"},
        anthropic=as_("tool_choice", tool_choice={"type": "any"}),
        gemini=as_("functionCallingConfig", toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
    ),
    row(
        "tool_choice: a function",
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}},
        anthropic=as_("tool_choice", tool_choice={"type": "tool", "name": "add"}),
        gemini=as_(
            "functionCallingConfig",
            toolConfig={"functionCallingConfig": {"mode": "ANY", "allowed_function_names": ["add"]}},
        ),
    ),
    row(
        "tools",
        {"tools": [TOOL]},
        anthropic=as_("tools", tools=[ANTHROPIC_TOOL]),
        gemini=as_("function_declarations", tools=[GEMINI_TOOL]),
    ),
    row("top_p", {"top_p": 0.4}, reasoning=no(), gemini=generation(top_p=0.4)),
    row("user", {"user": "u1"}, anthropic=as_("metadata.user_id", metadata={"user_id": "u1"}), gemini=no()),
    row("verbosity", {"verbosity": "low"}, anthropic=no(), gemini=no()),
    row(
        "web_search_options",
        {"web_search_options": {}},
        anthropic=as_("web_search tool", tools=[{"name": "web_search"}]),
        gemini=as_("googleSearch tool", tools=[{"googleSearch": {}}]),
    ),
    row("an unknown field", {"x_new": {"a": 1}}, anthropic=no("the vendor refuses unknown fields"), gemini=yes()),
)
