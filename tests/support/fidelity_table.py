"""What becomes of each OpenAI chat parameter, by the kind of deployment that answers.

One table for both: the suite sends every row through a real server and checks each cell on the wire, and
`scripts/fidelity` writes docs/fidelity.md of it. Pure data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

OPENAI, REASONING, ANTHROPIC, GEMINI, AZURE, BEDROCK, VERTEX = (
    "OpenAI-compatible",
    "OpenAI, reasoning",
    "litellm: Anthropic",
    "litellm: Gemini",
    "litellm: Azure",
    "litellm: Bedrock",
    "litellm: Vertex",
)
KINDS = (OPENAI, REASONING, ANTHROPIC, GEMINI, AZURE, BEDROCK, VERTEX)


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
    azure: Cell | None = None,
    bedrock: Cell | None = None,
    vertex: Cell | None = None,
    text: str | None = None,
) -> Row:
    """A row; what is not said is "yes", and of Vertex what is said of Gemini: one dialect at two addresses."""
    said = {
        OPENAI: None,
        REASONING: reasoning,
        ANTHROPIC: anthropic,
        GEMINI: gemini,
        AZURE: azure,
        BEDROCK: bedrock,
        VERTEX: vertex or gemini,
    }
    return Row(name, body, {kind: cell or yes() for kind, cell in said.items()}, text)


def generation(**sent: Any) -> Cell:
    """A field of Gemini's generationConfig."""
    return as_(f"generationConfig.{next(iter(sent))}", generationConfig=sent)


def converse(**sent: Any) -> Cell:
    """A field of Bedrock's inferenceConfig."""
    return as_(f"inferenceConfig.{next(iter(sent))}", inferenceConfig=sent)


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "add", "description": "Adds.", "parameters": SCHEMA}}
ANTHROPIC_TOOL = {"name": "add", "description": "Adds.", "type": "custom"}
BEDROCK_TOOL = {"toolSpec": {"name": "add", "description": "Adds."}}
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


def parts(*more: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"text": "hi"}, *more]}]}


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
    "bedrock": as_("system", system=[{"text": "Be brief."}]),
}

