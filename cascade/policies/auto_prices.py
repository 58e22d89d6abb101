"""What the next calls will probably cost, and what a right answer is worth: expectations, where `quotes` has bounds.

The law of this file: pure. Prices are the models' own, tokens those of their answers so far; a few imagined answers
of ordinary length stand in for experience at first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cascade.policies.auto_plan import Prices
from router.margins_state import MarginState, MeanCost
from router.pricing import TOKENS_PER_MTOK, usd_to_nanousd

if TYPE_CHECKING:
    from collections.abc import Callable

    from cascade.policies.auto_settings import AutoSettings
    from router.domain import Run, Tier
    from router.pricing import Price

#: How many imagined answers stand beside those that were seen.
_IMAGINED = 3
#: An ordinary answer, and one that a reasoning model has thought about, in tokens.
_COMPLETION, _REASONED = 300, 1500
#: What a prompt is taken for where its length is unknown.
_PROMPT = 200
#: A judge's instruction and its verdict, in tokens, where no judge was paid yet.
_INSTRUCTION, _VERDICT = 300, 20
#: A wanted quality is worth this many answers of the dearest tier: as good as everything, and still finite.
_QUALITY_WORTH = 1000.0


def expected(run: Run) -> Prices:
    """The price of each tier's answer and of having it judged, in nano-dollars, by the tier's place.

    A tier without a price is taken to cost what the dearest priced tier below it costs.
    """
    known = run.evidence.margins or MarginState()
    prompt = run.evidence.prompt_tokens or _PROMPT
    asks: list[float] = []
    for tier in run.ladder:
        own = _answer(tier, known, prompt)
        asks.append(max(asks, default=0.0) if own is None else own)
    return Prices(asks, [_judging(run, tier, known, prompt) for tier in run.ladder])


def worth(run: Run, settings: AutoSettings, prices: Prices) -> Callable[[float], float]:
    """P(right) -> its value in nano-dollars.

    With a wanted quality (`x-gearbox-quality`) P(right) beyond it is worth nothing more, and each point below it more
    than any call.
    """
    dearest = max(*prices.ask, 1.0)
    if run.quality is not None:
        wanted = run.quality
        return lambda p_right: _QUALITY_WORTH * dearest * min(p_right, wanted)
    if settings.worth_usd is not None:
        fixed = float(usd_to_nanousd(settings.worth_usd))
        return lambda p_right: fixed * p_right
    return lambda p_right: settings.worth * dearest * p_right


def _answer(tier: Tier, known: MarginState, prompt: int) -> float | None:
    """The tier's first deployment speaks for all: they have one model's price."""
    one = tier.deployments[0]
    if one.price is None:
        return None
    seen = known.costs.get(one.model, MeanCost())
    ordinary = _REASONED if "reasoning" in one.facts.capabilities else _COMPLETION
    completion = (seen.completion_tokens + _IMAGINED * ordinary) / (seen.answers + _IMAGINED)
    return _price(one.price, prompt, completion)


def _judging(run: Run, tier: Tier, known: MarginState, prompt: int) -> float:
    model = tier.deployments[0].model
    seen, judged = known.costs.get(model, MeanCost()), known.judged.get(model, MeanCost())
    judge = next((rung for rung in run.ladder if rung.name == tier.judge), tier).deployments[0].price
    answer = seen.completion_tokens / seen.answers if seen.answers else _COMPLETION
    guessed = 0.0 if judge is None else _price(judge, round(prompt + answer + _INSTRUCTION), _VERDICT)
    return (judged.nanousd + _IMAGINED * guessed) / (judged.answers + _IMAGINED)


def _price(price: Price, prompt: int, completion: float) -> float:
    rates = price.rates(prompt)
    return (prompt * rates.input + completion * rates.output) / TOKENS_PER_MTOK
