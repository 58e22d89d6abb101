"""How sure each model has been so far, and what its answers cost: what the two-tier policy knows before it decides.

The law of this file: numbers in memory, fed by finished runs, the same way live, after a restart (from SQL) and in a
replay. No text, no clock, no I/O. A margin is kept under its model and its measure, since margins of different
models or measures cannot be compared (papers.md section 2).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from router.pricing import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from router.domain import Attempt, Run

#: The latest margins of a series that count: what a model was like long ago says little of it now.
WINDOW = 10_000
#: Requests that are read back at start: enough for the windows of a few teams and series, and for the pot.
NEWEST = 5 * WINDOW
#: The same for those who only want to know what an answer costs on average.
NEWEST_COSTS = 500
#: Fewer labelled margins than this give no curve.
MIN_LABELLED = 50
#: A curve is fitted anew once there is this much more to fit it to.
_REFIT_GROWTH = 1.1

#: (model, measure), such as ("openai/gpt-5-nano", "first:probability").
Series: TypeAlias = tuple[str, str]
#: (a margin, whether the answer was right 0..1).
Labelled: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Block:
    """A stretch of margins, from `margin` up to the next block's, over which P(wrong) is the same.

    `share` is how many of all margins seen lie in it, 0..1.
    """

    margin: float
    p_wrong: float
    share: float


@dataclass(frozen=True, slots=True)
class Curve:
    """P(wrong) by margin, falling from block to block; made of `labelled` labelled answers."""

    blocks: tuple[Block, ...]
    labelled: int


@dataclass(frozen=True, slots=True)
class MeanCost:
    """What answers of one model cost so far: sums over `answers` answers."""

    answers: int = 0
    nanousd: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def mean_nanousd(self) -> float:
        """The average answer's price."""
        return self.nanousd / self.answers if self.answers else 0.0

    @property
    def mean_usage(self) -> Usage:
        """The average answer's tokens."""
        many = max(self.answers, 1)
        return Usage(round(self.prompt_tokens / many), round(self.completion_tokens / many))