TABLE: tuple[Row, ...] = (
    row(
        "messages: system",
        SYSTEM,
        **_SYSTEM_CELLS,
    ),
    row("messages: developer", DEVELOPER, azure=as_("system", messages=[{"role": "system"}]), **_SYSTEM_CELLS),
    row(
        "messages: tool calls and results",
        SEVERAL_TURNS,
        anthropic=as_("tool_use, tool_result", messages=[{"role": "user"}, {"role": "assistant"}, {"role": "user"}]),
        gemini=as_("function_call, function_response", contents=[{"role": "user"}, {"role": "model"}, {}]),
        azure=as_("the same without its nulls", messages=[{}, {}, {"role": "assistant", "tool_calls": [CALL]}, {}]),
        bedrock=as_("toolUse, toolResult", messages=[{"role": "user"}, {"role": "assistant"}, {"role": "user"}]),
    ),
    row(
        "messages: name",
        {"messages": [{"role": "user", "name": "bob", "content": "hi"}]},
        anthropic=no(),
        gemini=no(),
        bedrock=no(),
    ),
    row(
        "messages: image",
        user(IMAGE),
        anthropic=as_("image source", **block("image", "image/png", "iVBORw0KGgo=")),
        gemini=as_("inline_data", **inline("image/png", "iVBORw0KGgo=")),
        bedrock=as_("image source", **parts({"image": {"source": {"bytes": "iVBORw0KGgo="}, "format": "png"}})),
    ),
    row(
        "messages: audio",
        user(AUDIO),
        anthropic=refused("no model of it hears"),
        gemini=as_("inline_data", **inline("audio/wav", "AAAA")),
        bedrock=refused("no model of it hears"),
    ),
    row(
        "messages: file",
        user(FILE),
        anthropic=as_("document source", **block("document", "application/pdf", "JVBERi0=")),
        gemini=as_("inline_data", **inline("application/pdf", "JVBERi0=")),
        bedrock=as_("document source", **parts({"document": {"source": {"bytes": "JVBERi0="}, "format": "pdf"}})),
    ),
    row(
        "audio",
        {"modalities": ["text", "audio"], "audio": {"voice": "alloy", "format": "wav"}},
        anthropic=no(),
        gemini=no(),
        bedrock=no(),
    ),
    row(
        "frequency_penalty",
        {"frequency_penalty": 0.5},
        reasoning=no(),
        anthropic=no(),
        gemini=generation(frequency_penalty=0.5),
        bedrock=no(),
    ),
    row(
        "function_call",
        {"functions": [TOOL["function"]], "function_call": {"name": "add"}},
        anthropic=refused("use tools"),
        gemini=refused("use tool_choice"),
        bedrock=refused("use tools"),
    ),
    row(
        "functions",
        {"functions": [TOOL["function"]]},
        anthropic=refused("use tools"),
        gemini=as_("function_declarations", tools=[GEMINI_TOOL]),
        bedrock=refused("use tools"),
    ),
    row("logit_bias", {"logit_bias": {"5": 1}}, reasoning=no(), anthropic=no(), gemini=no(), bedrock=no()),
    row(
        "logprobs",
        {"logprobs": True},
        reasoning=refused("the model has none"),
        anthropic=refused("the vendor has none"),
        gemini=generation(responseLogprobs=True),
        bedrock=refused("the vendor has none"),
    ),
    row(
        "top_logprobs",
        {"logprobs": True, "top_logprobs": 2},
        reasoning=refused("the model has none"),
        anthropic=refused("the vendor has none"),
        gemini=no(),
        bedrock=refused("the vendor has none"),
        vertex=as_("generationConfig.logprobs", generationConfig={"responseLogprobs": True, "logprobs": 2}),
    ),
    row(
        "max_completion_tokens",
        {"max_completion_tokens": 77},
        anthropic=as_("max_tokens", max_tokens=77),
        gemini=generation(max_output_tokens=77),
        bedrock=converse(maxTokens=77),
    ),
    row(
        "max_tokens",
        {"max_tokens": 77},
        reasoning=as_("max_completion_tokens", max_completion_tokens=77),
        gemini=generation(max_output_tokens=77),
        bedrock=converse(maxTokens=77),
    ),
    row("metadata", {"metadata": {"a": "b"}}, anthropic=no(), gemini=no(), azure=no(), bedrock=no()),
    row(
        "modalities",
        {"modalities": ["text"]},
        anthropic=no(),
        gemini=generation(responseModalities=["TEXT"]),
        bedrock=no(),
    ),
    row(
        "n",
        {"n": 2},
        anthropic=refused("the vendor has none"),
        gemini=generation(candidate_count=2),
        bedrock=refused("the vendor has none"),
    ),
    row(
        "parallel_tool_calls",
        {"tools": [TOOL], "parallel_tool_calls": False},
        anthropic=as_(
            "tool_choice.disable_parallel_tool_use", tool_choice={"type": "auto", "disable_parallel_tool_use": True}
        ),
        gemini=no(),
        bedrock=as_(
            "additionalModelRequestFields.tool_choice",
            additionalModelRequestFields={"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
        ),
    ),
    row("prediction", {"prediction": {"type": "content", "content": "x"}}, anthropic=no(), gemini=no(), bedrock=no()),
    row(
        "presence_penalty",
        {"presence_penalty": 0.5},
        reasoning=no(),
        anthropic=no(),
        gemini=generation(presence_penalty=0.5),
        bedrock=no(),
    ),
    row("prompt_cache_key", {"prompt_cache_key": "k"}, anthropic=no(), gemini=no(), bedrock=no()),
    row(
        "prompt_cache_retention",
        {"prompt_cache_retention": "24h"},
        anthropic=no(),
        gemini=no(),
        azure=no(),
        bedrock=no(),
    ),
    row(
        "reasoning_effort",
        {"reasoning_effort": "low"},
        anthropic=as_("thinking", thinking={"type": "enabled"}),
        gemini=as_("thinkingConfig", generationConfig={"thinkingConfig": {"includeThoughts": True}}),
        azure=no("this model does not reason; those that do take it"),
        bedrock=as_(
            "additionalModelRequestFields.thinking", additionalModelRequestFields={"thinking": {"type": "enabled"}}
        ),
    ),
    row(
        "response_format: json_object",
        {"response_format": {"type": "json_object"}},
        anthropic=no("the answer is checked to be JSON all the same"),
        gemini=generation(response_mime_type="application/json"),
        text='{"a": 1}',
        bedrock=no("the answer is checked to be JSON all the same"),
    ),
    row(
        "response_format: json_schema",
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA, "strict": True}}},
        anthropic=as_("output_format", output_format={"type": "json_schema"}),
        gemini=generation(response_json_schema={"type": "object"}),
        text='{"a": 1}',
        bedrock=as_("outputConfig.textFormat", outputConfig={"textFormat": {"type": "json_schema"}}),
    ),
    row("safety_identifier", {"safety_identifier": "s"}, anthropic=no(), gemini=no(), azure=no(), bedrock=no()),
    row("seed", {"seed": 3}, anthropic=no(), gemini=generation(seed=3), bedrock=no()),
    row(
        "service_tier",
        {"service_tier": "flex"},
        anthropic=no("`auto` and `default` arrive"),
        gemini=as_("serviceTier", serviceTier="flex"),
        azure=no(),
        bedrock=as_("serviceTier.type", serviceTier={"type": "flex"}),
    ),
    row(
        "stop: a string",
        {"stop": "END"},
        anthropic=as_("stop_sequences", stop_sequences=["END"]),
        gemini=generation(stop_sequences=["END"]),
        bedrock=converse(stopSequences=["END"]),
    ),
    row(
        "stop: an array",
        {"stop": ["END", "###"]},
        anthropic=as_("stop_sequences", stop_sequences=["END", "###"]),
        gemini=generation(stop_sequences=["END", "###"]),
        bedrock=converse(stopSequences=["END", "###"]),
    ),
    row("store", {"store": True}, anthropic=no(), gemini=no(), azure=no(), bedrock=no()),
    row(
        "temperature",
        {"temperature": 0.3},
        reasoning=no(),
        gemini=generation(temperature=0.3),
        bedrock=converse(temperature=0.3),
    ),
    row(
        "tool_choice: a word",
        {"tools": [TOOL], "tool_choice": "required"},
        anthropic=as_("tool_choice", tool_choice={"type": "any"}),
        gemini=as_("functionCallingConfig", toolConfig={"functionCallingConfig": {"mode": "ANY"}}),
        bedrock=as_("toolChoice.any", toolConfig={"toolChoice": {"any": {}}}),
    ),
    row(
        "tool_choice: a function",
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "add"}}},
        anthropic=as_("tool_choice", tool_choice={"type": "tool", "name": "add"}),
        gemini=as_(
            "functionCallingConfig",
            toolConfig={"functionCallingConfig": {"mode": "ANY", "allowed_function_names": ["add"]}},
        ),
        bedrock=as_("toolChoice.tool", toolConfig={"toolChoice": {"tool": {"name": "add"}}}),
    ),
    row(
        "tools",
        {"tools": [TOOL]},
        anthropic=as_("tools", tools=[ANTHROPIC_TOOL]),
        gemini=as_("function_declarations", tools=[GEMINI_TOOL]),
        bedrock=as_("toolSpec", toolConfig={"tools": [BEDROCK_TOOL]}),
    ),
    row("top_p", {"top_p": 0.4}, reasoning=no(), gemini=generation(top_p=0.4), bedrock=converse(topP=0.4)),
    row(
        "user", {"user": "u1"}, anthropic=as_("metadata.user_id", metadata={"user_id": "u1"}), gemini=no(), bedrock=no()
    ),
    row("verbosity", {"verbosity": "low"}, anthropic=no(), gemini=no(), azure=no(), bedrock=no()),
    row(
        "web_search_options",
        {"web_search_options": {}},
        anthropic=as_("web_search tool", tools=[{"name": "web_search"}]),
        gemini=as_("googleSearch tool", tools=[{"googleSearch": {}}]),
        bedrock=no(),
    ),
    row(
        "an unknown field",
        {"x_new": {"a": 1}},
        anthropic=no("the vendor refuses unknown fields"),
        gemini=yes(),
        bedrock=no("the vendor refuses unknown fields"),
        vertex=no("the vendor refuses unknown fields"),
    ),
)
