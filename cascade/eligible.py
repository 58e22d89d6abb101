"""Which rungs of the ladder may answer a request at all: the caller's limits, what models can do, what they can hold.

The law of this file: pure. Unknown is tried rather than refused: only what a model is known to lack keeps it out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cascade.policies.always import ALWAYS
from router.errors import Forbidden, RequestError
from router.pricing import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from router.domain import Caller, Deployment, Request, Tier

_PART_NEEDS: Mapping[str, str] = {"image_url": "vision", "input_image": "vision", "input_audio": "audio"}


def needs(body: Mapping[str, Any]) -> frozenset[str]:
    """What a model must be able to do for this request, in the words of `ModelFacts.capabilities`."""
    return frozenset(_needs(body))


def eligible(ladder: Sequence[Tier], request: Request) -> tuple[Tier, ...]:
    """The rungs this request may use, cheapest first.

    Raises:
        RequestError: no rung is left; the message says which limit or need leaves none.
    """
    limited = _within_limits(_allowed(ladder, request.caller), request)
    wanted = needs(request.body)
    able = _narrowed(limited, lambda deployment: not wanted & deployment.facts.lacks)
    if not able:
        raise RequestError(
            f"no tier of {', '.join(tier.name for tier in limited)} can do what this request needs "
            f"({', '.join(sorted(wanted))}); widen x-gearbox-min-tier/max-tier or leave it out",
            code="unsupported_capability",
        )
    length = _length_tokens(request.body)
    holding = _narrowed(able, lambda deployment: _holds(deployment, length))
    # Our count is an estimate: where it leaves nobody, the largest context is asked and the vendor has the last word.
    return tuple(holding) or (max(able, key=_context),)


def _narrowed(tiers: Sequence[Tier], fits: Callable[[Deployment], bool]) -> list[Tier]:
    """The tiers that have a deployment that fits, each with those alone."""
    kept = [(tier, tuple(each for each in tier.deployments if fits(each))) for tier in tiers]
    return [replace(tier, deployments=deployments) for tier, deployments in kept if deployments]


def _allowed(ladder: Sequence[Tier], caller: Caller) -> list[Tier]:
    """The tiers that the caller's key may use."""
    if caller.tiers is None:
        return list(ladder)
    allowed = [tier for tier in ladder if tier.name in caller.tiers]
    if not allowed:
        raise Forbidden(f"this key may use none of this server's tiers ({', '.join(tier.name for tier in ladder)})")
    return allowed


def _within_limits(ladder: Sequence[Tier], request: Request) -> list[Tier]:
    names = [tier.name for tier in ladder]
    wishes = request.wishes
    bounds = {"x-gearbox-min-tier": wishes.min_tier, "x-gearbox-max-tier": wishes.max_tier}
    for header, name in bounds.items():
        if name is not None and name not in names:
            raise RequestError(f"{header}: there is no tier {name!r}; the tiers are {', '.join(names)}", param=header)
    low = 0 if wishes.min_tier is None else names.index(wishes.min_tier)
    high = len(names) - 1 if wishes.max_tier is None else names.index(wishes.max_tier)
    if low > high:
        raise RequestError(
            f"x-gearbox-min-tier {wishes.min_tier!r} is above x-gearbox-max-tier {wishes.max_tier!r}; no tier is left",
            param="x-gearbox-min-tier",
        )
    limited = list(ladder[low : high + 1])
    if not request.policy.startswith(ALWAYS):
        return limited
    named = [tier for tier in limited if tier.name == request.policy.removeprefix(ALWAYS)]
    if not named:
        raise RequestError(
            f"the request names the tier {request.policy.removeprefix(ALWAYS)!r}, and x-gearbox-min-tier/max-tier "
            f"leave only {', '.join(tier.name for tier in limited)}",
            param="x-gearbox-min-tier" if wishes.max_tier is None else "x-gearbox-max-tier",
        )
    return named


def _needs(body: Mapping[str, Any]) -> Iterator[str]:
    if body.get("tools") or body.get("functions"):
        yield "tools"
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        yield "json_schema"
    if isinstance(body.get("n"), int) and body["n"] > 1:
        yield "n"
    if body.get("logprobs"):
        yield "logprobs"
    for message in body.get("messages") or ():
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            need = _PART_NEEDS.get(str(part.get("type"))) if isinstance(part, dict) else None
            if need:
                yield need


def _length_tokens(body: Mapping[str, Any]) -> int:
    texts = [str(message.get("content") or "") for message in body.get("messages") or () if isinstance(message, dict)]
    return sum(estimate_tokens(text) for text in texts)


def _holds(deployment: Deployment, length: int) -> bool:
    limit = deployment.facts.context_tokens
    return limit is None or length <= limit


def _context(tier: Tier) -> int:
    return max((deployment.facts.context_tokens or 0 for deployment in tier.deployments), default=0)
