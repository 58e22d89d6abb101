"""The built-in embedding model for clients of `/v1/embeddings`: free, and nothing leaves the machine."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from cascade.embeddings.call import Embedded
from router.errors import RequestError
from router.pricing import Price, Rates, Usage, estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from router.ports import Embedder

#: OpenAI's own limit for one request.
MAX_INPUTS = 2048
#: Texts of one request that are in the model's queue together.
AT_ONCE = 16
_FORMATS = ("float", "base64")


class LocalEmbeddings:
    """An `EmbeddingSource` over the port `Embedder`; whatever model a client names, this one answers and says so."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    @property
    def model(self) -> str:
        """The built-in model's name."""
        return self._embedder.model

    @property
    def price(self) -> Price:
        """Nothing."""
        return Price(Rates(0, 0))

    async def embed(self, body: Mapping[str, Any]) -> Embedded:
        """Embed each text; see `EmbeddingSource`."""
        texts = inputs(body)
        if body.get("dimensions") is not None:
            raise RequestError(
                f"dimensions is not supported: {self.model} has {self._embedder.dimensions}; leave it out",
                param="dimensions",
            )
        encoded = body.get("encoding_format") or "float"
        if encoded not in _FORMATS:
            raise RequestError(f"encoding_format must be one of {', '.join(_FORMATS)}", param="encoding_format")
        data = [
            {"object": "embedding", "index": index, "embedding": _told(vector, encoded)}
            for index, vector in enumerate(await self._vectors(texts))
        ]
        tokens = sum(map(estimate_tokens, texts))
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        told = {"object": "list", "data": data, "model": self.model, "usage": usage}
        return Embedded(told, Usage(tokens, 0), counted=True)

    async def _vectors(self, texts: list[str]) -> list[NDArray[np.float32]]:
        """A few at a time: questions that wait to be routed share the model, and must not queue behind a library."""
        vectors: list[NDArray[np.float32]] = []
        for start in range(0, len(texts), AT_ONCE):
            vectors += await asyncio.gather(*map(self._embedder.embed, texts[start : start + AT_ONCE]))
        return vectors


def inputs(body: Mapping[str, Any]) -> list[str]:
    """The texts of a request.

    Raises:
        RequestError: no texts, or tokens, which belong to another model's tokenizer.
    """
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts:
        raise RequestError("you must provide input: a string, or an array of strings", param="input")
    if any(not isinstance(text, str) for text in texts):
        raise RequestError(
            "input must be a string or an array of strings; arrays of tokens belong to another model's tokenizer",
            param="input",
        )
    if any(not text for text in texts):
        raise RequestError("input must not hold an empty string", param="input")
    if len(texts) > MAX_INPUTS:
        raise RequestError(f"input may hold at most {MAX_INPUTS} texts, got {len(texts)}", param="input")
    return texts


def _told(vector: NDArray[np.float32], encoded: str) -> list[float] | str:
    if encoded == "base64":
        return base64.b64encode(np.asarray(vector, dtype="<f4").tobytes()).decode()
    return [float(value) for value in vector]
