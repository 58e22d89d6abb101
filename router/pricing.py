"""Money: prices, tokens -> nano-dollars, and the worst case of a call that has not happened yet.

The law of this file: it is the only place where tokens become money. Amounts are integers in nano-dollars
(1 USD = 10**9), prices are integers in nano-dollars per million tokens, so no float ever touches a bill. A real cost
is rounded half-up once per paid call; a worst case is always rounded up.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NANOUSD_PER_USD = 1_000_000_000
TOKENS_PER_MTOK = 1_000_000
#: Tokens a vendor's chat template may add around one message (role, separators, tool scaffolding), with room to spare.
TEMPLATE_TOKENS_PER_MESSAGE = 16


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call consumed, in tokens.

    `cached_tokens` and `cache_write_tokens` are parts of `prompt_tokens`; `reasoning_tokens` is a part of
    `completion_tokens` (OpenAI's accounting). With n > 1, `completion_tokens` is the sum over all choices.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """One row of a price list: nano-dollars per million tokens of each kind."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None

    @property
    def dearest_input(self) -> int:
        """The most that one input token can be billed at under these rates."""
        return max(self.input, self.cached_input or 0, self.cache_write or 0)

    @property
    def dearest_output(self) -> int:
        """The most that one output token can be billed at under these rates."""
        return max(self.output, self.reasoning or 0)


@dataclass(frozen=True, slots=True)
class Price:
    """A model's price list: the base rates, and dearer ones once the prompt is longer than a threshold.

    `long_context` holds (threshold in prompt tokens, rates), ascending; as the vendors bill it, a prompt above a
    threshold is billed at those rates as a whole.
    """

    base: Rates
    long_context: tuple[tuple[int, Rates], ...] = ()

    def rates(self, prompt_tokens: int) -> Rates:
        """The rates that a prompt of this length is billed at."""
        rates = self.base
        for threshold, dearer in self.long_context:
            if prompt_tokens > threshold:
                rates = dearer
        return rates


def per_mtok(usd: Decimal | float | str) -> int:
    """USD per million tokens -> nano-dollars per million tokens (0.075 -> 75_000_000)."""
    return _half_up(Decimal(str(usd)) * NANOUSD_PER_USD)


def per_token(usd: Decimal | float | str) -> int:
    """USD per token, as LiteLLM's table has it -> nano-dollars per million tokens (7.5e-08 -> 75_000_000)."""
    return _half_up(Decimal(str(usd)) * TOKENS_PER_MTOK * NANOUSD_PER_USD)


def usd_to_nanousd(usd: Decimal | float | str) -> int:
    """USD -> nano-dollars, rounded half-up."""
    return _half_up(Decimal(str(usd)) * NANOUSD_PER_USD)


def nanousd_to_usd(nanousd: int) -> float:
    """Nano-dollars -> USD for JSON; exact to nine places."""
    return nanousd / NANOUSD_PER_USD


def usd_text(nanousd: int) -> str:
    """Nano-dollars -> a decimal string with nine places, as response headers carry it."""
    sign = "-" if nanousd < 0 else ""
    whole, part = divmod(abs(nanousd), NANOUSD_PER_USD)
    return f"{sign}{whole}.{part:09d}"


def cost_nanousd(usage: Usage, price: Price) -> int:
    """What a call cost, rounded half-up once."""
    rates = price.rates(usage.prompt_tokens)
    plain = max(usage.prompt_tokens - usage.cached_tokens - usage.cache_write_tokens, 0)
    visible = max(usage.completion_tokens - usage.reasoning_tokens, 0)
    total = (
        plain * rates.input
        + usage.cached_tokens * _or(rates.cached_input, rates.input)
        + usage.cache_write_tokens * _or(rates.cache_write, rates.input)
        + visible * rates.output
        + usage.reasoning_tokens * _or(rates.reasoning, rates.output)
    )
    return (total + TOKENS_PER_MTOK // 2) // TOKENS_PER_MTOK


def worst_case_nanousd(input_bound: int, output_limit: int, n: int, price: Price) -> int:
    """The most a call can cost: `input_bound` tokens in and n times `output_limit` tokens out; rounded up."""
    dearest = _dearest(price, input_bound)
    total = input_bound * dearest.input + output_limit * n * dearest.output
    return -(-total // TOKENS_PER_MTOK)


def affordable_output_tokens(left_nanousd: int, input_bound: int, n: int, price: Price) -> int:
    """The largest output limit (tokens per choice) whose worst case still fits into what is left; may be negative."""
    dearest = _dearest(price, input_bound)
    room = left_nanousd * TOKENS_PER_MTOK - input_bound * dearest.input
    per_token_all = n * dearest.output
    if per_token_all == 0:
        return TOKENS_PER_MTOK if room >= 0 else -1
    return room // per_token_all


def input_bound_tokens(encoded: bytes, messages: Sequence[Any]) -> int:
    """An upper bound on the prompt's tokens.

    No byte-level tokenizer makes more tokens than there are UTF-8 bytes; the vendor's own template around each
    message is bounded by a constant.

    Args:
        encoded: the request body as it is sent, UTF-8.
        messages: its messages, for their number.
    """
    return len(encoded) + TEMPLATE_TOKENS_PER_MESSAGE * (len(messages) + 1)


def estimate_tokens(text: str) -> int:
    """Our own count where an upstream reports no usage: about four UTF-8 bytes a token, at least one for any text."""
    return -(-len(text.encode()) // 4)


def usage_from_body(usage: Mapping[str, Any] | None) -> Usage | None:
    """OpenAI's `usage` object -> Usage; None where it is missing or says nothing usable."""
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion or 0, int):
        return None
    inside = usage.get("prompt_tokens_details") or {}
    outside = usage.get("completion_tokens_details") or {}
    return Usage(
        prompt_tokens=max(prompt, 0),
        completion_tokens=max(completion or 0, 0),
        cached_tokens=_count(inside, "cached_tokens"),
        cache_write_tokens=_count(inside, "cache_creation_tokens") or _count(usage, "cache_creation_input_tokens"),
        reasoning_tokens=_count(outside, "reasoning_tokens"),
    )


def _dearest(price: Price, input_bound: int) -> Rates:
    """The dearest rates that a prompt of at most `input_bound` tokens can be billed at."""
    reachable = [price.base, *(rates for threshold, rates in price.long_context if input_bound > threshold)]
    return Rates(max(rates.dearest_input for rates in reachable), max(rates.dearest_output for rates in reachable))


def _count(details: Any, key: str) -> int:
    value = details.get(key) if isinstance(details, dict) else None
    return max(value, 0) if isinstance(value, int) else 0


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _half_up(value: Decimal) -> int:
    return int(value.to_integral_value(rounding=ROUND_HALF_UP))
