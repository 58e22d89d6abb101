"""Text -> unit vectors by an OpenAI-compatible embeddings endpoint.

The law of this file: one HTTP call, its errors in our words, and never a key in a message or a repr. It holds no price:
`embed_with_usage` hands over the tokens, and whoever pays multiplies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import numpy as np

from router.errors import (
    ConfigError,
    UpstreamBadReply,
    UpstreamError,
    UpstreamMisconfigured,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REJECTED = frozenset({400, 413, 422})
_TIMEOUTS = frozenset({408, 504})
_TOO_MANY, _SERVER_ERROR, _CLIENT_ERROR = 429, 500, 400


class OpenAIEmbedder:
    """The port `Embedder` over `POST {api_base}/embeddings`.

    Args:
        api_base: the address up to and with `/v1`.
        api_key: sent as bearer token; "" = none.
        model: the vendor's name for the model.
        client: whoever makes it closes it and sets its timeouts.
        dimensions: length of the vectors, where it is known before the first call.
    """

    def __init__(
        self, api_base: str, api_key: str, model: str, client: httpx.AsyncClient, *, dimensions: int | None = None
    ) -> None:
        self._url = f"{api_base.rstrip('/')}/embeddings"
        self._headers = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._model = model
        self._client = client
        self._dimensions = dimensions

    def __repr__(self) -> str:
        return f"OpenAIEmbedder(url={self._url!r}, model={self._model!r}, api_key='***')"

    @property
    def model(self) -> str:
        """The embedding model's name: another model is another index."""
        return self._model

    @property
    def dimensions(self) -> int:
        """Length of the vectors.

        Raises:
            ConfigError: it was neither given nor learnt from a reply yet.
        """
        if self._dimensions is None:
            raise ConfigError(
                f"the dimensions of {self._model!r} are unknown yet: configure them, or call warm() first"
            )
        return self._dimensions

    async def warm(self) -> None:
        """Learn the dimensions by embedding one word, where they were not given.

        Raises:
            UpstreamError: as `embed`.
        """
        if self._dimensions is None:
            await self.embed("warm")

    async def ping(self) -> None:
        """Nothing to ask that costs nothing: `warm` has tried the endpoint at the start."""

    async def embed(self, text: str) -> NDArray[np.float32]:
        """A unit vector, shape (dimensions,), float32.

        Raises:
            UpstreamError: whatever went wrong, in our words.
        """
        vector, _ = await self.embed_with_usage(text)
        return vector

    async def embed_with_usage(self, text: str) -> tuple[NDArray[np.float32], int | None]:
        """The unit vector, and the prompt tokens billed; None where the upstream reports none.

        Raises:
            UpstreamError: whatever went wrong, in our words.
        """
        clean = text.encode("utf-8", "replace").decode()
        body = {"model": self._model, "input": clean, "encoding_format": "float"}
        try:
            response = await self._client.post(self._url, json=body, headers=self._headers)
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(f"no embedding from {self._url} in time ({type(error).__name__})") from error
        except httpx.HTTPError as error:
            raise UpstreamUnavailable(f"{self._url} cannot be reached ({type(error).__name__})") from error
        if response.status_code >= _CLIENT_ERROR:
            raise _error(response, self._url)
        return self._read(response)

    async def aclose(self) -> None:
        """Nothing: the client belongs to whoever made it."""

    def _read(self, response: httpx.Response) -> tuple[NDArray[np.float32], int | None]:
        try:
            reply = response.json()
            vector = np.asarray(reply["data"][0]["embedding"], dtype=np.float32)
        except (ValueError, TypeError, LookupError) as error:
            raise UpstreamBadReply(f"{self._url} sent no embedding ({type(error).__name__})") from error
        return self._unit(vector), _prompt_tokens(reply)

    def _unit(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        wanted = self._dimensions or vector.size
        length = float(np.linalg.norm(vector))
        if vector.ndim != 1 or vector.size != wanted or not np.isfinite(length) or length == 0:
            raise UpstreamBadReply(
                f"{self._url} sent an embedding of shape {vector.shape} and length {length:.4g}, not ({wanted},)"
            )
        self._dimensions = wanted
        return (vector / np.float32(length)).astype(np.float32)


def _prompt_tokens(reply: Any) -> int | None:
    usage = reply.get("usage") if isinstance(reply, dict) else None
    tokens = usage.get("prompt_tokens") if isinstance(usage, dict) else None
    return tokens if isinstance(tokens, int) else None


def _error(response: httpx.Response, url: str) -> UpstreamError:
    """The status as one of our errors; only a refusal of the request itself carries the vendor's words."""
    status = response.status_code
    message = f"{url} answered {status}"
    if status in _REJECTED:
        return UpstreamRejected(message, status=status, body=_body(response))
    if status == _TOO_MANY:
        return UpstreamRateLimited(message, retry_after_s=_retry_after_s(response))
    if status in _TIMEOUTS:
        return UpstreamTimeout(message)
    if status >= _SERVER_ERROR:
        return UpstreamUnavailable(message, retry_after_s=_retry_after_s(response))
    return UpstreamMisconfigured(f"{message}: check the embedding model's api_base, api_key and name")


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _retry_after_s(response: httpx.Response) -> float | None:
    """The header in seconds; None where it is missing or a date."""
    try:
        return max(0.0, float(response.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
