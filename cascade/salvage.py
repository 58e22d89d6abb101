"""What is kept of a run that a fault of ours has ended: every call that was paid.

The law of this file: pure, and no fault is mended here. Money that was spent has a row, whatever went wrong behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from router.domain import Attempt, Purpose, Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router.domain import Call, Run

WHY = "a fault of ours ended the run"


def salvaged(run: Run, made: Sequence[Call]) -> Run:
    """The run with the calls that none of its attempts holds yet.

    Args:
        run: as it was when the fault struck.
        made: every call that was made for it, in order.
    """
    known = {id(call) for attempt in run.attempts for call in (*attempt.calls, *attempt.judge_calls)}
    lost = tuple(call for call in made if id(call) not in known)
    if not lost:
        return run
    if lost[0].purpose is Purpose.JUDGE and run.attempts:
        last = run.attempts[-1]
        calls = (*last.judge_calls, *lost)
        return run.with_last(replace(last, judge_calls=calls, verdict_by=f"failed:{lost[-1].tier}", reason=WHY))
    return run.with_attempt(Attempt(lost[0].tier, WHY, calls=lost, verdict=Verdict.ERROR))
