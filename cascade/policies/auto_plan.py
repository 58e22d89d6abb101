"""What is worth doing next: every further call's value against its price, some steps ahead.

The law of this file: pure arithmetic over beliefs and expected prices (nano-dollars). It knows no run and no words.

The value of a state is the most that can be made of it: serve the best answer now, or pay for a call and go on from
whatever comes of it. Looking some steps ahead sees that a cheap answer is worth having for what a comparison with the
next one would tell; beyond that horizon only one more tier is considered. A judge's no is binding: a rejected answer is
not served, so a verdict that would be ignored is never paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cascade.policies.auto_belief import Belief

#: Values are compared to a millionth of a nano-dollar: the order of two calls that will both be made is a tie, and
#: must not hang on how sums were rounded.
_DIGITS = 6
#: Paid steps that are thought through: each more takes about four times as long, so fewer with many tiers to ask.
HORIZON, FAR_HORIZON = 2, 3
_FEW = 2


class Move(Enum):
    """What can be done."""

    SERVE = "serve"
    ASK = "ask"
    JUDGE = "judge"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer that was given: its tier's place, where the belief keeps it, and what may become of it.

    `group` None = it stands alone at `lone`; `refused` = it is not served while anything else can be.
    """

    rung: int
    group: int | None
    lone: int = 0
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One move: the tier's place it concerns, what it is worth in all and what it costs (nano-dollars), P(right)."""

    move: Move
    rung: int
    value: float
    price: float
    p_right: float


@dataclass(frozen=True, slots=True)
class State:
    """Where a request stands: what is believed, what was given, who can still be asked.

    `judgeable` is the place in `given` of the answer a judge could look at next.
    """

    belief: Belief
    given: tuple[Given, ...] = ()
    open: frozenset[int] = frozenset()
    judgeable: int | None = None
    comparable: bool = True


@dataclass(frozen=True, slots=True)
class Prices:
    """Expected prices in nano-dollars, by the tier's place: of its answer, and of having its answer judged."""

    ask: Sequence[float]
    judge: Sequence[float]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """How often a judge accepts right and wrong answers, 0..1."""

    accepts_right: float
    accepts_wrong: float


def horizon_of(state: State) -> int:
    """How many steps ahead are thought through from here."""
    return FAR_HORIZON if len(state.open) <= _FEW else HORIZON


