"""`/v1/models`: policies, tiers and aliases in OpenAI's list shape. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.edge.aliases import ModelNames


def model_object(name: str, started_at: float) -> dict[str, Any]:
    """One name."""
    return {"id": name, "object": "model", "created": int(started_at), "owned_by": "gearbox"}


def model_list(names: ModelNames, started_at: float) -> dict[str, Any]:
    """All names, each once; alias patterns as they are written."""
    known = dict.fromkeys((*names.policies, *names.tiers, *names.aliases, *names.embeddings))
    return {"object": "list", "data": [model_object(name, started_at) for name in known]}
