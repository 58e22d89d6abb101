"""A run told as server-sent events (wire.md, Streaming).

The law of this file: pure. The last event of an answer is held back until the outcome is stored, because it carries
what is known only then, and because `[DONE]` must never leave before the outcome is durable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from app.edge.errors import body_of
from app.edge.reports import gearbox_object, identity, served_model, spent, usage
from cascade.upstreams.assemble import as_chunks
from cascade.upstreams.sse import DONE, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from app.edge.reports import Extras
    from router.domain import Outcome, Request
    from router.errors import GearboxError


class EventWriter:
    """Upstream events in, the client's events out."""

    def __init__(
        self,
        request: Request,
        extras: Extras,
        encode: Callable[[Mapping[str, Any]], bytes] = event,
        end: bytes = DONE,
    ) -> None:
        """Build it.

        Args:
            request: whose id and wishes count.
            extras: which additions are switched on.
            encode: a `chat.completion.chunk` -> bytes, in the dialect of the route.
            end: what stands after the last of them.
        """
        self._request = request
        self._encode = encode
        self._end = end
        self._extras = extras
        self._held: list[dict[str, Any]] = []
        self._sent = False
        options = request.body.get("stream_options") or {}
        self._wants_usage = bool(options.get("include_usage"))

    def begin(self) -> bytes:
        """A chat stream begins with its first event."""
        return b""

    def fail(self, error: GearboxError, outcome: Outcome | None = None) -> bytes:
        """An error after the first streamed byte; the stream ends after it, without `[DONE]`."""
        return event({**body_of(error), **spent(outcome, self._extras)})

    def live(self, chunk: Mapping[str, Any]) -> bytes:
        """One event of a live answer; b"" where it is held back or not for the client."""
        return b"".join(self._tell(chunk))

    def finish(self, outcome: Outcome) -> Iterator[bytes]:
        """The rest: the answer where it was held, the last event with the outcome, usage if asked for, `[DONE]`."""
        served = outcome.served
        if served is None or served.answer is None:
            raise ValueError("nothing was served")
        if not self._sent and not self._held:
            for chunk in served.answer.chunks or as_chunks(served.answer.body):
                yield from self._tell(chunk)
        last = [*self._held, *self._last(outcome)]
        about = self._about(outcome)
        if last and about is not None:
            last[-1]["gearbox"] = about
        yield from map(self._encode, last)
        yield self._end

    def _tell(self, chunk: Mapping[str, Any]) -> Iterator[bytes]:
        if chunk.get("usage") and not chunk.get("choices"):
            return  # the upstream's usage event; the client gets ours, if it asked
        told = {**chunk, **identity(self._request, chunk), "object": "chat.completion.chunk"}
        told.pop("usage", None)
        if self._wants_usage:
            told["usage"] = None
        self._sent = True
        if chunk.get("choices"):  # with several choices each has an end of its own; only the last is the answer's
            yield from map(self._encode, self._held)
            self._held = []
        if self._held or any(choice.get("finish_reason") for choice in chunk.get("choices") or ()):
            self._held.append(told)
        else:
            yield self._encode(told)

    def _about(self, outcome: Outcome) -> dict[str, Any] | None:
        """What the last event tells beside the answer; None = nothing."""
        return gearbox_object(outcome) if self._extras.gearbox_object else None

    def _last(self, outcome: Outcome) -> list[dict[str, Any]]:
        served = outcome.served
        if not self._wants_usage or served is None or served.answer is None:
            return []
        shared = {"object": "chat.completion.chunk", "model": served_model(served), "choices": []}
        told = identity(self._request, served.answer.body)
        return [{**told, **shared, "usage": usage(outcome, self._extras)}]
