"""Log-probabilities in OpenAI's shape; only the first token's margin carries meaning.

Pure. The gap between the first token's two best candidates falls as the difficulty nears the tier's reach.
"""

import math
from typing import Any

from cascade.simulated import tokens
from cascade.simulated.chance import fraction
from cascade.simulated.tiers import confidence

_FILLERS = (
    " the",
    "The",
    " a",
    "Let",
    "It",
    " is",
    "So",
    " and",
    "We",
    "First",
    "\n",
    " of",
    "I",
    "To",
    ":",
    ".",
    "-",
    "2",
    "7",
    "A",
)
_RUNNER_UP = 0.8


def _entry(token: str, probability: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(probability), "bytes": list(token.encode("utf-8", "replace"))}


def _with_rivals(token: str, probability: float, rivals: list[str], top: int) -> dict[str, Any]:
    candidates = [_entry(token, probability)]
    rest = 1 - probability
    for rival in rivals[: max(0, top - 1)]:
        candidates.append(_entry(rival, max(1e-9, min(rest * _RUNNER_UP, probability * 0.99))))
        rest -= min(rest * _RUNNER_UP, probability * 0.99)
    return {**_entry(token, probability), "top_logprobs": candidates[:top]}


def _rivals(token: str, given: tuple[str, ...]) -> list[str]:
    first = [tokens.pieces(rival)[0] for rival in given if rival]
    distinct = dict.fromkeys([*first, *_FILLERS])
    distinct.pop(token, None)
    return list(distinct)


def logprobs(
    pieces: list[str], tier: str, difficulty: float, rivals: tuple[str, ...], top: int, *luck: object
) -> list[dict[str, Any]]:
    """One entry per token; `top` candidates each, the chosen token first."""
    found = []
    for place, token in enumerate(pieces):
        sure = (
            confidence(tier, difficulty, *luck) if place == 0 else 0.9 + 0.099 * fraction("token", place, token, *luck)
        )
        found.append(_with_rivals(token, sure, _rivals(token, rivals if place == 0 else ()), top))
    return found
