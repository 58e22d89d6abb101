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
from cascade.modes import owes_a_verdict
from router.domain import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.domain import Outcome, Request, Tier
    from router.ports import Cache

#: How an answer reaches the client, and who the client's user is, change nothing about the answer.
_NOT_ABOUT_THE_ANSWER = frozenset({"model", "stream", "stream_options", "user", "metadata", "store"})
#: Unjudged is fine where nobody wanted a verdict: the top tier's answers, a named tier's, `direct`.
_WANTED = frozenset({Verdict.VALID, Verdict.UNJUDGED})


@dataclass(frozen=True, slots=True)
class ResponseCache:
    """`scope_shared`: teams share answers; else each has its own.

    `configured`: a digest of models, verifiers and judges, for others would have answered otherwise.
    """

    cache: Cache
    ttl_s: float
    scope_shared: bool
    configured: str

    def key(self, request: Request, settings: Mapping[str, Any]) -> str | None:
        """The key; None where this request is neither read from the cache nor kept in it."""
        wishes = request.wishes
        if not (wishes.cache and wishes.store and _repeatable(request.body)):
            return None
        caller = request.caller
        parts = {
            "team": "" if self.scope_shared else caller.team,
            "configured": self.configured,
            "policy": request.policy,
            "settings": settings,
            "body": {name: value for name, value in request.body.items() if name not in _NOT_ABOUT_THE_ANSWER},
            "quality": wishes.quality,
            "judging": wishes.stream_mode,
            "tiers": [wishes.min_tier, wishes.max_tier, None if caller.tiers is None else sorted(caller.tiers)],
        }
        return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS, default=str)).hexdigest()

    async def get(self, key: str, request: Request, ladder: Sequence[Tier], latency_s: float) -> Outcome | None:
        """The cached outcome for this request."""
        kept = await self.cache.get(key)
        return None if kept is None else hit(kept, request, ladder, latency_s)

    async def put(self, key: str, outcome: Outcome) -> None:
        """Keep an answer that was served because it was good, not because money or time had run out."""
        if not _good(outcome) or outcome.request.wishes.cap_nanousd is not None:
            return
        kept = pack(outcome)
        if kept is not None:
            await self.cache.put(key, kept, self.ttl_s)


def _good(outcome: Outcome) -> bool:
    """Whether it was served because its policy wanted no more than it had: no better answer, and no verdict on it."""
    served = outcome.served
    if served is None or outcome.error is not None or outcome.client != "answered":
        return False
    if outcome.delivered.stopped is not None or served.cut_by_cap or served.judge_failed:
        return False
    return served.verdict in _WANTED and not owes_a_verdict(outcome.run, outcome.delivered)


def _repeatable(body: Mapping[str, Any]) -> bool:
    """Whether the caller asked for the same answer to the same question."""
    temperature = body.get("temperature")
    return body.get("seed") is not None or (temperature is not None and temperature == 0)
