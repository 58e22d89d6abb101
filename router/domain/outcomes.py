"""What came of a request, and what it teaches."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from router.domain.words import CostSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from router.domain.attempts import Attempt, Call
    from router.domain.requests import Request
    from router.domain.runs import Deliver, Run
    from router.domain.words import LabelSource
    from router.errors import GearboxError


@dataclass(frozen=True, slots=True)
class Label:
    """How right a model was on a question, 0..1: what the Starter learns from."""

    tier: str
    model: str
    correct: float
    source: LabelSource
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Nearby:
    """What a neighbouring setting would have made of a request.

    `tier` would have answered, None = nobody; where that is not `exact`, it would have been asked last, and nobody
    knows what would have come of it. `cost_nanousd` is what that would have cost: `exact` where it asks no tier and no
    judge beyond those that were really asked, else with the missing tier's price on the served answer's tokens; None =
    nobody knows. `changes`: it would have gone another way at all. `why` is the reason of its start, where that is
    another one, else of its last decision.
    """

    setting: str
    value: float
    start_tier: str | None
    tier: str | None
    cost_nanousd: int | None
    exact: bool
    changes: bool
    why: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """The whole story of one request, as it is stored, shown and measured.

    `started_at` is seconds since the epoch; `vector` is the question's unit vector, shape (dimensions,), None where
    nothing was embedded. `soft_reached` are budgets whose soft limit is reached, `denied` a budget's refusal that ended
    the run early. `cache`: `hit` where no model was asked, `joined` where another request's run answered. `embeddings`
    is OpenAI's list of them where no chat was asked for; it is told and never stored. `nearby` is what neighbouring
    settings of the policy would have done.
    """

    request: Request
    run: Run
    delivered: Deliver
    settings: Mapping[str, Any]
    labels: tuple[Label, ...]
    baseline_nanousd: int | None
    started_at: float
    latency_s: float
    overhead_s: float
    vector: NDArray[np.float32] | None = None
    embedding_model: str = ""
    error: GearboxError | None = None
    late_cost_nanousd: int = 0
    client: str = "answered"
    extra_calls: tuple[Call, ...] = ()
    estimates: Mapping[str, float] = field(default_factory=dict)
    soft_reached: tuple[str, ...] = ()
    denied: GearboxError | None = None
    cache: str = "miss"
    embeddings: Mapping[str, Any] | None = None
    nearby: tuple[Nearby, ...] = ()

    @property
    def served(self) -> Attempt | None:
        """The attempt whose answer went to the client; None where only an error did."""
        place = self.delivered.attempt
        return None if place is None else self.run.attempts[place]

    @property
    def start_tier(self) -> str | None:
        """The first tier that was asked."""
        return self.run.attempts[0].tier if self.run.attempts else None

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call in the order it was made."""
        made = [call for attempt in self.run.attempts for call in (*attempt.calls, *attempt.judge_calls)]
        return (*self.extra_calls, *made)

    @property
    def cost_nanousd(self) -> int | None:
        """Everything spent up to the answer; None where an unpriced model took part (unknown is not free)."""
        if any(call.cost_source is CostSource.UNPRICED for call in self.calls):
            return None
        return sum(call.cost_nanousd or 0 for call in self.calls)

    @property
    def saved_nanousd(self) -> int | None:
        """Baseline minus cost; negative where routing cost more than the top tier would have."""
        cost = self.cost_nanousd
        return None if cost is None or self.baseline_nanousd is None else self.baseline_nanousd - cost


@dataclass(frozen=True, slots=True)
class Afterwards:
    """What came to light after an answer was served: its verdict, for learning only.

    `rung` is the served attempt's place in the run, `attempt` the attempt as it was then judged; `calls` are the
    judge's, `labels` what the finished run teaches now (none where the judge failed).
    """

    request: Request
    rung: int
    attempt: Attempt
    calls: tuple[Call, ...]
    labels: tuple[Label, ...]

    @property
    def cost_nanousd(self) -> int:
        """The late cost."""
        return sum(call.cost_nanousd or 0 for call in self.calls)
