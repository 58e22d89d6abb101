"""When an answer is judged, as the request's stream mode wants it (wire.md, Streaming), and what is judged later.

The law of this file: pure. The mode says *when* judging happens, whether or not the client streams: a request without
`stream` is served as soon as its mode allows, too. A policy learns the mode as `run.judging`.

    hold ......... before the answer is served
    optimistic ... after it, for learning only
    direct ....... never; nor for a tier that the client names
    adaptive ..... after it where the first tier is likely enough to be right, else before
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from router.domain import Ask, Judge, Judging, StreamMode, Verdict

if TYPE_CHECKING:
    from cascade.policies.policy import Policy
    from router.domain import Deliver, Run

#: `stream.optimistic_from`: with the paper's numbers (k = lambda = 5) and a prior of .55 no estimate exceeds .78.
OPTIMISTIC_FROM = 0.75


def judging(mode: StreamMode, policy: Policy, run: Run, optimistic_from: float) -> Judging:
    """When this run's answers are judged.

    Args:
        mode: what the client asked for.
        policy: who routes.
        run: before its first step, judging not yet decided.
        optimistic_from: the least P(valid) of the first tier at which adaptive shows its answer at once; a policy
            that estimates none is held.
    """
    if mode is StreamMode.DIRECT or policy.name.startswith("always:"):
        return Judging.NEVER
    if mode is StreamMode.OPTIMISTIC:
        return Judging.AFTER
    if mode is StreamMode.ADAPTIVE:
        first = policy.decide(replace(run, judging=Judging.BEFORE))
        likely = isinstance(first, Ask) and first.p_valid is not None and first.p_valid >= optimistic_from
        return Judging.AFTER if likely else Judging.BEFORE
    return Judging.BEFORE


def owes_a_verdict(run: Run, delivered: Deliver) -> bool:
    """Whether the answer that was served is still to be judged: served unjudged, and judging was wanted afterwards.

    The full ladder's top is trusted without a judge. A run that was stopped starts no new paid call.
    """
    if run.judging is not Judging.AFTER or delivered.attempt is None or run.stop is not None:
        return False
    served = run.attempts[delivered.attempt]
    return served.verdict is Verdict.UNJUDGED and served.tier != run.top and not served.judge_failed


def late_judge(run: Run, rung: int) -> Judge | None:
    """Who judges the served answer afterwards; None where what is left of the cap does not pay for it."""
    served = run.attempts[rung]
    if served.verdict is not Verdict.UNJUDGED or not run.budget.pays_judge():
        return None
    by = run.tier(served.tier).judge
    return Judge(by, f"{by} judges {served.tier}'s answer after it was served, for learning only")
