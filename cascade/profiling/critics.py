"""Has a critic tier look at samples, within a budget; what it found is in the journal.

The law of this file: every call is reserved before it is made, so that the budget is never overrun; a reply that is
no finding is asked for once more and then counted as unusable.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cascade.brake import Brake
from cascade.caller import Errand, Unpaid
from cascade.profiling.critic import BadFinding, critic_body, read_finding
from router.domain import Answer, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cascade.caller import Caller
    from cascade.profiling.findings import Finding, Sample
    from cascade.profiling.journal import Journal
    from cascade.purse import Purse
    from router.domain import Tier

#: Calls under way at once.
PARALLEL = 8
#: A reply that is no finding is asked for so often in all.
_TRIES = 2
#: After so many failures of the upstream one after another the profiling stops; it can be resumed.
_PATIENCE = 5


@dataclass(slots=True)
class Progress:
    """How far it is: samples in all, done, unusable replies, upstream failures in a row, and why it stopped."""

    total: int
    done: int = 0
    unusable: int = 0
    failures: int = 0
    stopped: str = ""


class CriticRound:
    """One round of criticism.

    Args:
        caller: makes the paid calls.
        tier: the critic.
        purse: the budget, what the journal holds already spent.
        journal: where findings go.
    """

    def __init__(self, caller: Caller, tier: Tier, purse: Purse, journal: Journal) -> None:
        self._caller = caller
        self._tier = tier
        self._purse = purse
        self._journal = journal

    async def run(self, samples: Sequence[Sample], tell: Callable[[Progress], None]) -> Progress:
        """Look at every sample the journal does not know; `tell` hears of each."""
        progress = Progress(len(samples))
        waiting: asyncio.Queue[Sample] = asyncio.Queue()
        for sample in samples:
            if self._journal.knows(sample):
                progress.done += 1
            else:
                waiting.put_nowait(sample)
        tell(progress)
        async with asyncio.TaskGroup() as group:
            for _ in range(PARALLEL):
                group.create_task(self._work(waiting, progress, tell))
        return progress

    async def _work(self, waiting: asyncio.Queue[Sample], progress: Progress, tell: Callable[[Progress], None]) -> None:
        while not progress.stopped and not waiting.empty():
            await self._look(waiting.get_nowait(), progress)
            tell(progress)

    async def _look(self, sample: Sample, progress: Progress) -> None:
        cost = 0
        wrong = ""
        for _ in range(_TRIES):
            errand = Errand(self._tier, critic_body(sample), Purpose.JUDGE, Brake(), hint="generate")
            spoken = await self._caller.call(errand, self._purse)
            cost += sum(call.cost_nanousd or 0 for call in spoken.calls)
            if spoken.reply is None:
                _failed(progress, spoken.error)
                return
            progress.failures = 0
            finding, wrong = _read(sample, Answer(spoken.reply.body).text)
            if finding is not None:
                self._journal.add(sample, finding, cost)
                progress.done += 1
                return
        self._journal.add(sample, None, cost, wrong)
        progress.done += 1
        progress.unusable += 1


def _read(sample: Sample, reply: str) -> tuple[Finding | None, str]:
    try:
        return read_finding(sample, reply), ""
    except BadFinding as error:
        return None, str(error)


def _failed(progress: Progress, error: Exception | None) -> None:
    if isinstance(error, Unpaid):
        progress.stopped = "the budget is spent"
        return
    progress.failures += 1
    if progress.failures >= _PATIENCE:
        progress.stopped = f"the critic failed {_PATIENCE} times in a row: {error}"
