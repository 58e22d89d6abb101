"""The only place where a paid call happens: choose a deployment, reserve, send, settle, and try again where it helps.

The law of this file: every try is one `Call`, whatever becomes of it, and no try starts that the purse did not
reserve in full. Generator and judge both come through here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import stamina
import structlog

from cascade.quotes import Quote, Size, quote, with_limit
from router.domain import Call, CostSource, Purpose
from router.errors import (
    GearboxError,
    QuotaSpent,
    RateLimited,
    RequestError,
    Retry,
    StoreUnavailable,
    UpstreamError,
    UpstreamRateLimited,
    UpstreamUnavailable,
)
from router.ports import ChatCall
from router.pricing import Usage, cost_nanousd, estimate_tokens, usd_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cascade.brake import Brake
    from cascade.deployments import Deployments
    from cascade.purse import Purse, Reserved
    from cascade.quotes import Means
    from router.domain import Deployment, Tier
    from router.ports import ChatModel, ChunkSink, Reply


_log = structlog.get_logger("gearbox.caller")


@dataclass(frozen=True, slots=True)
class RetrySettings:
    """How often and how patiently a tier is asked again before the next one is.

    `attempts` counts tries, the first one included; waits double from `wait_initial_s` to `wait_max_s`. A
    `retry-after` longer than `longest_wait_s` is not waited for: the deployment cools down for that long and another
    tier takes over.
    """

    attempts: int = 3
    wait_initial_s: float = 0.2
    wait_max_s: float = 8.0
    longest_wait_s: float = 20.0
    jitter_s: float = 0.3


@dataclass(frozen=True, slots=True)
class Errand:
    """One question for one tier."""

    tier: Tier
    body: Mapping[str, Any]
    purpose: Purpose
    brake: Brake
    stream: bool = False
    hint: str = "generate"
    live: ChunkSink | None = None
    even_cooling: bool = False


@dataclass(frozen=True, slots=True)
class Spoken:
    """What an errand brought: the reply or the last error, and every try.

    `limit_was_ours`: an output limit tighter than the client's was sent; `streamed`: something reached the client.
    """

    calls: tuple[Call, ...]
    reply: Reply | None = None
    error: GearboxError | None = None
    limit_was_ours: bool = False
    streamed: bool = False


class Unpaid(RequestError):
    """The request's cap does not pay for this call, or a call without a price cannot be bounded: none was made."""

    code = "unboundable_cost"


class _Halted(Exception):
    """The client is gone or the time is up: no further try."""


