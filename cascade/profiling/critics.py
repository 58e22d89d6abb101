"""Has a critic tier look at samples, within a budget; what it found is in the journal.

The law of this file: every call is reserved before it is made, so that the budget is never overrun; a reply that is
no finding is asked for once more, with what was wrong with it, and then counted as unusable.
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
    """How far it is: samples in all, done, unusable replies, upstream failures in a row and in all, why it stopped."""

    total: int
    done: int = 0
    unusable: int = 0
    failures: int = 0
    missed: int = 0
    stopped: str = ""


class CriticRound:
    """One round of criticism.

    Args:
        caller: makes the paid calls.
        tier: the critic.
        purse: the budget (`Journal.purse`).
        journal: where findings go.
    """

    def __init__(self, caller: Caller, tier: Tier, purse: Purse, journal: Journal) -> None:
        self._caller = caller
        self._tier = tier
        self._purse = purse
        self._journal = journal
        self._busy = 0

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
            sample = waiting.get_nowait()
            self._busy += 1
            try:
                error = await self._look(sample, progress)
            finally:
                self._busy -= 1
            if isinstance(error, Unpaid):
                waiting.put_nowait(sample)
                if self._busy:  # what the others have reserved comes back: they go on with this one
                    return
                progress.stopped = "the budget is spent"
            elif error is not None:
                _failed(progress, error)
            tell(progress)

    async def _look(self, sample: Sample, progress: Progress) -> Exception | None:
        """Ask, and once more where the reply was unusable; the error where no reply came at all."""
        unusable: tuple[str, str] | None = None
        failed: Exception | None = None
        for _ in range(_TRIES):
            errand = Errand(self._tier, critic_body(sample, unusable), Purpose.JUDGE, Brake(), hint="generate")
            spoken = await self._caller.call(errand, self._purse)
            if spoken.reply is None:
                failed = spoken.error
                break
            progress.failures = 0
            answer = Answer(spoken.reply.body)
            finding, wrong = _read(sample, answer)
            if finding is not None:
                self._journal.add(sample, finding)
                progress.done += 1
                return None
            unusable = answer.text, wrong
        if unusable is None:
            return failed
        # What was paid for is not asked again, even where the money or the critic was gone for another try.
        self._journal.add(sample, None, unusable[1])
        progress.done += 1
        progress.unusable += 1
        return None


def _read(sample: Sample, answer: Answer) -> tuple[Finding | None, str]:
    """The finding, or what is wrong with the reply."""
    if refusal := answer.message.get("refusal"):
        return None, f"the critic refused ({str(refusal)[:200]})"
    try:
        return read_finding(sample, answer.text), ""
    except BadFinding as error:
        cut = ", because the reply was cut at its length limit" if answer.finish_reason == "length" else ""
        return None, f"{error}{cut}"


def _failed(progress: Progress, error: Exception) -> None:
    progress.failures += 1
    progress.missed += 1
    if progress.failures >= _PATIENCE:
        progress.stopped = f"the critic failed {_PATIENCE} times in a row: {error}"
