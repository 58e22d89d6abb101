"""An upstream's body, up to a limit: no answer is so long, an endless one is.

The law of this file: it reads, and knows no shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx

from cascade.upstreams.upstream_errors import bad_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def bounded(response: httpx.Response, most: int) -> bytes:
    """All of it.

    Raises:
        UpstreamBadReply: more than so many bytes; the rest is not read.
    """
    content = bytearray()
    async for part in response.aiter_bytes():
        content += part
        if len(content) > most:
            raise bad_reply(f"answer larger than {most} bytes, cut off")
    return bytes(content)


async def bound(response: httpx.Response, most: int) -> None:
    """The same for a client whose bodies others read, as its response hook: they get the error."""
    if isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Bounded(response.stream, most)


class _Bounded(httpx.AsyncByteStream):
    """A body that ends with an error where it goes on for too long."""

    def __init__(self, inner: httpx.AsyncByteStream, most: int) -> None:
        self._inner = inner
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for part in self._inner:
            size += len(part)
            if size > self._most:
                raise bad_reply(f"answer larger than {self._most} bytes, cut off")
            yield part

    async def aclose(self) -> None:
        """Close what is behind it."""
        await self._inner.aclose()
