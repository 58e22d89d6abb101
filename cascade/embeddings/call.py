"""`/v1/embeddings` behind the edge: one paid (or free) call, recorded like everything else.

The law of this file: no policy, no judge and no learning; a request is one call of purpose `embed`. Nothing of its text
is kept: an embedding request is no question, and its vectors are the answer. It knows ports, not HTTP.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from router.domain import Call, CostSource, Deliver, Outcome, Purpose, Run
from router.errors import BudgetTooSmall, GearboxError, RequestError, UpstreamError
from router.pricing import cost_nanousd, input_bound_tokens, usd_text, worst_case_nanousd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from cascade.engine import Engine
    from router.domain import Request, Tier
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
        source: EmbeddingSource,
        engine: Engine,
        ladder: Sequence[Tier],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build it.

        Args:
            source: whoever embeds.
            engine: where outcomes are recorded.
            ladder: all tiers, for the rows' sake.
            clock: seconds, monotonic.
        """
        self._source = source
        self._engine = engine
        self._ladder = tuple(ladder)
        self._clock = clock

    async def answer(self, request: Request) -> tuple[Embedded | None, Outcome]:
        """(what was embedded, the recorded outcome); None where the outcome holds the error.

        Raises:
            RequestError: nothing was asked and nothing recorded; the request itself must be mended.
            StoreUnavailable: the outcome could not be made durable.
        """
        purse = self._engine.purse(request)
        worst = self._worst_nanousd(request, budgeted=purse.budgeted)
        reserved = await purse.reserve(worst)
        started = self._clock()
        embedded: Embedded | None = None
        error: UpstreamError | None = None
        try:
            embedded = await self._source.embed(request.body)
        except UpstreamError as failed:
            error = failed
        finally:
            waited = self._clock() - started
            call = self._failed(error, worst, waited) if embedded is None else self._paid(embedded, waited)
            # Also when cancelled: the vendor may bill what we no longer wait for.
            cost = worst if embedded is None and error is None else call.cost_nanousd or 0
            if reserved is not None:
                purse.settle(reserved, cost)
        outcome = self._outcome(request, call, error, waited)
        await self._engine.record(outcome)
        return embedded, outcome

    def _worst_nanousd(self, request: Request, *, budgeted: bool) -> int:
        """What it can cost at most; refused where that is more than the request's cap."""
        cap, price = request.wishes.cap_nanousd, self._source.price
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

    def _paid(self, embedded: Embedded, waited_s: float) -> Call:
        price = self._source.price
        source = CostSource.ESTIMATED if embedded.counted else CostSource.USAGE
        return self._call(
            usage=embedded.usage,
            cost=None if price is None else cost_nanousd(embedded.usage, price),
            source=CostSource.UNPRICED if price is None else source,
            latency_s=waited_s,
        )

    def _failed(self, error: GearboxError | None, worst: int, waited_s: float) -> Call:
        billed = isinstance(error, UpstreamError) and error.billed
        source = CostSource.RESERVATION if billed else CostSource.NONE
        return self._call(
            cost=worst if billed else 0, source=source, latency_s=waited_s, error=error.message if error else None
        )

    def _call(
        self,
        *,
        cost: int | None,
        source: CostSource,
        latency_s: float,
        usage: Usage | None = None,
        error: str | None = None,
    ) -> Call:
        return Call(
            purpose=Purpose.EMBED,
            tier=TIER,
            deployment=f"{TIER}/0",
            model=self._source.model,
            price=self._source.price,
            usage=usage,
            cost_nanousd=cost,
            cost_source=source,
            latency_s=latency_s,
            error=error,
        )

    def _outcome(self, request: Request, call: Call, error: GearboxError | None, waited_s: float) -> Outcome:
        latency_s = max(time.time() - request.received_at, waited_s)
        return Outcome(
            request=request,
            run=Run(ladder=self._ladder, top=self._ladder[-1].name, id=request.id),
            delivered=Deliver(None, f"embedded by {call.model}" if error is None else "the embedding model failed"),
            settings={},
            labels=(),
            baseline_nanousd=None,
            started_at=request.received_at,
            latency_s=latency_s,
            overhead_s=max(latency_s - waited_s, 0.0),
            error=error,
            extra_calls=(call,),
        )
