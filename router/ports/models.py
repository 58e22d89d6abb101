"""Models: those that answer, and those that embed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from router.pricing import Usage


@dataclass(frozen=True, slots=True)
class ChatCall:
    """One call to a chat model: the body as the client meant it, already limited, `model` not yet set."""

    body: Mapping[str, Any]
    stream: bool
    hint: str = "generate"
    trace: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What a chat model gave back: `body` is the (assembled) chat.completion, `chunks` the stream's own events.

    `usage` is None where the upstream reported none. `dropped` names parameters that were translated or left out.
    """

    body: Mapping[str, Any]
    chunks: tuple[Mapping[str, Any], ...]
    usage: Usage | None
    latency_s: float
    ttft_s: float | None
    dropped: tuple[str, ...] = ()


class ChunkSink(Protocol):
    """Where a live answer's events go as they arrive."""

    async def chunk(self, event: Mapping[str, Any]) -> None:
        """Pass one `chat.completion.chunk` on."""


class Listener(ChunkSink, Protocol):
    """Who follows a run while it goes on: live events, and what is being done meanwhile."""

    async def progress(self, note: str) -> None:
        """A few words, such as "judging small"; they may reach the client as an SSE comment."""


class ChatModel(Protocol):
    """One deployment of one chat model."""

    async def chat(self, call: ChatCall, live: ChunkSink | None = None) -> Reply:
        """Ask; with `live`, each event of a streamed answer is passed on as it arrives.

        Raises:
            UpstreamError: whatever went wrong, in our words.
        """

    async def aclose(self) -> None:
        """Give the connections back."""


class Embedder(Protocol):
    """Text -> unit vectors, off the event loop."""

    @property
    def model(self) -> str:
        """The embedding model's name: another model is another index."""

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""

    async def embed(self, text: str) -> NDArray[np.float32]:
        """A unit vector, shape (dimensions,), float32."""

    async def ping(self) -> None:
        """Raise a GearboxError where a question would have to wait, or would not be embedded at all."""
