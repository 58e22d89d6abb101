"""Embeddings of a recording's questions, kept on disk: by the embedding model and the text, so each is made once.

The law of this file: the cache may be lost, locked or no database at all; then the texts are embedded anew.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import platformdirs
import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

#: Texts that are embedded before they are written: what an interrupted run loses at most.
CHUNK = 256
_TABLE = "CREATE TABLE IF NOT EXISTS embedding (model TEXT, text BLOB, vector BLOB, PRIMARY KEY (model, text))"
_FIND = "SELECT vector FROM embedding WHERE model = ? AND text = ?"
_KEEP = "INSERT OR REPLACE INTO embedding VALUES (?, ?, ?)"


class ManyEmbedder(Protocol):
    """What the lab needs of an embedder: many texts at once, blocking."""

    @property
    def model(self) -> str:
        """The embedding model's name."""

    def embed_many(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the texts' order."""


def cache_path() -> Path:
    """Where embeddings are kept by default."""
    return Path(platformdirs.user_cache_dir("gearbox")) / "embeddings.sqlite"


class CachedEmbedder:
    """An embedder in front of which stands a file.

    Args:
        embedder: asked for what the file does not hold.
        path: the file; None = `cache_path()`.
    """

    def __init__(self, embedder: ManyEmbedder, path: Path | None = None) -> None:
        self._embedder = embedder
        self._path = path or cache_path()

    @property
    def model(self) -> str:
        """The embedding model's name."""
        return self._embedder.model

    def vectors(
        self, texts: Sequence[str], progress: Callable[[int, int], None] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """Text -> unit vector; `progress` is told (texts done, texts in all)."""
        wanted = list(dict.fromkeys(texts))
        found = self._read(wanted)
        missing = [text for text in wanted if text not in found]
        for start in range(0, len(missing), CHUNK):
            chunk = missing[start : start + CHUNK]
            made = dict(zip(chunk, self._embedder.embed_many(chunk), strict=True))
            self._write(made)
            found |= made
            if progress is not None:
                progress(len(found), len(wanted))
        return found

    def _read(self, texts: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        try:
            with closing(self._open()) as file:
                rows = {text: file.execute(_FIND, (self._embedder.model, _key(text))).fetchone() for text in texts}
        except (sqlite3.Error, OSError) as error:
            self._lost("read", error)
            return {}
        return {text: np.frombuffer(row[0], dtype=np.float32) for text, row in rows.items() if row is not None}

    def _write(self, made: Mapping[str, NDArray[np.float32]]) -> None:
        rows = [(self._embedder.model, _key(text), vector.tobytes()) for text, vector in made.items()]
        try:
            with closing(self._open()) as file, file:
                file.executemany(_KEEP, rows)
        except (sqlite3.Error, OSError) as error:
            self._lost("written", error)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._path)
        try:
            file.execute(_TABLE)
        except sqlite3.Error:
            file.close()
            raise
        return file

    def _lost(self, what: str, error: Exception) -> None:
        log = structlog.get_logger()
        log.warning(
            "lab.embeddings_not_cached", what=f"the cache cannot be {what}", path=str(self._path), error=str(error)
        )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
