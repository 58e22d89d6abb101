"""The closed sets of words: verdicts, purposes, modes, reasons to stop."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What became of an answer (wire.md). An answer that no judge saw is `unjudged`, the top tier's too."""

    VALID = "valid"
    INVALID = "invalid"
    ABSTAINED = "abstained"
    UNJUDGED = "unjudged"
    ERROR = "error"


class Purpose(StrEnum):
    """What a paid call was for."""

    GENERATE = "generate"
    JUDGE = "judge"
    EMBED = "embed"
    AUDIT = "audit"


class CostSource(StrEnum):
    """Where a call's cost comes from: the upstream's usage, our own count, its whole reservation, or nothing billed.

    `cache`: it was no call at all, the answer came from the response cache.
    """

    USAGE = "usage"
    ESTIMATED = "estimated"
    RESERVATION = "reservation"
    NONE = "none"
    UNPRICED = "unpriced"
    CACHE = "cache"


class Judging(StrEnum):
    """When judging is wanted: before the answer is served, after it (for learning only), or never."""

    BEFORE = "before"
    AFTER = "after"
    NEVER = "never"


class StreamMode(StrEnum):
    """How an answer reaches a streaming client (wire.md, Streaming)."""

    HOLD = "hold"
    OPTIMISTIC = "optimistic"
    DIRECT = "direct"
    ADAPTIVE = "adaptive"


class BudgetEnd(StrEnum):
    """What a reached cap means: serve the best answer so far, or refuse with `budget_exhausted`."""

    BEST = "best"
    REFUSE = "refuse"


class Stop(StrEnum):
    """Why a best-so-far answer was served before the policy was done."""

    BUDGET = "budget"
    LATENCY = "latency"
    UPSTREAM = "upstream"
    CLIENT = "client"


class CheckOutcome(StrEnum):
    """What an operator's verifier says of an answer; one that fails abstains."""

    VALID = "valid"
    INVALID = "invalid"
    ABSTAINED = "abstained"


class LabelSource(StrEnum):
    """Where a label comes from; a later one of greater weight replaces it."""

    JUDGE = "judge"
    AGREEMENT = "agreement"
    ASSUMED = "assumed"
    AUDIT = "audit"
    FEEDBACK = "feedback"
