"""A vendor that records what it is sent, and answers in the dialect of the path it is asked at.

It speaks OpenAI's chat completions and embeddings, Azure's deployments, Anthropic's Messages, Gemini's generateContent
(Vertex's, too, and the token endpoint before it) and Bedrock's Converse, whole and as streams. A judge (known by our
own prompt) says no to whatever the model "small" said, yes to everything else.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from vendor_bedrock import converse, converse_frames

JUDGE = "You check answers."
TEXT = "Hello, world"
#: What a service account's assertion is exchanged for.
TOKEN = "ya29.made-for-tests"


@dataclass
class Recorded:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    query: dict[str, str] = field(default_factory=dict)
    raw_path: str = ""
    raw: bytes = b""

    @property
    def judging(self) -> bool:
        return JUDGE in json.dumps(self.body)


@dataclass
class Failure:
    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Vendor:
    """What it was sent, and what it does next."""

    requests: list[Recorded] = field(default_factory=list)
    granted: str = ""
    token_status: int = 200
    text: str = TEXT
    tool: tuple[str, dict[str, Any]] | None = None
    failure: Failure | None = None
    failing: str = ""
    raw: bytes | None = None
    frames: list[bytes] | None = None
    cut: bool = False
    delay_s: float = 0.0
    verdict: str = "no"
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self._answer, methods=["GET", "POST"])])

    @property
    def last(self) -> Recorded:
        return self.requests[-1]

    @property
    def asked(self) -> list[Recorded]:
        return [each for each in self.requests if not each.judging]

    def reset(self) -> None:
        fresh = Vendor()
        for name in (
            "text",
            "tool",
            "failure",
            "failing",
            "raw",
            "frames",
            "cut",
            "delay_s",
            "verdict",
            "extra",
            "token_status",
        ):
            setattr(self, name, getattr(fresh, name))
        self.requests.clear()

    async def _answer(self, http) -> Response:
        raw = await http.body()
        if http.url.path == "/token":
            return self._token(raw)
        body = json.loads(raw) if raw else {}
        raw_path = http.scope["raw_path"].decode()
        self.requests.append(Recorded(http.url.path, dict(http.headers), body, dict(http.query_params), raw_path, raw))
        await asyncio.sleep(self.delay_s)
        if self.failing and self.failing in raw.decode():
            return JSONResponse({"error": {"message": "this one fails"}}, 500)
        if self.failure is not None:
            return JSONResponse(self.failure.body, self.failure.status, self.failure.headers)
        if self.raw is not None:
            return Response(self.raw, 200, media_type="application/json")
        return self._dialect(http.url.path, body)

    def _dialect(self, path: str, body: dict[str, Any]) -> Response:
        """The answer, in the dialect of the path."""
        streamed = bool(body.get("stream"))
        if path.endswith(("/messages", ":rawPredict", ":streamRawPredict")):
            reply = self._told(streamed, anthropic(self, body), anthropic_events(self, body))
        elif "enerateContent" in path:
            reply = self._told("stream" in path, gemini(self, body), gemini_events(self, body))
        elif path.endswith("/embeddings"):
            reply = JSONResponse(embeddings(body))
        elif path.endswith("/converse-stream"):
            reply = self._pieces(self.frames or converse_frames(self, body), "application/vnd.amazon.eventstream")
        elif path.endswith("/converse"):
            reply = JSONResponse(converse(self, body))
        elif "/openai/deployments/" in path:
            reply = self._told(streamed, *azure(openai(self, body), openai_events(self, body)))
        else:
            reply = self._told(streamed, openai(self, body), openai_events(self, body))
        return reply

    def _told(self, stream: bool, whole: dict[str, Any], events: list[str]) -> Response:
        return self._pieces(events, "text/event-stream") if stream else JSONResponse(whole)

    def _pieces(self, events: list[Any], media_type: str) -> Response:
        async def pieces():
            for event in events[: 3 if self.cut else None]:
                yield event
                await asyncio.sleep(0)

        return StreamingResponse(pieces(), media_type=media_type)

    def _token(self, raw: bytes) -> Response:
        """Google's OAuth endpoint: a signed assertion for a token."""
        self.granted = raw.decode()
        if self.token_status != 200:
            return JSONResponse({"error": "invalid_grant", "error_description": "no such account"}, self.token_status)
        return JSONResponse({"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def said(self, body: dict[str, Any]) -> tuple[str, tuple[str, dict[str, Any]] | None]:
        """(text, tool call) for this request; a judge's verdict where it is asked for one."""
        if JUDGE in json.dumps(body):
            return f"I worked it out.\nvalidity: {self.verdict}", None
        return self.text, self.tool


def anthropic(vendor: Vendor, body: dict[str, Any]) -> dict[str, Any]:
    text, tool = vendor.said(body)
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if tool is not None:
        content = [{"type": "tool_use", "id": "toolu_1", "name": tool[0], "input": tool[1]}]
    forced = (body.get("tool_choice") or {}).get("name")
    if forced == "json_tool_call":  # litellm's way to have a schema kept
        content = [{"type": "tool_use", "id": "toolu_1", "name": forced, "input": json.loads(text)}]
        tool = (forced, {})
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": f"{body.get('model', 'claude')}-dated",
        "content": content,
        "stop_reason": "tool_use" if tool else "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_read_input_tokens": 5,
            "cache_creation_input_tokens": 7,
            "output_tokens": 4,
        },
        **vendor.extra,
    }


