"""What happened to one query under one policy, with what only the scorer may know beside it.

The law of this file: frozen records over the words of the domain; pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.domain import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cascade.recordings import Query, Recording
    from router.domain import Attempt, Call, Deliver, Run


@dataclass(frozen=True, slots=True)
class Story:
    """One query's run to its end; `run` None = a partial recording lacked what the policy asked for: `lacking`."""

    query: Query
    run: Run | None = None
    delivered: Deliver | None = None
    lacking: str = ""

    @property
    def followed(self) -> bool:
        """Whether everything that the policy asked for was recorded."""
        return self.run is not None

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """The attempts in order; none where the policy could not be followed."""
        return self.run.attempts if self.run else ()

    @property
    def served(self) -> Attempt | None:
        """The attempt whose answer was served; None = none was."""
        if self.delivered is None or self.delivered.attempt is None:
            return None
        return self.attempts[self.delivered.attempt]

    @property
    def generate_nanousd(self) -> int:
        """What all answers cost, a confidence that was used included."""
        return _cost(call for attempt in self.attempts for call in attempt.calls)

    @property
    def judge_nanousd(self) -> int:
        """What all verdicts cost."""
        return _cost(call for attempt in self.attempts for call in attempt.judge_calls)

    def correct(self, recording: Recording) -> int | None:
        """Whether the served answer is right, 1 or 0 (nothing served: 0); None = unknown."""
        if not self.followed:
            return None
        served = self.served
        return 0 if served is None else recording.answers[served.model][self.query.id].correct

    def judged(self, recording: Recording) -> Iterator[tuple[bool, bool]]:
        """(accepted, right) of each answer that a judge saw and whose grade is known."""
        for attempt in self.attempts:
            grade = recording.answers[attempt.model][self.query.id].correct
            if attempt.judge_calls and grade is not None:
                yield attempt.verdict is Verdict.VALID, bool(grade)

    def latency_s(self, recording: Recording) -> float | None:
        """All recorded latencies after another; None where one was not recorded."""
        waits: list[float | None] = []
        for attempt in self.attempts:
            answer = recording.answers[attempt.model][self.query.id]
            waits.append(answer.latency_s)
            if attempt.judge_calls:
                waits.append(answer.verdict.latency_s if answer.verdict and recording.judge is None else None)
        known = [wait for wait in waits if wait is not None]
        return sum(known) if len(known) == len(waits) else None


def _cost(calls: Iterator[Call]) -> int:
    return sum(call.cost_nanousd or 0 for call in calls)
