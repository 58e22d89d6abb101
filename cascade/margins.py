"""How sure a model was of what it said (papers.md, section 2). Pure.

A measure is named `<tokens>:<scale>`: over the first token or the mean over all, as the gap of the two best
candidates' probabilities (0..1) or of their logarithms (0..). The authors' code subtracts logits and reviews describe
probabilities; the orders differ. Gearbox's default is the gap of probabilities.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

Tokens: TypeAlias = Literal["first", "mean"]
Scale: TypeAlias = Literal["probability", "logprob"]
#: Every measure there is; the first one is the default.
MEASURES = ("first:probability", "first:logprob", "mean:probability", "mean:logprob")
FIRST_TOKEN = MEASURES[0]
#: Logarithms of probabilities below e^-20 say nothing more; a token without any rival is that far ahead.
MAX_LOGPROB_GAP = 20.0


def measure(tokens: Tokens, scale: Scale) -> str:
    """A measure's name."""
    return f"{tokens}:{scale}"


def margin(body: Mapping[str, Any], by: str = FIRST_TOKEN) -> float | None:
    """How far the best candidate of choice 0 is ahead of the second best; None without log-probabilities.

    Args:
        body: a chat.completion.
        by: one of `MEASURES`. `mean:probability` is 1 - u of UCCI (arXiv 2605.18796), candidates de-duplicated.
    """
    tokens, _, scale = by.partition(":")
    entries = _entries(body)
    gaps = [_gap(entry, scale) for entry in (entries if tokens == "mean" else entries[:1])]
    known = [gap for gap in gaps if gap is not None]
    return sum(known) / len(known) if known else None


def first_token_margin(body: Mapping[str, Any]) -> float | None:
    """The default measure: p(best) - p(second best) of the first token, 0..1; None without log-probabilities."""
    return margin(body, FIRST_TOKEN)


def as_probability_gap(gap: float, scale: Scale) -> float:
    """A threshold in the scale of probabilities: of two candidates that are ln(p1/p2) apart, p1 - p2 = tanh(gap/2)."""
    return math.tanh(gap / 2) if scale == "logprob" else gap


def from_probability_gap(gap: float, scale: Scale) -> float:
    """The reverse: a wanted probability gap in the measure's own scale."""
    if scale == "probability":
        return gap
    return min(2 * math.atanh(gap), MAX_LOGPROB_GAP) if gap < 1 else MAX_LOGPROB_GAP


def _entries(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    choices = body.get("choices") or [{}]
    logprobs = choices[0].get("logprobs")
    found = logprobs.get("content") if isinstance(logprobs, dict) else None
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _gap(entry: Mapping[str, Any], scale: str) -> float | None:
    candidates = [each for each in entry.get("top_logprobs") or [entry] if _is_candidate(each)]
    if not candidates:
        return None
    ranked = sorted(candidates, key=lambda candidate: -candidate["logprob"])
    best = ranked[0]
    rival = next((other for other in ranked[1:] if _is_rival(best["token"], other["token"])), None)
    if scale == "logprob":
        return MAX_LOGPROB_GAP if rival is None else min(best["logprob"] - rival["logprob"], MAX_LOGPROB_GAP)
    return math.exp(best["logprob"]) - (math.exp(rival["logprob"]) if rival else 0.0)


def _is_candidate(each: Any) -> bool:
    return (
        isinstance(each, dict)
        and isinstance(each.get("token"), str)
        and isinstance(each.get("logprob"), int | float)
        and not math.isnan(each["logprob"])
    )


def _is_rival(winner: str, other: str) -> bool:
    """Whether a candidate says something else than the winner, letter case and blanks apart.

    Open answers: no sub- or superstring of the winner counts (" Yes" is no rival of "yes"). Where the winner is a
    lone letter or digit it is a label of a choice, and its rivals are the other labels alone: "B" is, "Because" is not.
    """
    one, two = winner.strip().casefold(), other.strip().casefold()
    if _is_label(one):
        return _is_label(two) and one != two
    if not one or not two:
        return one != two
    return one not in two and two not in one


def _is_label(token: str) -> bool:
    return len(token) == 1 and token.isalnum()