class Caller:
    """Makes paid calls to tiers."""

    def __init__(
        self,
        models: Mapping[str, ChatModel],
        deployments: Deployments,
        retry: RetrySettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build it.

        Args:
            models: deployment id -> the model behind it.
            deployments: their health.
            retry: how often to try.
            clock: seconds, monotonic.
        """
        self._models = models
        self._deployments = deployments
        self._retry = retry
        self._clock = clock

    async def call(self, errand: Errand, purse: Purse) -> Spoken:
        """Run one errand; failures come back inside `Spoken`, never as exceptions."""
        tries = _Tries(_Watched(errand.live) if errand.live else None)
        try:
            async for attempt in stamina.retry_context(
                on=lambda error: self._patience(error, errand, tries),
                attempts=self._retry.attempts,
                timeout=None,
                wait_initial=self._retry.wait_initial_s,
                wait_max=self._retry.wait_max_s,
                wait_jitter=self._retry.jitter_s,
            ):
                with attempt:
                    reply, ours = await self._try(errand, purse, tries)
                    return tries.spoken(reply=reply, limit_was_ours=ours)
        except _Halted:
            halted = UpstreamUnavailable(f"{errand.tier.name}: stopped before another try")
            return tries.spoken(error=tries.error or halted)
        except (Unpaid, QuotaSpent, RateLimited, StoreUnavailable) as error:
            return tries.spoken(error=tries.error or error)
        except UpstreamError as error:
            return tries.spoken(error=error)
        raise AssertionError("stamina either returns or raises")

    async def _try(self, errand: Errand, purse: Purse, tries: _Tries) -> tuple[Reply, bool]:
        if errand.brake.stop is not None:
            raise _Halted
        offers = _offers(errand, purse.means)
        if not offers:
            raise _unpaid(errand.tier, purse)
        payable = [deployment for deployment in errand.tier.deployments if deployment.id in offers]
        deployment = self._deployments.choose(payable, tries.tried, even_cooling=errand.even_cooling)
        if deployment is None:
            limited = self._deployments.limited(errand.tier)
            raise _cooling(errand.tier, self._deployments.ready_in_s(errand.tier), limited=limited)
        offer = offers[deployment.id]
        reserved = await purse.reserve(offer.worst_nanousd)
        if reserved is None:
            raise _unpaid(errand.tier, purse)
        if errand.brake.stop is not None:  # the client left, or the time ended, while others' reservations were open
            purse.settle(reserved, 0)
            raise _Halted
        tries.tried.add(deployment.id)
        reply = await self._paid(errand, purse, tries, deployment, offer, reserved)
        return reply, offer.send_limit and offer.ours

    async def _paid(
        self,
        errand: Errand,
        purse: Purse,
        tries: _Tries,
        deployment: Deployment,
        offer: Quote,
        reserved: Reserved,
    ) -> Reply:
        body = with_limit(errand.body, offer.output_limit) if offer.send_limit else errand.body
        started = self._clock()
        made = unsettled = Call(
            purpose=errand.purpose,
            tier=errand.tier.name,
            deployment=deployment.id,
            model=deployment.model,
            price=deployment.price,
            usage=None,
            cost_nanousd=offer.worst_nanousd,
            cost_source=CostSource.RESERVATION,
            latency_s=0.0,
            error="cancelled",
        )
        try:
            with self._deployments.busy(deployment):
                call = ChatCall(body, errand.stream, errand.hint)
                async with errand.brake.over_call():
                    reply = await self._models[deployment.id].chat(call, tries.live)
            made = _settled(unsettled, reply, body, offer)
            _warn_of_overrun(made, offer)
            self._deployments.succeeded(deployment)
        except UpstreamError as error:
            made = _failed(unsettled, error)
            tries.error = error
            if not errand.brake.client_gone:  # hanging up is our doing and says nothing about the deployment
                self._deployments.failed(deployment, error)
            raise
        finally:
            # Also when cancelled: the vendor may bill what we no longer wait for, so the whole reservation is spent.
            made = replace(made, latency_s=self._clock() - started)
            tries.calls.append(made)
            purse.receipts.append(made)
            purse.settle(reserved, made.cost_nanousd or 0)
        return reply

    def _patience(self, error: Exception, errand: Errand, tries: _Tries) -> bool | float:
        """What stamina does after a failure: False = give up, seconds, or True = its own backoff with jitter."""
        retryable = isinstance(error, UpstreamError) and error.retry is Retry.AGAIN
        if not retryable or tries.streamed or errand.brake.stop is not None:
            return False
        if self._deployments.another(errand.tier, tries.tried):
            return 0.0
        wait = error.retry_after_s if isinstance(error, UpstreamError) else None
        if not errand.brake.allows_wait(wait or 0.0):
            return False
        if wait is None:
            return self._deployments.ready_in_s(errand.tier) == 0 or errand.even_cooling
        return wait if wait <= self._retry.longest_wait_s else False


@dataclass(slots=True)
class _Tries:
    """How one errand has gone so far: every call, the deployments asked, and the last failure."""

    live: _Watched | None
    calls: list[Call] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    error: UpstreamError | None = None

    @property
    def streamed(self) -> bool:
        """Whether anything reached the client already."""
        return self.live is not None and self.live.started

    def spoken(self, **result: Any) -> Spoken:
        """What it all came to."""
        return Spoken(tuple(self.calls), streamed=self.streamed, **result)


def _offers(errand: Errand, means: Means) -> dict[str, Quote]:
    """The quote of each of the tier's deployments that what is left still pays."""
    size = Size.of(errand.body)
    quotes = {deployment.id: quote(size, deployment, means) for deployment in errand.tier.deployments}
    return {name: offer for name, offer in quotes.items() if offer is not None}


class _Watched:
    """A sink that remembers whether anything went out: from then on another try would repeat text."""

    def __init__(self, sink: ChunkSink) -> None:
        self._sink = sink
        self.started = False

    async def chunk(self, event: Mapping[str, Any]) -> None:
        self.started = True
        await self._sink.chunk(event)


def _unpaid(tier: Tier, purse: Purse) -> Unpaid:
    if all(deployment.price is None for deployment in tier.deployments):
        under = "x-gearbox-budget-usd" if purse.capped else "this key's budget"
        return Unpaid(f"{tier.name}'s model has no price here, so {under} cannot be kept; give it one in gearbox.yaml")
    return Unpaid(f"what is left of the cap does not pay for {tier.name}", code="budget_too_small")


def _cooling(tier: Tier, wait_s: float, *, limited: bool) -> UpstreamError:
    kind = UpstreamRateLimited if limited else UpstreamUnavailable
    after = "rate limits" if limited else "failures"
    error = kind(
        f"every deployment of {tier.name} is cooling down after {after}; the first is back in {wait_s:.0f} s",
        retry_after_s=wait_s,
    )
    error.retry = Retry.NEXT_TIER
    return error


def _settled(unsettled: Call, reply: Reply, body: Mapping[str, Any], offer: Quote) -> Call:
    """The real price: the upstream's usage, else our own count."""
    usage, source = reply.usage, CostSource.USAGE
    if usage is None:
        usage, source = _estimated(reply, body, offer), CostSource.ESTIMATED
    price = unsettled.price
    choices = reply.body.get("choices") or [{}]
    cost = None if price is None else cost_nanousd(usage, price)
    return replace(
        unsettled,
        usage=usage,
        cost_nanousd=cost,
        overrun_nanousd=max((cost or 0) - offer.worst_nanousd, 0) if offer.send_limit else 0,
        cost_source=CostSource.UNPRICED if price is None else source,
        ttft_s=reply.ttft_s,
        finish_reason=choices[0].get("finish_reason"),
        error=None,
        dropped=reply.dropped,
    )


def _warn_of_overrun(made: Call, offer: Quote) -> None:
    if made.overrun_nanousd:
        _log.warning(
            "an upstream billed more than the worst case of what it was sent: a cap may be passed",
            deployment=made.deployment,
            output_limit=offer.output_limit,
            completion_tokens=made.usage.completion_tokens if made.usage else None,
            overrun_usd=usd_text(made.overrun_nanousd),
        )


def _failed(unsettled: Call, error: UpstreamError) -> Call:
    if error.billed:
        return replace(unsettled, error=str(error))
    return replace(unsettled, error=str(error), cost_nanousd=0, cost_source=CostSource.NONE)


def _estimated(reply: Reply, body: Mapping[str, Any], offer: Quote) -> Usage:
    """Our count of bytes; under a sent limit no more than that limit, which the model cannot have passed."""
    said = "".join(_said(choice.get("message") or {}) for choice in reply.body.get("choices") or ())
    asked = "".join(str(message.get("content") or "") for message in body.get("messages") or ())
    completion = estimate_tokens(said)
    if offer.send_limit:
        completion = min(completion, offer.output_limit * Size.of(body).n)
    return Usage(estimate_tokens(asked), completion)


def _said(message: Mapping[str, Any]) -> str:
    calls = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    arguments = [f"{call.get('name') or ''}{call.get('arguments') or ''}" for call in calls]
    return "".join([str(message.get("content") or ""), str(message.get("refusal") or ""), *arguments])