def anthropic_events(vendor: Vendor, body: dict[str, Any]) -> list[str]:
    whole = anthropic(vendor, body)
    block = whole["content"][0]
    if block["type"] == "text":
        start = {"type": "text", "text": ""}
        half = len(block["text"]) // 2
        deltas = [{"type": "text_delta", "text": part} for part in (block["text"][:half], block["text"][half:])]
    else:
        start = {**block, "input": {}}
        text = json.dumps(block["input"])
        half = len(text) // 2
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in (text[:half], text[half:])]
    usage = whole["usage"]
    events = [
        {"type": "message_start", "message": {**whole, "content": [], "usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": start},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"]}, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events]


def gemini(vendor: Vendor, body: dict[str, Any]) -> dict[str, Any]:
    text, tool = vendor.said(body)
    parts: list[dict[str, Any]] = [{"text": text}]
    if tool is not None:
        parts = [{"functionCall": {"name": tool[0], "args": tool[1]}}]
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {
            "promptTokenCount": 20,
            "cachedContentTokenCount": 6,
            "candidatesTokenCount": 4,
            "thoughtsTokenCount": 3,
            "totalTokenCount": 27,
        },
        "modelVersion": "gemini-dated",
        "responseId": "r1",
    }


def gemini_events(vendor: Vendor, body: dict[str, Any]) -> list[str]:
    return [f"data: {json.dumps(gemini(vendor, body))}\n\n"]


def openai(vendor: Vendor, body: dict[str, Any]) -> dict[str, Any]:
    text, tool = vendor.said(body)
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "x_message": "kept"}
    if tool is not None:
        function = {"name": tool[0], "arguments": json.dumps(tool[1])}
        message |= {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
    logprobs = None
    if body.get("logprobs"):
        tokens = [text[:5], text[5:]]
        top = [{"token": tokens[0], "logprob": -0.1, "bytes": None}, {"token": "Bye", "logprob": -2.5, "bytes": None}]
        logprobs = {
            "content": [{"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": top} for token in tokens],
            "refusal": None,
        }
    choice = {"message": message, "finish_reason": "tool_calls" if tool else "stop", "logprobs": logprobs}
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": f"{body.get('model')}-dated",
        "choices": [{"index": index, **choice} for index in range(body.get("n") or 1)],
        "usage": {
            "prompt_tokens": 22,
            "completion_tokens": 4,
            "total_tokens": 26,
            "prompt_tokens_details": {"cached_tokens": 5},
            "completion_tokens_details": {"reasoning_tokens": 1},
        },
        "x_upstream": {"kept": True},
        **vendor.extra,
    }


def openai_events(vendor: Vendor, body: dict[str, Any]) -> list[str]:
    whole = openai(vendor, body)
    shared = {**whole, "object": "chat.completion.chunk"}
    usage, choices = shared.pop("usage"), shared.pop("choices")
    chunks = []
    for choice in choices:
        message, index = dict(choice["message"]), choice["index"]
        text, calls = message.pop("content"), message.pop("tool_calls", None)
        deltas: list[dict[str, Any]] = [message]
        if calls:
            call = calls[0]
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            deltas.append({"tool_calls": [{"index": 0, **call, "function": {"name": name, "arguments": ""}}]})
            deltas += [{"tool_calls": [{"index": 0, "function": {"arguments": part}}]} for part in _halves(arguments)]
        else:
            deltas += [{"content": part} for part in _halves(text)]
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        for place, delta in enumerate(deltas):
            part = {"index": index, "delta": delta, "finish_reason": None}
            if 0 < place <= len(logprobs):
                part["logprobs"] = {"content": [logprobs[place - 1]], "refusal": None}
            chunks.append({**shared, "choices": [part]})
        chunks.append({**shared, "choices": [{"index": index, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        chunks.append({**shared, "choices": [], "usage": usage})
    return [*(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks), "data: [DONE]\n\n"]


def _halves(text: str) -> list[str]:
    return [text[:5], text[5:]]


def azure(whole: dict[str, Any], events: list[str]) -> tuple[dict[str, Any], list[str]]:
    """The same with what Azure adds: filters beside each choice, and before a stream's first one."""
    passed = {"hate": {"filtered": False, "severity": "safe"}}
    choices = [{**choice, "content_filter_results": passed} for choice in whole["choices"]]
    prompt = [{"prompt_index": 0, "content_filter_results": passed}]
    shared = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
    first = {**shared, "prompt_filter_results": prompt}
    return {**whole, "choices": choices, "prompt_filter_results": prompt}, [f"data: {json.dumps(first)}\n\n", *events]


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """Eight numbers that follow from the text alone."""
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    data = [{"object": "embedding", "index": index, "embedding": unit(str(text))} for index, text in enumerate(texts)]
    usage = {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)}
    return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def unit(text: str) -> list[float]:
    numbers = [byte - 127.5 for byte in hashlib.sha256(text.encode()).digest()[:8]]
    length = math.sqrt(sum(number * number for number in numbers))
    return [number / length for number in numbers]
