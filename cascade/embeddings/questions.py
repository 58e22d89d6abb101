"""What embedding a question costs where a vendor is paid for it: reserved, settled and told like every other call.

The law of this file: evidence may be missing, money may not. What the request's cap or a budget does not pay is not
embedded, and no cap is spent on a question so far that nobody could be asked any more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from cascade.embeddings.call import TIER
from router.domain import Call, CostSource, Purpose
from router.errors import BudgetTooSmall, QuotaSpent, RateLimited, StoreUnavailable, UpstreamError
from router.pricing import Usage, cost_nanousd, estimate_tokens, input_bound_tokens, worst_case_nanousd

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from cascade.purse import Purse
    from router.pricing import Price


class MeteredEmbedder(Protocol):
    """An `Embedder` that says what was billed."""

    @property
    def model(self) -> str:
        """See `Embedder`."""

    async def embed_with_usage(self, text: str) -> tuple[NDArray[np.float32], int | None]:
        """The unit vector, and the prompt tokens billed; None where the upstream reports none."""


@dataclass(frozen=True, slots=True)
class PaidQuestions:
    """Who embeds questions, and at what price (None = nobody knows); `clock`: seconds, monotonic."""

    embedder: MeteredEmbedder
    price: Price | None
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)


@dataclass(slots=True)
class QuestionPayer:
    """Pays for one request's question.

    `purse` None = a dry run, which pays for nothing; `kept_nanousd` is what a cap must still hold afterwards; `calls`
    is what was paid, for the outcome.
    """

    questions: PaidQuestions
    purse: Purse | None
    kept_nanousd: int
    calls: tuple[Call, ...] = ()

    async def embed(self, text: str) -> NDArray[np.float32]:
        """The question's unit vector.

        Raises:
            BudgetTooSmall, QuotaSpent, RateLimited, StoreUnavailable: it is not paid for, and nothing was sent.
            UpstreamError: the vendor failed.
        """
        price, purse, reserved = self.questions.price, self.purse, None
        if price is None:
            return await self._unpriced(text)
        worst = worst_case_nanousd(input_bound_tokens(text.encode("utf-8", "replace"), ()), 0, 1, price)
        if purse is not None and (purse.left_nanousd is None or worst + self.kept_nanousd <= purse.left_nanousd):
            try:
                reserved = await purse.reserve(worst)
            except (QuotaSpent, RateLimited, StoreUnavailable):
                purse.denied = None  # whoever is asked next hears it, and tells the client
                raise
        if purse is None or reserved is None:
            raise BudgetTooSmall("embedding the question is not paid for: this is a dry run, or the cap is too small")
        made, started = self._unsettled(worst), self.questions.clock()
        try:
            vector, tokens = await self.questions.embedder.embed_with_usage(text)
            made = self._settled(made, price, text, tokens)
        except UpstreamError as error:
            made = replace(made, error=error.message)
            if not error.billed:
                made = replace(made, cost_nanousd=0, cost_source=CostSource.NONE)
            raise
        finally:
            # Also when cancelled: the vendor may bill what we no longer wait for.
            self.calls = (replace(made, latency_s=self.questions.clock() - started),)
            purse.settle(reserved, made.cost_nanousd or 0)
        return vector

    async def _unpriced(self, text: str) -> NDArray[np.float32]:
        """Only where no cap and no budget counts: what has no price has no worst case."""
        if self.purse is None or self.purse.capped or self.purse.budgeted:
            raise BudgetTooSmall("embedding the question has no known price: set embedding.input_usd_per_mtok")
        vector, _ = await self.questions.embedder.embed_with_usage(text)
        return vector

    def _unsettled(self, worst_nanousd: int) -> Call:
        return Call(
            purpose=Purpose.EMBED,
            tier=TIER,
            deployment=f"{TIER}/0",
            model=self.questions.embedder.model,
            price=self.questions.price,
            usage=None,
            cost_nanousd=worst_nanousd,
            cost_source=CostSource.RESERVATION,
            latency_s=0.0,
            error="cancelled",
        )

    def _settled(self, made: Call, price: Price, text: str, tokens: int | None) -> Call:
        usage = Usage(estimate_tokens(text) if tokens is None else tokens, 0)
        source = CostSource.ESTIMATED if tokens is None else CostSource.USAGE
        cost = cost_nanousd(usage, price)
        return replace(made, usage=usage, cost_nanousd=cost, cost_source=source, error=None)
