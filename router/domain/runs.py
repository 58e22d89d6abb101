"""Everything about one request so far, and what a policy may decide next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeAlias

from router.domain.evidence import Evidence
from router.domain.words import Judging

if TYPE_CHECKING:
    from collections.abc import Mapping

    from router.domain.attempts import Attempt, Check
    from router.domain.ladder import Tier
    from router.domain.words import Stop


@dataclass(frozen=True, slots=True)
class Budget:
    """What this request may still spend, and what the next steps cost at worst.

    `cap_nanousd` None = no cap. `ask_nanousd` holds, for each tier, the worst case of the least useful call;
    `judge_nanousd` that of judging the last answer. Filled by whoever runs the policy, so that policies stay pure.
    """

    cap_nanousd: int | None = None
    spent_nanousd: int = 0
    ask_nanousd: Mapping[str, int] = field(default_factory=dict)
    judge_nanousd: int = 0

    @property
    def left_nanousd(self) -> int | None:
        """What is left; None = no cap."""
        return None if self.cap_nanousd is None else self.cap_nanousd - self.spent_nanousd

    def pays(self, nanousd: int) -> bool:
        """Whether an amount still fits under the cap."""
        left = self.left_nanousd
        return left is None or nanousd <= left

    def pays_ask(self, tier: str) -> bool:
        """Whether asking this tier still fits under the cap."""
        return self.pays(self.ask_nanousd.get(tier, 0))

    def pays_judge(self) -> bool:
        """Whether judging the last answer still fits under the cap."""
        return self.pays(self.judge_nanousd)


@dataclass(frozen=True, slots=True)
class Run:
    """Everything about one request so far: all that a policy reads, and all that a replay needs.

    `ladder` holds the rungs this request may use, cheapest first; `top` is the name of the *full* ladder's last rung,
    which alone is trusted without a judge. `checks` are the operator's verifiers that will look at each answer.
    `judge_fails_open` says whether an answer whose judge failed is served unjudged, `learns` whether anything may be
    learnt from this request. `stop` is set once no new paid call may be started.
    """

    ladder: tuple[Tier, ...]
    top: str
    id: str = ""
    evidence: Evidence = Evidence()
    judging: Judging = Judging.BEFORE
    checks: tuple[Check, ...] = ()
    judge_fails_open: bool = True
    learns: bool = True
    quality: float | None = None
    budget: Budget = Budget()
    attempts: tuple[Attempt, ...] = ()
    stop: Stop | None = None

    def __post_init__(self) -> None:
        if not self.ladder:
            raise ValueError("a run needs at least one tier")

    def tier(self, name: str) -> Tier:
        """The rung of that name; KeyError if this run does not have it."""
        for tier in self.ladder:
            if tier.name == name:
                return tier
        raise KeyError(name)

    def position(self, name: str) -> int:
        """The rung's place on this run's ladder, 0 = cheapest."""
        return [tier.name for tier in self.ladder].index(name)

    def with_attempt(self, attempt: Attempt) -> Run:
        """This run and one attempt more."""
        return replace(self, attempts=(*self.attempts, attempt))

    def with_last(self, attempt: Attempt) -> Run:
        """This run with its last attempt replaced, after a verdict."""
        return replace(self, attempts=(*self.attempts[:-1], attempt))


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this tier.

    `p_valid` is the estimate for it, before it is asked. `final` promises that the policy will deliver whatever
    comes, so that it may stream live; `invite_abstention` tells the model that it may decline (it rewrites the
    client's prompt, so it is off unless configured).

    `logprobs` asks for the tokens' log-probabilities, of which the measure `margin` is taken (`margins.MEASURES`);
    `samples` > 1 asks that many times in all, at `temperature`: how many of the others agree with the answer is its
    confidence.
    """

    tier: str
    why: str
    p_valid: float | None = None
    final: bool = False
    logprobs: bool = False
    invite_abstention: bool = False
    margin: str = ""
    samples: int = 0
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Judge:
    """Have the last answer judged by this tier."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Deliver:
    """Serve the attempt at this place in `run.attempts`; None = there is no answer to serve, only errors.

    `beliefs` tells how likely the policy holds each answer to be right, by the attempt's place, 0..1: what the run
    teaches then (`router.labels`). Empty = it teaches nothing; None = the policy believes nothing, and what is taught
    follows from the verdicts.
    """

    attempt: int | None
    why: str
    stopped: Stop | None = None
    beliefs: Mapping[int, float] | None = None


Decision: TypeAlias = Ask | Judge | Deliver
