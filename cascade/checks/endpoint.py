"""`kind: http`: an endpoint of the operator's gets the question and the answer, and says what it thinks of it.

    POST {"id", "model", "messages", "candidate"}  ->  {"verdict": "valid" | "invalid" | "abstain", "reason": "..."}

Everything else it may answer (another status, no JSON, another word) is an abstention that says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import orjson

from cascade.checks.said import abstained, invalid, valid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cascade.checks.said import Said
    from router.domain import Request

#: More than this is no verdict.
MAX_REPLY_BYTES = 64 * 1024
_WORDS: Mapping[str, Callable[[str], Said]] = {"valid": valid, "invalid": invalid, "abstain": abstained}


class EndpointCheck:
    """Asks one endpoint; `headers` may hold its key."""

    def __init__(self, url: str, headers: Mapping[str, str], client: httpx.AsyncClient) -> None:
        self._url = url
        self._headers = {**headers, "content-type": "application/json"}
        self._client = client

    async def look(self, request: Request, text: str) -> Said:
        """Ask; whoever calls limits the time by cancelling."""
        told = {"id": request.id, "model": request.asked_model, "messages": request.body.get("messages")}
        content = orjson.dumps({**told, "candidate": text})
        async with self._client.stream(
            "POST", self._url, content=content, headers=self._headers, follow_redirects=False, timeout=None
        ) as response:
            if response.status_code != httpx.codes.OK:
                return abstained(f"it answered with status {response.status_code}")
            return _said(await _limited(response))


async def _limited(response: httpx.Response) -> bytes:
    reply = bytearray()
    async for part in response.aiter_bytes():
        reply += part
        if len(reply) > MAX_REPLY_BYTES:
            raise ValueError(f"it answered with more than {MAX_REPLY_BYTES} bytes")
    return bytes(reply)


def _said(reply: bytes) -> Said:
    try:
        body: Any = orjson.loads(reply)
    except orjson.JSONDecodeError:
        return abstained("it answered no JSON")
    word = body.get("verdict") if isinstance(body, dict) else None
    if not isinstance(word, str) or word not in _WORDS:
        return abstained('it answered without a "verdict" that is valid, invalid or abstain')
    reason = body.get("reason")
    return _WORDS[word](reason if isinstance(reason, str) and reason else f"the endpoint says {word}")
