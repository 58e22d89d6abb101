"""A stream of `chat.completion.chunk` events -> one `Reply`, whoever sends them.

The law of this file: it knows the shape of the events and our time limits, and nothing of HTTP or of a vendor. What
comes before the first word is held back, so that an early failure can still be tried again elsewhere.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cascade.upstreams.assemble import assemble
from cascade.upstreams.upstream_errors import bad_reply
from router.ports import Reply
from router.pricing import usage_from_body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from router.endpoints import Timeouts
    from router.ports import ChunkSink

#: An answer larger than this is cut off: no model says so much, an endless stream does.
MAX_REPLY_BYTES = 64 * 1024 * 1024


class Patience:
    """How long one call is waited for: a streamed one until its first token, and every one until its end."""

    def __init__(self, timeouts: Timeouts, *, streamed: bool) -> None:
        self._end = asyncio.get_running_loop().time() + timeouts.total_s
        self._early = streamed and timeouts.first_token_s < timeouts.total_s
        self._timeouts = timeouts
        # Vendors may send not even a header before the first token, so opening counts as well.
        self.limit = asyncio.timeout(timeouts.first_token_s if self._early else timeouts.total_s)

    def first_came(self) -> None:
        """The first token is here: what is left is the time for the whole."""
        if self._early:
            self._early = False
            self.limit.reschedule(self._end)

    @property
    def words(self) -> str:
        """What did not come in time."""
        if self._early:
            return f"no first token within {self._timeouts.first_token_s:g} s"
        return f"no complete answer within {self._timeouts.total_s:g} s"


async def collect(
    events: AsyncIterator[dict[str, Any]],
    live: ChunkSink | None,
    patience: Patience,
    started: float,
    dropped: tuple[str, ...],
) -> Reply:
    """Read a stream to its end.

    Args:
        events: the chunks as they arrive.
        live: who gets them at once, from the first that says something.
        patience: told when that first one is here.
        started: when the call began, `time.monotonic()`.
        dropped: what was translated or left out of the request.

    Raises:
        UpstreamBadReply: the stream is empty or was cut.
    """
    stream = _Stream(live, patience)
    async for chunk in events:
        await stream.take(chunk)
    stream.end()
    body = assemble(stream.chunks)
    ttft = None if stream.first_at is None else stream.first_at - started
    usage = usage_from_body(body.get("usage"))
    return Reply(body, tuple(stream.chunks), usage, time.monotonic() - started, ttft, dropped)


@dataclass(slots=True)
class _Stream:
    """What has come of a stream; passes it on live from the first event that says something."""

    live: ChunkSink | None
    patience: Patience
    chunks: list[dict[str, Any]] = field(default_factory=list)
    first_at: float | None = None
    finished: bool = False

    async def take(self, chunk: dict[str, Any]) -> None:
        """Keep one event, and pass it on."""
        self.chunks.append(chunk)
        self.finished = self.finished or any(part.get("finish_reason") for part in chunk.get("choices") or ())
        if self.first_at is not None:
            await self._pass_on(chunk)
        elif says_something(chunk):
            self.first_at = time.monotonic()
            self.patience.first_came()
            # What came before said nothing (a role); it was held back so that an early failure stays retryable.
            for held in self.chunks:
                await self._pass_on(held)

    def end(self) -> None:
        """Check that the stream ended as a stream should."""
        if not self.chunks:
            raise bad_reply("a stream without a single event")
        if not self.finished:
            raise bad_reply("a stream that ended in the middle of the answer")

    async def _pass_on(self, chunk: Mapping[str, Any]) -> None:
        if self.live is not None:
            await self.live.chunk(chunk)


def says_something(chunk: Mapping[str, Any]) -> bool:
    """Whether an event carries any part of an answer (not only a role), a finish reason without text apart."""
    return any(
        value
        for part in chunk.get("choices") or ()
        for key, value in (part.get("delta") or {}).items()
        if key != "role"
    )
