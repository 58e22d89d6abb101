"""Why `auto` chose a step, in words: the chances and prices that it weighed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.policies.auto_plan import Move
from cascade.policies.policy import failed_words
from router.domain import Judging
from router.pricing import usd_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cascade.policies.auto_plan import Option
    from router.domain import Run


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one decision.

    `options` are the moves there were, the chosen one first; `worth_nanousd` is what a right answer is worth here.
    """

    run: Run
    options: Sequence[Option]
    worth_nanousd: float

    @property
    def _best(self) -> Option:
        return self.options[0]

    @property
    def _tier(self) -> str:
        return self.run.ladder[self._best.rung].name

    def first(self) -> str:
        """Why this tier is asked first."""
        best = (
            f"{self._tier} is the best first call: P(right) {self._best.p_right:.2f} for about {_usd(self._best.price)}"
        )
        if self.run.judging is not Judging.BEFORE or len(self.options) == 1:
            return best
        return f"{best}, {self._worth()}; whatever it says, dearer calls can follow"

    def next(self) -> str:
        """Why another tier is asked."""
        served = next((option for option in self.options if option.move is Move.SERVE), None)
        known = "the best answer so far is right with P"
        now = failed_words(self.run.attempts[-1]) if served is None else f"{known} {served.p_right:.2f}"
        other = f"{self._tier} (P {self._best.p_right:.2f} on its own)"
        return f"{now}; {other} is worth more than the {_usd(self._best.price)} it costs, {self._worth()}"

    def judge(self) -> str:
        """Why a judge is paid."""
        known = f"{self._tier}'s answer is right with P {self._best.p_right:.2f}"
        return f"{known}; a verdict is worth more than the {_usd(self._best.price)} it costs, {self._worth()}"

    def serve(self) -> str:
        """Why nothing more is paid."""
        known = f"{self._tier}'s answer is right with P {self._best.p_right:.2f}"
        if len(self.options) == 1:
            return f"{known}, and no other tier can be asked"
        other = self.options[1]
        what = f"{_VERBS[other.move]} {self.run.ladder[other.rung].name}{_OBJECTS[other.move]}"
        return f"{known}; {what} for {_usd(other.price)} would add less than it costs, {self._worth()}"

    def _worth(self) -> str:
        if self.run.quality is not None:
            return f"P {self.run.quality:.2f} being wanted"
        return f"a right answer being worth {_usd(self.worth_nanousd)}"


_VERBS = {Move.ASK: "asking", Move.JUDGE: "judging", Move.SERVE: "serving"}
_OBJECTS = {Move.ASK: "", Move.JUDGE: "'s answer", Move.SERVE: "'s answer"}


def _usd(nanousd: float) -> str:
    text = usd_text(round(nanousd))
    return f"{text.rstrip('0').rstrip('.')} USD"
