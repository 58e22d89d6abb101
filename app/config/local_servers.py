"""Model servers that already run on this machine: Ollama and vLLM at their usual ports.

The law of this file: it looks at loopback alone, for a fraction of a second, and believes only an answer that the
server's own software gives. Port 8000 is vLLM's and ours too, so whoever says there that it is Gearbox is passed over.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

OLLAMA = "http://127.0.0.1:11434"
VLLM = "http://127.0.0.1:8000"
#: Loopback answers at once or not at all; starting must not wait for a port that swallows packets.
PATIENCE_S = 0.25
_PRODUCT = "gearbox"
#: Words in the names of models that embed or rerank and do not chat.
_NO_CHAT = ("embed", "minilm", "bge-", "rerank", "clip")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """One server that answered. `model` is `provider/name`; `context_tokens` None = it did not say."""

    name: str
    api_base: str
    model: str
    context_tokens: int | None = None


def local_servers(ollama: str = OLLAMA, vllm: str = VLLM) -> tuple[LocalServer, ...]:
    """Those that run, with the one model of each that a ladder would use."""
    with httpx.Client(timeout=PATIENCE_S, trust_env=False) as client:
        return (*_ollama(client, ollama), *_vllm(client, vllm))


def _ollama(client: httpx.Client, base: str) -> Iterator[LocalServer]:
    """Ollama's largest chat model: what its owner has the machine for."""
    tags = _get(client, f"{base}/api/tags").get("models")
    models = [tag for tag in tags if _is_chat(tag)] if isinstance(tags, list) else []
    if models:
        largest = max(models, key=_size)
        yield LocalServer("Ollama", f"{base}/v1", f"ollama/{largest['name']}")


def _vllm(client: httpx.Client, base: str) -> Iterator[LocalServer]:
    """The model that a vLLM serves; it says itself that it is one."""
    if _get(client, f"{base}/health/live").get("product") == _PRODUCT:
        return
    served = _get(client, f"{base}/v1/models").get("data")
    models = [model for model in served if _is_vllms(model)] if isinstance(served, list) else []
    if models:
        length = models[0].get("max_model_len")
        context = length if isinstance(length, int) and length > 0 else None
        yield LocalServer("vLLM", f"{base}/v1", f"hosted_vllm/{models[0]['id']}", context)


def _get(client: httpx.Client, url: str) -> dict[str, Any]:
    """A JSON object, or nothing: whoever does not answer as expected is not there."""
    try:
        found = client.get(url).raise_for_status().json()
    except (httpx.HTTPError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_chat(tag: Any) -> bool:
    if not isinstance(tag, dict) or not isinstance(tag.get("name"), str):
        return False
    return not any(word in tag["name"].lower() for word in _NO_CHAT)


def _is_vllms(model: Any) -> bool:
    return isinstance(model, dict) and model.get("owned_by") == "vllm" and isinstance(model.get("id"), str)


def _size(tag: dict[str, Any]) -> int:
    size = tag.get("size")
    return size if isinstance(size, int) else 0
