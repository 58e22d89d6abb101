"""What a call may cost at worst and how long its answer may be, before it is made (wire.md, Caps).

The law of this file: pure. Everything here is an upper bound: bytes for tokens, the dearest rate, rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson

from router.errors import RequestError
from router.pricing import affordable_output_tokens, input_bound_tokens, worst_case_nanousd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from router.domain import Deployment, Tier

#: An answer shorter than this is of no use, so a cap that pays for less does not pay for the tier.
LEAST_OUTPUT_TOKENS = 16
#: `limits.default_max_output_tokens`: assumed where neither the client, the model nor a cap limits the output.
DEFAULT_OUTPUT_TOKENS = 4096
#: Parameters with costs that no count of bytes and no output limit bounds.
_UNBOUNDABLE = {
    "web_search_options": "a web search",
    "audio": "audio output",
    "prediction": "a prediction, whose rejected tokens are billed,",
}
#: Service tiers at the price of the table, or below it.
_PLAIN_SERVICE = frozenset({None, "auto", "default", "flex"})


@dataclass(frozen=True, slots=True)
class Means:
    """What bounds a call's price.

    `left_nanousd`: what the request's own cap still pays, None = no cap. `budgeted`: whether a key's, team's or the
    global budget counts this request: its worst case must be real, so a limit is sent, but a full budget never
    stretches an answer and an empty one never shortens it.
    """

    left_nanousd: int | None = None
    budgeted: bool = False
    default_output_tokens: int = DEFAULT_OUTPUT_TOKENS


@dataclass(frozen=True, slots=True)
class Quote:
    """One possible call: its worst case and its output limit in tokens per choice.

    `send_limit` says whether the limit has to be sent upstream (under a cap); `ours` whether it is tighter than what
    the client asked for, so that an answer cut by it says nothing about the model.
    """

    worst_nanousd: int
    output_limit: int
    send_limit: bool
    ours: bool


@dataclass(frozen=True, slots=True)
class Size:
    """What bounds a body's price: tokens in (upper bound), the client's own output limit, choices."""

    input_bound: int
    client_limit: int | None
    n: int

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Size:
        """Measure a request body."""
        messages = body.get("messages")
        limits = [body.get("max_completion_tokens"), body.get("max_tokens")]
        given = [limit for limit in limits if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0]
        n = body.get("n")
        return cls(
            input_bound_tokens(orjson.dumps(body), messages if isinstance(messages, list) else ()),
            min(given) if given else None,
            n if isinstance(n, int) and n > 0 else 1,
        )


def quote(size: Size, deployment: Deployment, means: Means) -> Quote | None:
    """The call that can be made with what is left; None where the cap does not pay for a useful one.

    Args:
        size: of the body that would be sent.
        deployment: where it would be sent; without a price it has no worst case and is refused under a cap or budget.
        means: what bounds the call's price.
    """
    natural = _natural_limit(size, deployment)
    if means.left_nanousd is None:
        return _uncapped(size, deployment, natural, means)
    if deployment.price is None:
        return None
    affordable = affordable_output_tokens(means.left_nanousd, size.input_bound, size.n, deployment.price)
    limit = affordable if natural is None else min(natural, affordable)
    if limit < _least(natural):
        return None
    worst = worst_case_nanousd(size.input_bound, limit, size.n, deployment.price)
    return Quote(worst, limit, send_limit=True, ours=size.client_limit is None or limit < size.client_limit)


def _uncapped(size: Size, deployment: Deployment, natural: int | None, means: Means) -> Quote | None:
    limit = means.default_output_tokens
    if natural is not None:
        limit = min(natural, max(size.client_limit or 0, limit))
    elif size.client_limit is not None:
        limit = size.client_limit
    if deployment.price is None:
        return None if means.budgeted else Quote(0, limit, send_limit=False, ours=False)
    worst = worst_case_nanousd(size.input_bound, limit, size.n, deployment.price)
    ours = means.budgeted and (size.client_limit is None or limit < size.client_limit)
    return Quote(worst, limit, send_limit=means.budgeted, ours=ours)


def least_nanousd(size: Size, tier: Tier) -> int | None:
    """The smallest cap with which this tier can be asked at all; None where none of its deployments has a price."""
    needs = [
        worst_case_nanousd(size.input_bound, _least(_natural_limit(size, deployment)), size.n, deployment.price)
        for deployment in tier.deployments
        if deployment.price is not None
    ]
    return min(needs) if needs else None


def least_judge_nanousd(size: Size, tier: Tier) -> int:
    """The worst case of a judge's call: its whole output limit is reserved, a verdict cut short is none."""
    needs = [
        worst_case_nanousd(size.input_bound, _natural_limit(size, deployment) or 0, size.n, deployment.price)
        for deployment in tier.deployments
        if deployment.price is not None
    ]
    return min(needs, default=0)


def with_limit(body: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """The body with this output limit, under whichever name the client used."""
    limited = dict(body)
    name = (
        "max_tokens"
        if limited.get("max_completion_tokens") is None and "max_tokens" in limited
        else "max_completion_tokens"
    )
    limited.pop("max_tokens", None)
    limited[name] = limit
    return limited


def check_boundable(body: Mapping[str, Any], under: str) -> None:
    """Refuse what has no upper bound in tokens, before anything is spent under a cap or budget.

    Args:
        body: the client's.
        under: what could not be kept, in words.

    Raises:
        RequestError: naming the parameter.
    """
    for param, what in _unboundable(body):
        raise RequestError(
            f"{what} cannot be bounded in price, so {under} cannot be kept; leave out one of them",
            param=param,
            code="unboundable_cost",
        )


def _unboundable(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for place, message in enumerate(body.get("messages") or ()):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(message, dict) and message.get("audio"):
            yield f"messages.{place}.audio", "an earlier answer's audio"
        for part in content if isinstance(content, list) else ():
            kind = part.get("type", "") if isinstance(part, dict) else ""
            if kind not in {"text", "refusal"}:
                yield f"messages.{place}.content", f"a part of type {kind!r}"
    for place, tool in enumerate(body.get("tools") or ()):
        if isinstance(tool, dict) and tool.get("type") not in {"function", "custom"}:
            yield f"tools.{place}", f"a server-side tool ({tool.get('type')!r})"
    for param, what in _UNBOUNDABLE.items():
        if body.get(param) is not None:
            yield param, what
    if body.get("service_tier") not in _PLAIN_SERVICE:
        yield "service_tier", f"the service tier {body['service_tier']!r}, which has prices of its own,"


def _natural_limit(size: Size, deployment: Deployment) -> int | None:
    known = [limit for limit in (size.client_limit, deployment.facts.max_output_tokens) if limit is not None]
    return min(known) if known else None


def _least(natural: int | None) -> int:
    return LEAST_OUTPUT_TOKENS if natural is None else min(natural, LEAST_OUTPUT_TOKENS)
