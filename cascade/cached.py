"""Which requests the response cache may answer, and under which key.

The law of this file: pure but for the cache it is given. Exact or not at all: the key holds everything that can change
an answer, so two requests share one only where they ask for the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from cascade.keep import hit, pack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.domain import Outcome, Request, Tier
    from router.ports import Cache

#: How an answer reaches the client, and who the client's user is, change nothing about the answer.
_NOT_ABOUT_THE_ANSWER = frozenset({"model", "stream", "stream_options", "user", "metadata", "store"})


@dataclass(frozen=True, slots=True)
class ResponseCache:
    """`scope_shared`: teams share answers; else each has its own.

    `ladder_digest`: of tiers and their models, for others would have answered otherwise.
    """

    cache: Cache
    ttl_s: float
    scope_shared: bool
    ladder_digest: str

    def key(self, request: Request, settings: Mapping[str, Any]) -> str | None:
        """The key; None where this request is neither read from the cache nor kept in it."""
        wishes = request.wishes
        if not (wishes.cache and wishes.store and _repeatable(request.body)):
            return None
        caller = request.caller
        parts = {
            "team": "" if self.scope_shared else caller.team,
            "ladder": self.ladder_digest,
            "policy": request.policy,
            "settings": settings,
            "body": {name: value for name, value in request.body.items() if name not in _NOT_ABOUT_THE_ANSWER},
            "quality": wishes.quality,
            "tiers": [wishes.min_tier, wishes.max_tier, None if caller.tiers is None else sorted(caller.tiers)],
        }
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()

    async def get(self, key: str, request: Request, ladder: Sequence[Tier], latency_s: float) -> Outcome | None:
        """The cached outcome for this request."""
        kept = await self.cache.get(key)
        return None if kept is None else hit(kept, request, ladder, latency_s)

    async def put(self, key: str, outcome: Outcome) -> None:
        """Keep an answer that was served because it was good, not because money or time had run out."""
        served = outcome.served
        ended = outcome.delivered.stopped is None and outcome.error is None and outcome.client == "answered"
        if not ended or served is None or served.cut_by_cap or outcome.request.wishes.cap_nanousd is not None:
            return
        kept = pack(outcome)
        if kept is not None:
            await self.cache.put(key, kept, self.ttl_s)


def _repeatable(body: Mapping[str, Any]) -> bool:
    """Whether the caller asked for the same answer to the same question."""
    temperature = body.get("temperature")
    return body.get("seed") is not None or (temperature is not None and temperature == 0)