@dataclass(frozen=True, slots=True)
class MarginState:
    """What is known before a decision.

    `margins` are sorted; `judged` holds what having each model's answers judged cost; `both` holds, for two models that
    answered the same requests, what each was paid for them in all (the escalated requests are not the average ones, so
    their mean cost alone would mislead); `asked` and `spent_nanousd` count the present horizon only; `lacking` holds
    the models that were asked for log-probabilities and gave none.
    """

    margins: Mapping[Series, tuple[float, ...]] = field(default_factory=dict)
    curves: Mapping[Series, Curve] = field(default_factory=dict)
    costs: Mapping[str, MeanCost] = field(default_factory=dict)
    judged: Mapping[str, MeanCost] = field(default_factory=dict)
    both: Mapping[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    asked: int = 0
    spent_nanousd: int = 0
    lacking: frozenset[str] = frozenset()

    def summary(self) -> dict[str, Any]:
        """What is stored and shown of it: how many margins of each series, the mean costs, the pot."""
        return {
            "seen": {" ".join(series): len(margins) for series, margins in self.margins.items()},
            "labelled": {" ".join(series): curve.labelled for series, curve in self.curves.items()},
            "mean_cost_nanousd": {model: round(cost.mean_nanousd) for model, cost in self.costs.items()},
            "asked": self.asked,
            "spent_nanousd": self.spent_nanousd,
            "lacking_logprobs": sorted(self.lacking),
        }


@dataclass(frozen=True, slots=True)
class Tried:
    """One answered attempt, as the keeper learns it; `correct` is its label, None = nobody knows.

    `nanousd` None = unknown price; `judge_nanousd` is what having it judged cost, None = nobody judged it or its price
    is unknown. `confidence` None beside a measure = the upstream gave no log-probabilities.
    """

    model: str
    nanousd: int | None
    usage: Usage | None
    confidence: float | None = None
    measure: str = ""
    correct: float | None = None
    judge_nanousd: int | None = None


@dataclass(frozen=True, slots=True)
class Past:
    """One finished request: by which policy, what it cost in all, and its answered attempts."""

    id: str
    spent_nanousd: int
    tried: tuple[Tried, ...]
    policy: str = ""


def past_of(run: Run, labels: Mapping[str, float], *, policy: str, learn: bool = True) -> Past:
    """A finished run as the keeper learns it.

    Args:
        run: with its attempts.
        labels: model -> correctness.
        policy: whose run it was.
        learn: False where the caller wants nothing learnt: then only the money counts.
    """
    spent = sum(attempt.cost_nanousd for attempt in run.attempts)
    answered = [attempt for attempt in run.attempts if attempt.answer is not None] if learn else []
    return Past(run.id, spent, tuple(_tried(attempt, labels) for attempt in answered), policy)


def total_of(costs: Sequence[int | None]) -> int | None:
    """What some calls cost together; None where the price of one is unknown."""
    return None if None in costs else sum(cost or 0 for cost in costs)


def _tried(attempt: Attempt, labels: Mapping[str, float]) -> Tried:
    costs = [call.cost_nanousd for call in attempt.calls]
    judging = [call.cost_nanousd for call in attempt.judge_calls]
    return Tried(
        model=attempt.model,
        nanousd=total_of(costs),
        usage=attempt.calls[-1].usage,
        confidence=attempt.confidence,
        measure=attempt.confidence_by,
        correct=labels.get(attempt.model),
        judge_nanousd=total_of(judging) if judging else None,
    )


class _Margins:
    """One series: the latest `WINDOW` margins, in order of arrival and sorted, and those of them with labels."""

    def __init__(self) -> None:
        self._arrived: deque[float] = deque()
        self._sorted: list[float] = []
        self._frozen: tuple[float, ...] | None = ()
        self._labelled: OrderedDict[str, Labelled] = OrderedDict()
        self._curve: Curve | None = None

    def add(self, margin: float) -> None:
        """Take one more; the oldest goes where there are too many."""
        self._arrived.append(margin)
        insort(self._sorted, margin)
        if len(self._arrived) > WINDOW:
            del self._sorted[bisect_left(self._sorted, self._arrived.popleft())]
        self._frozen = None

    def label(self, request_id: str, margin: float, correct: float) -> None:
        """Learn how right the answer of that margin was; a later label of the same request replaces it."""
        self._labelled[request_id] = (margin, correct)
        while len(self._labelled) > WINDOW:
            self._labelled.popitem(last=False)

    def frozen(self) -> tuple[float, ...]:
        """All of them, sorted; the same tuple until another arrives."""
        if self._frozen is None:
            self._frozen = tuple(self._sorted)
        return self._frozen

    def curve(self, fit: Callable[[Sequence[Labelled], Sequence[float]], Curve]) -> Curve | None:
        """P(wrong) by margin; None while too few are labelled."""
        known = len(self._labelled)
        if known < MIN_LABELLED:
            return None
        if self._curve is None or known >= self._curve.labelled * _REFIT_GROWTH:
            self._curve = fit(list(self._labelled.values()), self._sorted)
        return self._curve


class _Scope:
    """What one team (or everyone) has seen."""

    def __init__(self) -> None:
        self.series: dict[Series, _Margins] = {}
        self.costs: dict[str, MeanCost] = {}
        self.judged: dict[str, MeanCost] = {}
        self.both: dict[tuple[str, str], tuple[int, int]] = {}
        self.lacking: set[str] = set()
        self.asked = 0
        self.spent_nanousd = 0
        self.recent: OrderedDict[str, list[tuple[Series, float]]] = OrderedDict()

    def count(self, spent_nanousd: int, horizon: int) -> None:
        """One more request on the pot; a new pot begins after `horizon` of them."""
        self.asked, self.spent_nanousd = self.asked + 1, self.spent_nanousd + spent_nanousd
        if self.asked >= horizon:
            self.asked, self.spent_nanousd = 0, 0


class MarginKeeper:
    """Finished runs in, `MarginState` out; one per process (or replayed policy), scopes apart.

    Args:
        fit: makes a curve of labelled margins (`calibration.fit_curve`); None = nobody wants curves.
        given: curves that were fitted elsewhere; they count instead of what is learnt here.
    """

    def __init__(
        self,
        fit: Callable[[Sequence[Labelled], Sequence[float]], Curve] | None = None,
        given: Mapping[Series, Curve] | None = None,
    ) -> None:
        self._fit = fit
        self._given = given or {}
        self._scopes: dict[str, _Scope] = {}

    def fresh(self) -> MarginKeeper:
        """An empty one of the same kind."""
        return MarginKeeper(self._fit, self._given)

    @property
    def lacking(self) -> frozenset[str]:
        """The models that were asked for log-probabilities and gave none, in any scope."""
        return frozenset(model for scope in self._scopes.values() for model in scope.lacking)

    def state(self, scope: str) -> MarginState:
        """What is known now; later arrivals do not change it."""
        known = self._scopes.get(scope)
        if known is None:
            return MarginState(curves=self._given, lacking=self.lacking)
        return MarginState(
            margins={series: margins.frozen() for series, margins in known.series.items()},
            curves={**self._curves(known), **self._given},
            costs=dict(known.costs),
            judged=dict(known.judged),
            both=dict(known.both),
            asked=known.asked,
            spent_nanousd=known.spent_nanousd,
            lacking=self.lacking,
        )

    def learn(self, past: Past, scope: str, horizon: int | None) -> None:
        """Take over one finished request of a policy whose pot runs over `horizon` requests; None = it has no pot."""
        known = self._scopes.setdefault(scope, _Scope())
        if horizon is not None:
            known.count(past.spent_nanousd, horizon)
        for tried in past.tried:
            self._take(known, past.id, tried)
        for first, second in pairwise(past.tried):
            _pair(known.both, first, second)

    def relabel(self, request_id: str, labels: Mapping[str, float], scope: str) -> None:
        """Somebody said how right the answers to an earlier request were; model -> correctness."""
        known = self._scopes.get(scope)
        for series, margin in known.recent.get(request_id, ()) if known else ():
            if known and series[0] in labels:
                known.series[series].label(request_id, margin, labels[series[0]])

    def _take(self, known: _Scope, request_id: str, tried: Tried) -> None:
        known.costs[tried.model] = _more(known.costs.get(tried.model, MeanCost()), tried)
        if tried.judge_nanousd is not None:
            sofar = known.judged.get(tried.model, MeanCost())
            known.judged[tried.model] = MeanCost(sofar.answers + 1, sofar.nanousd + tried.judge_nanousd)
        if not tried.measure:
            return
        if tried.confidence is None:
            known.lacking.add(tried.model)
            return
        known.lacking.discard(tried.model)
        series = (tried.model, tried.measure)
        margins = known.series.setdefault(series, _Margins())
        margins.add(tried.confidence)
        if tried.correct is not None:
            margins.label(request_id, tried.confidence, tried.correct)
        known.recent.setdefault(request_id, []).append((series, tried.confidence))
        while len(known.recent) > WINDOW:
            known.recent.popitem(last=False)

    def _curves(self, known: _Scope) -> dict[Series, Curve]:
        if self._fit is None:
            return {}
        fitted = {series: margins.curve(self._fit) for series, margins in known.series.items()}
        return {series: curve for series, curve in fitted.items() if curve is not None}


def _pair(both: dict[tuple[str, str], tuple[int, int]], first: Tried, second: Tried) -> None:
    """What two models were paid for the same request, summed up."""
    if first.model == second.model or first.nanousd is None or second.nanousd is None:
        return
    paid_first, paid_second = both.get((first.model, second.model), (0, 0))
    both[first.model, second.model] = (paid_first + first.nanousd, paid_second + second.nanousd)


def _more(cost: MeanCost, tried: Tried) -> MeanCost:
    if tried.nanousd is None or tried.usage is None:
        return cost
    return MeanCost(
        cost.answers + 1,
        cost.nanousd + tried.nanousd,
        cost.prompt_tokens + tried.usage.prompt_tokens,
        cost.completion_tokens + tried.usage.completion_tokens,
    )
