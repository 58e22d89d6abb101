"""An upstream's whole body, up to a limit: no answer is so long, an endless one is.

The law of this file: it reads, and knows no shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.upstreams.upstream_errors import bad_reply

if TYPE_CHECKING:
    import httpx


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
