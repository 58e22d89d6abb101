"""`/v1/embeddings` behind the edge: one paid (or free) call, recorded like everything else.

The law of this file: no policy, no judge and no learning; a request is one call of purpose `embed`. Nothing of its text
is kept: an embedding request is no question, and its vectors are the answer. It knows ports, not HTTP.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from router.domain import Call, CostSource, Deliver, Outcome, Purpose, Run
from router.errors import BudgetTooSmall, RequestError, UpstreamError, UpstreamTimeout
from router.pricing import cost_nanousd, input_bound_tokens, usd_text, worst_case_nanousd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cascade.brake import Brake
    from cascade.embeddings.sources import EmbeddingSources
    from cascade.engine import Engine
    from router.domain import Request, Tier
    from router.ports import Listener
    from router.pricing import Price, Usage

#: The policy's and the tier's name on rows and metrics of embedding requests.
POLICY, TIER = "embeddings", "embedding"


@dataclass(frozen=True, slots=True)
class Embedded:
    """OpenAI's list of embeddings, and what it took; `counted` = by us, the upstream said nothing."""

    body: Mapping[str, Any]
    usage: Usage
    counted: bool


class EmbeddingSource(Protocol):
    """Whoever embeds for clients."""

    @property
    def model(self) -> str:
        """The model that really embeds."""

    @property
    def price(self) -> Price | None:
        """Its price list; None = unknown."""

    async def embed(self, body: Mapping[str, Any]) -> Embedded:
        """Embed what a client's body asks for.

        Raises:
            RequestError: something this source cannot do, named.
            UpstreamError: it failed.
        """


class Embeddings:
    """Answers embedding requests."""

    def __init__(
        self,
        sources: EmbeddingSources,
        engine: Engine,
        ladder: Sequence[Tier],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build it.

        Args:
            sources: whoever embeds, by the model's name.
            engine: where outcomes are recorded.
            ladder: all tiers, for the rows' sake.
            clock: seconds, monotonic.
        """
        self._sources = sources
        self._engine = engine
        self._ladder = tuple(ladder)
        self._clock = clock

    async def handle(self, request: Request, listener: Listener, brake: Brake) -> Outcome:  # noqa: ARG002 - as Engine
        """Embed; a failure comes back inside the outcome, recorded like everything else. See `Engine.handle`.

        Raises:
            RequestError: nothing was asked and nothing recorded; the request itself must be mended.
            ModelNotFound: likewise, where nobody embeds with the model it names.
            StoreUnavailable: the outcome could not be made durable.
        """
        source = self._sources.of(request.asked_model)
        purse = self._engine.purse(request)
        worst = _worst_nanousd(request, source.price, budgeted=purse.budgeted)
        reserved = await purse.reserve(worst)
        embedded, error = None, _halted(brake)
        call = replace(_call(source), cost_nanousd=worst, cost_source=CostSource.RESERVATION)
        started = self._clock()
        try:
            if error is None:
                async with brake.over_call():
                    embedded = await source.embed(request.body)
                call = _paid(call, embedded)
        except UpstreamError as failed:
            error = failed
        finally:
            # Also when cancelled: the vendor may bill what we no longer wait for.
            call = call if error is None else _failed(call, error)
            if reserved is not None:
                purse.settle(reserved, call.cost_nanousd or 0)
        call = replace(call, latency_s=self._clock() - started)
        outcome = replace(self._outcome(request, call, embedded, error, brake), soft_reached=purse.soft_reached)
        await self._engine.record(outcome)
        return outcome

    def _outcome(
        self, request: Request, call: Call, embedded: Embedded | None, error: UpstreamError | None, brake: Brake
    ) -> Outcome:
        latency_s = max(time.time() - request.received_at, call.latency_s)
        why = f"embedded by {call.model}" if error is None else "the embedding model failed"
        return Outcome(
            request=request,
            run=Run(ladder=self._ladder, top=self._ladder[-1].name, id=request.id),
            delivered=Deliver(None, why, None if error is None else brake.stop),
            settings={},
            labels=(),
            baseline_nanousd=None,
            started_at=request.received_at,
            latency_s=latency_s,
            overhead_s=max(latency_s - call.latency_s, 0.0),
            error=error,
            client="disconnected" if brake.client_gone else "answered",
            extra_calls=(call,),
            embeddings=None if embedded is None else embedded.body,
        )


def _halted(brake: Brake) -> UpstreamError | None:
    """Why nothing is asked any more: the client left, or its time ended, while others' reservations were open."""
    stop = brake.stop
    return None if stop is None else UpstreamTimeout(f"no call could be started in time: {stop}", billed=False)


def _worst_nanousd(request: Request, price: Price | None, *, budgeted: bool) -> int:
    """What it can cost at most; refused where that is more than the request's cap."""
    cap = request.wishes.cap_nanousd
    if price is None:
        if cap is not None or budgeted:
            under = "this key's budget" if cap is None else "x-gearbox-budget-usd"
            raise RequestError(
                f"the embedding model has no price, so {under} cannot be kept; set embedding.input_usd_per_mtok",
                param=None if cap is None else "x-gearbox-budget-usd",
                code="unboundable_cost",
            )
        return 0
    worst = worst_case_nanousd(input_bound_tokens(orjson.dumps(dict(request.body)), ()), 0, 1, price)
    if cap is not None and worst > cap:
        raise BudgetTooSmall(
            f"the cap of {usd_text(cap)} USD does not pay for this request: it needs at least {usd_text(worst)} "
            "USD; raise x-gearbox-budget-usd or send less",
            param="x-gearbox-budget-usd",
        )
    return worst


def _call(source: EmbeddingSource) -> Call:
    """The call as far as it is known before its end."""
    return Call(
        purpose=Purpose.EMBED,
        tier=TIER,
        deployment=f"{TIER}/0",
        model=source.model,
        price=source.price,
        usage=None,
        cost_nanousd=0,
        cost_source=CostSource.NONE,
        latency_s=0.0,
    )


def _paid(call: Call, embedded: Embedded) -> Call:
    counted = CostSource.ESTIMATED if embedded.counted else CostSource.USAGE
    return replace(
        call,
        usage=embedded.usage,
        cost_nanousd=None if call.price is None else cost_nanousd(embedded.usage, call.price),
        cost_source=CostSource.UNPRICED if call.price is None else counted,
    )


def _failed(call: Call, error: UpstreamError) -> Call:
    """As it stands, at its whole reservation, where the vendor may bill it; else at nothing."""
    if error.billed:
        return replace(call, error=error.message)
    return replace(call, cost_nanousd=0, cost_source=CostSource.NONE, error=error.message)