class Planner:
    """Values states.

    Args:
        prices: what calls cost.
        worth: P(right) of a served answer -> its value in nano-dollars.
        verdicts: how good a judge is.
        waiting: for one call, as a share of what a right answer is worth; somebody sits there.
    """

    def __init__(
        self, prices: Prices, worth: Callable[[float], float], verdicts: Verdicts, waiting: float = 0.0
    ) -> None:
        self._prices = prices
        self._worth = worth
        self._ceiling = worth(1.0)
        self._waiting = waiting * self._ceiling
        self._verdicts = verdicts

    def options(self, state: State, horizon: int) -> list[Option]:
        """Every move there is, the most valuable first; on a tie serving, then the lowest tier. Empty = none."""
        found = [*self._serve(state), *self._asks(state, horizon), *self._judge(state, horizon)]
        return sorted(found, key=lambda option: -round(option.value, _DIGITS))

    def _serve(self, state: State) -> Iterator[Option]:
        served = likeliest(state)
        if served is not None:
            yield Option(Move.SERVE, served[1], self._worth(served[0]), 0.0, served[0])

    def _asks(self, state: State, horizon: int) -> Iterator[Option]:
        p_ask = state.belief.p_ask() if state.open else []
        for rung in sorted(state.open):
            value = self._ask_value(state, rung, horizon) if horizon > 0 else self._worth(p_ask[rung])
            price = self._prices.ask[rung]
            yield Option(Move.ASK, rung, value - price - self._waiting, price, p_ask[rung])

    def _judge(self, state: State, horizon: int) -> Iterator[Option]:
        if state.judgeable is None or not state.open or horizon <= 0:
            return
        one = state.given[state.judgeable]
        price = self._prices.judge[one.rung]
        value = self._judge_value(state, one, horizon) - price - self._waiting
        (chance,) = chances_of(state, [one])
        yield Option(Move.JUDGE, one.rung, value, price, chance)

    # --- values, in which nearly all time is spent

    def _value(self, state: State, horizon: int) -> float:
        """The best option's value."""
        served = likeliest(state)
        best = 0.0 if served is None else self._worth(served[0])
        if not state.open:
            return best
        if horizon <= 0:
            p_ask, worth, prices = state.belief.p_ask(), self._worth, self._prices.ask
            return max(best, *(worth(p_ask[rung]) - prices[rung] - self._waiting for rung in state.open))
        for rung in state.open:
            price = self._prices.ask[rung] + self._waiting
            if self._ceiling - price > best:  # even certainty would not be worth it
                best = max(best, self._ask_value(state, rung, horizon) - price)
        if state.judgeable is not None:
            one = state.given[state.judgeable]
            price = self._prices.judge[one.rung] + self._waiting
            if self._ceiling - price > best:
                best = max(best, self._judge_value(state, one, horizon) - price)
        return best

    def _ask_value(self, state: State, rung: int, horizon: int) -> float:
        """What can be made of whatever the tier may say, on average."""
        return _expected([(each.belief.likelihood, self._value(each, horizon - 1)) for each in came(state, rung)])

    def _judge_value(self, state: State, one: Given, horizon: int) -> float:
        """A yes is served; after a no the answer is not."""
        right, wrong = self._verdicts.accepts_right, self._verdicts.accepts_wrong
        yes, no = told(state, one, right, wrong), told(state, one, 1.0 - right, 1.0 - wrong)
        refused = Given(one.rung, one.group, one.lone, refused=True)
        given = tuple(refused if each is one else each for each in no.given)
        no = State(no.belief, given, no.open, None, no.comparable)
        (accepted,) = chances_of(yes, [one])
        served = self._worth(accepted)
        return _expected([(yes.belief.likelihood, served), (no.belief.likelihood, self._value(no, horizon - 1))])


def likeliest(state: State) -> tuple[float, int] | None:
    """P(right) of the answer to serve and its tier's place; of several that say the same the highest tier's."""
    chances = zip(chances_of(state, state.given), state.given, strict=True)
    return max(((chance, each.rung) for chance, each in chances if not each.refused), default=None)


def chances_of(state: State, given: Sequence[Given]) -> list[float]:
    """P(right) of each of these answers, 0..1."""
    groups, lone = state.belief.p_right()
    return [lone[each.lone] if each.group is None else groups[each.group] for each in given]


def came(state: State, rung: int) -> list[State]:
    """The states after a tier's answer, one for each thing it may say: as an earlier group, or something new."""
    groups: list[int | None] = [*range(state.belief.groups), None] if state.comparable else []
    if not groups:
        return [answered_alone(state, rung)]
    return [answered(state, rung, group) for group in groups]


def answered(state: State, rung: int, group: int | None) -> State:
    """A comparable answer came."""
    belief = state.belief.answered(rung, group)
    given = (*state.given, Given(rung, state.belief.groups if group is None else group))
    return State(belief, given, state.open - {rung}, len(given) - 1, state.comparable)


def answered_alone(state: State, rung: int) -> State:
    """An answer came that cannot be compared; so, presumably, cannot the next ones."""
    given = (*state.given, Given(rung, None, len(state.belief.lone)))
    belief = state.belief.answered_alone(rung)
    return State(belief, given, state.open - {rung}, len(given) - 1, comparable=False)


def told(state: State, one: Given, if_right: float, if_wrong: float) -> State:
    """Something was said of an answer; no judge looks at it (again)."""
    if one.group is None:
        belief = state.belief.told_alone(one.lone, if_right, if_wrong)
    else:
        belief = state.belief.told(one.group, if_right, if_wrong)
    return State(belief, state.given, state.open, None, state.comparable)


def _expected(outcomes: Sequence[tuple[float, float]]) -> float:
    """The mean of values by their likelihoods."""
    mass = sum(likelihood for likelihood, _ in outcomes)
    return sum(likelihood * value for likelihood, value in outcomes) / mass
