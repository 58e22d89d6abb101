"""An OpenAI-compatible embeddings endpoint for clients of `/v1/embeddings`: their body goes through as it is."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import httpx
import orjson

from cascade.embeddings.call import Embedded
from cascade.upstreams.bounded import bounded
from cascade.upstreams.upstream_errors import bad_reply, error_from_response, error_from_transport
from router.errors import UpstreamTimeout
from router.pricing import Usage, estimate_tokens, usage_from_body

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.endpoints import EmbeddingEndpoint
    from router.pricing import Price

#: Vectors of a large batch as JSON; far more is no answer.
MAX_REPLY_BYTES = 256 * 1024 * 1024


class RemoteEmbeddings:
    """An `EmbeddingSource` over `POST {api_base}/embeddings`; the endpoint's model answers, whatever a client names."""

    def __init__(self, endpoint: EmbeddingEndpoint, client: httpx.AsyncClient, timeout_s: float = 60.0) -> None:
        """Build it.

        Args:
            endpoint: its address, model, key and price.
            client: closed by whoever made it.
            timeout_s: for the whole call, in seconds.
        """
        self._endpoint = endpoint
        self._headers = {"content-type": "application/json", "accept-encoding": "identity"}
        if endpoint.api_key is not None:
            self._headers["authorization"] = f"Bearer {endpoint.api_key.get_secret_value()}"
        self._client = client
        self._timeout_s = timeout_s

    @property
    def model(self) -> str:
        """The vendor's name for the model."""
        return self._endpoint.model

    @property
    def price(self) -> Price | None:
        """As configured; None = unknown."""
        return self._endpoint.price

    async def embed(self, body: Mapping[str, Any]) -> Embedded:
        """Pass a body on; see `EmbeddingSource`."""
        url = f"{self._endpoint.api_base}/embeddings"
        content = orjson.dumps({**body, "model": self.model})
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", url, content=content, headers=self._headers) as response,
            ):
                if response.status_code >= httpx.codes.MULTIPLE_CHOICES:  # a redirect is not followed
                    raise await error_from_response(response)
                return _read(await bounded(response, MAX_REPLY_BYTES), body)
        except TimeoutError as error:
            raise UpstreamTimeout(f"no embeddings within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise error_from_transport(error) from error


def _read(content: bytes, asked: Mapping[str, Any]) -> Embedded:
    try:
        told = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise bad_reply("embeddings that are not JSON") from error
    if not isinstance(told, dict) or not isinstance(told.get("data"), list) or not told["data"]:
        raise bad_reply("no embeddings")
    usage = usage_from_body(told.get("usage"))
    return Embedded(told, usage or Usage(_counted(asked.get("input")), 0), counted=usage is None)


def _counted(given: Any) -> int:
    """Our own count: texts by their length, tokens one by one."""
    if isinstance(given, str):
        return estimate_tokens(given)
    if isinstance(given, list):
        return sum(map(_counted, given))
    return 1
