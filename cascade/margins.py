"""How sure a model was of its first token (papers.md, section 2). Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def first_token_margin(body: Mapping[str, Any]) -> float | None:
    """p(best) - p(second best) of choice 0's first token, 0..1; None without log-probabilities.

    The runner-up is the best candidate that is not a sub- or superstring of the winner, letter case and blanks apart
    (arXiv 2405.02134, open answers): " Yes" is no rival of "yes".
    """
    choices = body.get("choices") or [{}]
    tokens = (choices[0].get("logprobs") or {}).get("content") or []
    if not isinstance(tokens, list) or not tokens or not isinstance(tokens[0], dict):
        return None
    candidates = [each for each in tokens[0].get("top_logprobs") or [tokens[0]] if _is_candidate(each)]
    if not candidates:
        return None
    ranked = sorted(candidates, key=lambda candidate: -candidate["logprob"])
    best = ranked[0]
    rival = next((other for other in ranked[1:] if not _same_word(best["token"], other["token"])), None)
    return math.exp(best["logprob"]) - (math.exp(rival["logprob"]) if rival else 0.0)


def _is_candidate(each: Any) -> bool:
    return (
        isinstance(each, dict) and isinstance(each.get("token"), str) and isinstance(each.get("logprob"), int | float)
    )


def _same_word(one: str, other: str) -> bool:
    one, other = one.strip().lower(), other.strip().lower()
    return one in other or other in one
