"""`/v1/responses` as a stream: chat events in, the Responses API's events out.

The law of this file: pure. Every event has its number; an item is opened when its first word comes and closed before
the response ends; what is known only at the end (usage, money) comes with `response.completed`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from app.edge import responses_reply as reply
from app.edge.errors import body_of
from app.edge.events import EventWriter
from app.edge.reports import spent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from app.edge.reports import Extras
    from router.domain import Outcome, Request
    from router.errors import GearboxError

_ENDS = {"completed": "response.completed", "incomplete": "response.incomplete"}


@dataclass(slots=True)
class _Part:
    """A part of the message while it grows: its place in the content, and what was said."""

    place: int
    kind: str
    said: list[str] = field(default_factory=list)
    logprobs: list[Any] = field(default_factory=list)

    @property
    def whole(self) -> dict[str, Any]:
        """The part as far as it goes."""
        text = "".join(self.said)
        return reply.text_part(text, self.logprobs) if self.kind == "output_text" else reply.refusal_part(text)


@dataclass(slots=True)
class _Call:
    """A function call while it grows; `output` is its place among the response's items."""

    output: int
    place: int
    call_id: str
    name: str
    arguments: list[str] = field(default_factory=list)

    def item(self, request_id: str, status: str) -> dict[str, Any]:
        """The call as far as it goes."""
        return reply.call_item(request_id, self.place, self.call_id, self.name, "".join(self.arguments), status)


class ResponseWriter:
    """A run told as the events of a Response."""

    def __init__(self, request: Request, extras: Extras, asked: Mapping[str, Any]) -> None:
        """Build it.

        Args:
            request: the chat that is run.
            extras: which additions are switched on.
            asked: the client's own request, for what a response repeats.
        """
        self._id = request.id
        self._asked = asked
        self._extras = extras
        self._begun = reply.begun(asked, request.id, request.received_at)
        self._chat = EventWriter(request, extras, self._chunk, b"")
        self._number = 0
        self._outputs = 0
        self._message: int | None = None
        self._parts: dict[str, _Part] = {}
        self._calls: dict[int, _Call] = {}

    def begin(self) -> bytes:
        """The response exists, and is being worked on."""
        return b"".join(
            self._event(kind, response=self._begun) for kind in ("response.created", "response.in_progress")
        )

    def live(self, chunk: Mapping[str, Any]) -> bytes:
        """One event of a live answer."""
        return self._chat.live(chunk)

    def finish(self, outcome: Outcome) -> Iterator[bytes]:
        """The rest, every item closed, and the whole response."""
        yield from self._chat.finish(outcome)
        whole = reply.whole(self._asked, outcome, self._extras)
        yield from self._close(whole["status"])
        yield self._event(_ENDS[whole["status"]], response=whole)

    def fail(self, error: GearboxError, outcome: Outcome | None = None) -> bytes:
        """An error after the first byte: the error as wire.md has it, which SDKs raise, in an event of this API."""
        told = body_of(error)["error"]
        about = {key: told.get(key) for key in ("code", "message", "param")}
        return self._event("error", **about, error=told, **spent(outcome, self._extras))

    def _event(self, kind: str, **content: Any) -> bytes:
        data = {"type": kind, "sequence_number": self._number, **content}
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + orjson.dumps(data) + b"\n\n"

    def _chunk(self, chunk: Mapping[str, Any]) -> bytes:
        return b"".join(part for choice in chunk.get("choices") or () for part in self._choice(choice))

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[bytes]:
        delta = choice.get("delta") or {}
        logprobs = (choice.get("logprobs") or {}).get("content") or []
        if delta.get("content"):
            yield from self._say("output_text", delta["content"], logprobs)
        if delta.get("refusal"):
            yield from self._say("refusal", delta["refusal"], [])
        for call in delta.get("tool_calls") or ():
            yield from self._call(call)

    # the message

    def _say(self, kind: str, text: str, logprobs: list[Any]) -> Iterator[bytes]:
        if self._message is None:
            self._message = self._next_output()
            item = reply.message_item(self._id, [], "in_progress")
            yield self._event("response.output_item.added", output_index=self._message, item=item)
        part = self._parts.get(kind)
        if part is None:
            part = self._parts[kind] = _Part(len(self._parts), kind)
            yield self._event("response.content_part.added", **self._where(part), part=part.whole)
        part.said.append(text)
        part.logprobs.extend(logprobs)
        extra = {"logprobs": logprobs} if kind == "output_text" else {}
        yield self._event(f"response.{kind}.delta", **self._where(part), delta=text, **extra)

    def _where(self, part: _Part) -> dict[str, Any]:
        return {"item_id": f"msg_{self._id}", "output_index": self._message, "content_index": part.place}

    def _close_message(self, status: str) -> Iterator[bytes]:
        if self._message is None:
            return
        for part in self._parts.values():
            whole = part.whole
            text = {"text": whole["text"], "logprobs": part.logprobs} if part.kind == "output_text" else whole
            said = {key: value for key, value in text.items() if key != "type"}
            yield self._event(f"response.{part.kind}.done", **self._where(part), **said)
            yield self._event("response.content_part.done", **self._where(part), part=whole)
        item = reply.message_item(self._id, [part.whole for part in self._parts.values()], status)
        yield self._event("response.output_item.done", output_index=self._message, item=item)

    # the calls

    def _call(self, part: Mapping[str, Any]) -> Iterator[bytes]:
        index, function = part.get("index") or 0, part.get("function") or {}
        call = self._calls.get(index)
        if call is None:
            call = _Call(self._next_output(), len(self._calls), part.get("id") or "", function.get("name") or "")
            self._calls[index] = call
            item = call.item(self._id, "in_progress")
            yield self._event("response.output_item.added", output_index=call.output, item=item)
        if function.get("arguments"):
            call.arguments.append(function["arguments"])
            where = {"item_id": call.item(self._id, "")["id"], "output_index": call.output}
            yield self._event("response.function_call_arguments.delta", **where, delta=function["arguments"])

    def _close_calls(self, status: str) -> Iterator[bytes]:
        for call in self._calls.values():
            item = call.item(self._id, status)
            where = {"item_id": item["id"], "output_index": call.output}
            about = {"name": call.name, "arguments": item["arguments"]}
            yield self._event("response.function_call_arguments.done", **where, **about)
            yield self._event("response.output_item.done", output_index=call.output, item=item)

    def _close(self, status: str) -> Iterator[bytes]:
        yield from self._close_message(status)
        yield from self._close_calls(status)

    def _next_output(self) -> int:
        place, self._outputs = self._outputs, self._outputs + 1
        return place
