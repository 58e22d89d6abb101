"""Log-probabilities that we ask for and the client may not have: asked for, and taken out again.

The law of this file: pure but for the sink. A client that asked for none sees none; one that asked for its own number
of candidates gets exactly that many, in whole answers and in streams.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.ports import ChunkSink

#: The runner-up may stand behind variants of the winner (papers.md section 2), so two would not do; more some refuse.
LEAST_CANDIDATES = 5


def with_logprobs(body: Mapping[str, Any]) -> dict[str, Any]:
    """The request with log-probabilities of enough candidates."""
    wanted = _wanted_candidates(body)
    return {**body, "logprobs": True, "top_logprobs": max(wanted or 0, LEAST_CANDIDATES)}


def as_asked(told: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """A completion or a chunk of one with the log-probabilities that the client's request asks for, no more."""
    choices = told.get("choices")
    if not choices or not any(isinstance(choice, dict) and choice.get("logprobs") for choice in choices):
        return dict(told)
    wanted = _wanted_candidates(request)
    return {**told, "choices": [_choice(choice, wanted) for choice in choices]}


class AsAsked:
    """A sink in front of the client's: live events lose what the client did not ask for."""

    def __init__(self, sink: ChunkSink, request: Mapping[str, Any]) -> None:
        self._sink = sink
        self._request = request

    async def chunk(self, event: Mapping[str, Any]) -> None:
        """Pass one event on."""
        await self._sink.chunk(as_asked(event, self._request))


def _wanted_candidates(request: Mapping[str, Any]) -> int | None:
    """How many candidates the client asked for; None = it wants no log-probabilities at all."""
    if not request.get("logprobs"):
        return None
    wanted = request.get("top_logprobs")
    return wanted if isinstance(wanted, int) and wanted > 0 else 0


def _choice(choice: Mapping[str, Any], wanted: int | None) -> dict[str, Any]:
    if wanted is None:
        return {**choice, "logprobs": None}
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return dict(choice)
    trimmed = {name: _trimmed(entries, wanted) for name, entries in logprobs.items()}
    return {**choice, "logprobs": trimmed}


def _trimmed(entries: Any, wanted: int) -> Any:
    if not isinstance(entries, list):
        return entries
    return [
        {**entry, "top_logprobs": entry["top_logprobs"][:wanted]}
        if isinstance(entry, dict) and isinstance(entry.get("top_logprobs"), list)
        else entry
        for entry in entries
    ]
