"""Which source embeds for a client, by the model's name it sends.

The law of this file: vectors of another model than the one that was asked for are worthless to whoever stored the
others, so a name is never answered by a stranger where somebody has said which models there are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from router.errors import ModelNotFound
from router.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.embeddings.call import EmbeddingSource


class EmbeddingSources:
    """The sources by the names clients send, and the one for every other name."""

    def __init__(self, fallback: EmbeddingSource, named: Mapping[str, EmbeddingSource] | None = None) -> None:
        """Build it.

        Args:
            fallback: answers its own name; every other name too, where `named` is empty.
            named: name -> source.
        """
        self._fallback = fallback
        self._named = dict(named or {})

    def of(self, model: str) -> EmbeddingSource:
        """The source for a model's name.

        Raises:
            ModelNotFound: models are configured, and this is none of them.
        """
        if model in self._named:
            return self._named[model]
        if not self._named or model == self._fallback.model:
            return self._fallback
        shown = quoted(model)
        known = ", ".join((*self._named, self._fallback.model))
        raise ModelNotFound(
            f"No embedding model is named {shown} here. Known: {known}. "
            f"To serve it, add to gearbox.yaml: embeddings: [{{name: {shown}, model: provider/name}}]",
            param="model",
        )
