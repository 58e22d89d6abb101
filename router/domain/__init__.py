"""The words of Gearbox: what a tier, a request, an attempt, a run and a decision are.

The law of this room: frozen records over the standard library. It knows no clock, no socket, no database and no
vendor; everything else in the project is written in these words. Money is integers in nano-dollars (`_nanousd`),
durations are seconds (`_s`), probabilities are floats in [0, 1]. Words are imported from here, not from its files.
"""

from router.domain.attempts import Answer, Attempt, Call, Check, CheckResult
from router.domain.evidence import Conversation, Evidence, Neighbour
from router.domain.ladder import Deployment, ModelFacts, Tier
from router.domain.outcomes import Afterwards, Label, Nearby, Outcome
from router.domain.requests import Caller, RateLimits, Request, Wishes
from router.domain.runs import Ask, Budget, Decision, Deliver, Judge, Run
from router.domain.words import (
    BudgetEnd,
    CheckOutcome,
    CostSource,
    Judging,
    LabelSource,
    Purpose,
    Stop,
    StreamMode,
    Verdict,
)

__all__ = [
    "Afterwards",
    "Answer",
    "Ask",
    "Attempt",
    "Budget",
    "BudgetEnd",
    "Call",
    "Caller",
    "Check",
    "CheckOutcome",
    "CheckResult",
    "Conversation",
    "CostSource",
    "Decision",
    "Deliver",
    "Deployment",
    "Evidence",
    "Judge",
    "Judging",
    "Label",
    "LabelSource",
    "ModelFacts",
    "Nearby",
    "Neighbour",
    "Outcome",
    "Purpose",
    "RateLimits",
    "Request",
    "Run",
    "Stop",
    "StreamMode",
    "Tier",
    "Verdict",
    "Wishes",
]
