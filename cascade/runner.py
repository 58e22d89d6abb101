"""The only loop: a policy decides, the runner acts, until an answer is delivered.

The law of this file: it is the only place where a decision becomes an effect. It knows no policy by name and no HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from cascade.modes import late_judge
from cascade.quotes import Size, least_nanousd
from cascade.salvage import WHY, salvaged
from router.domain import Ask, Budget, Deliver, Judge, Judging, Stop, Verdict
from router.errors import GearboxError, InternalFault

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cascade.brake import Brake
    from cascade.checks.examiner import Examiner
    from cascade.generator import Generator
    from cascade.judge import AnswerJudge
    from cascade.policies.policy import Policy
    from cascade.purse import Purse
    from router.domain import Check, Decision, Request, Run, Tier
    from router.ports import Listener


_log = structlog.get_logger("gearbox.runner")


@dataclass(frozen=True, slots=True)
class Ride:
    """A run that has come to its end; `waited_s` is the time spent on upstreams, back-off included.

    `fault` is what ended it early where that was a bug of ours; nothing is delivered then.
    """

    run: Run
    delivered: Deliver
    waited_s: float
    fault: GearboxError | None = None


class Runner:
    """Runs one request's cascade."""

    def __init__(
        self, tiers: Mapping[str, Tier], generator: Generator, judge: AnswerJudge, examiner: Examiner | None = None
    ) -> None:
        """Build it.

        Args:
            tiers: the full ladder by name; a judge need not be on the request's own ladder.
            generator: acts on `Ask`.
            judge: acts on `Judge`.
            examiner: the operator's verifiers; None = there are none.
        """
        self._tiers = tiers
        self._generator = generator
        self._judge = judge
        self._examiner = examiner

    def checks(self, request: Request) -> tuple[Check, ...]:
        """The operator's verifiers that will look at this request's answers."""
        return () if self._examiner is None else self._examiner.checks(request)

    async def run(
        self, request: Request, policy: Policy, run: Run, purse: Purse, brake: Brake, listener: Listener
    ) -> Ride:
        """Follow the policy to its end; what was tried and what is to be served.

        Raises:
            GearboxError: nothing was paid, and nothing can be.
        """
        waited_s = 0.0
        try:
            while True:
                # A budget that refused one call is not asked for a dearer one: the best so far is served.
                stop = brake.stop or (Stop.BUDGET if purse.denied else None)
                run = replace(self.budgeted(run, request, purse), stop=stop)
                decision: Decision = policy.decide(run)
                if isinstance(decision, Deliver):
                    return Ride(run, decision, waited_s)
                started, streamed = brake.clock(), False
                match decision:
                    case Ask():
                        run, streamed = await self._ask(run, request, decision, purse, brake, listener)
                    case Judge():
                        run = await self._have_judged(run, request, decision, purse, brake, listener)
                waited_s += brake.clock() - started
                if streamed:
                    return Ride(run, _what_the_client_saw(run, policy), waited_s)
        except Exception as error:  # not hidden: logged in full, and the client's error; what was paid must have a row
            if isinstance(error, GearboxError) and not purse.receipts:
                raise
            _log.exception("a fault of ours", request=request.id)
            fault = error if isinstance(error, GearboxError) else InternalFault(request.id)
            return Ride(salvaged(run, purse.receipts), Deliver(None, WHY), waited_s, fault)

    async def _ask(
        self, run: Run, request: Request, ask: Ask, purse: Purse, brake: Brake, listener: Listener
    ) -> tuple[Run, bool]:
        await listener.progress(f"asking {ask.tier}")
        attempt, streamed = await self._generator.ask(request, run.tier(ask.tier), ask, purse, listener, brake)
        run = run.with_attempt(attempt)
        # What was shown cannot be taken back and is not kept waiting; with judging off nobody looks at it at all.
        if run.judging is Judging.BEFORE:
            run = await self._examined(run, request, listener)
        return run, streamed

    async def _examined(self, run: Run, request: Request, listener: Listener | None = None) -> Run:
        """The last attempt after the operator's verifiers, where there are any and it has no verdict yet."""
        last = run.attempts[-1]
        if self._examiner is None or not run.checks or last.answer is None or last.verdict is not Verdict.UNJUDGED:
            return run
        if listener is not None:
            await listener.progress(f"verifying {last.tier}")
        return run.with_last(await self._examiner.examine(request, last))

    async def late(self, request: Request, run: Run, rung: int, purse: Purse, brake: Brake) -> Run:
        """The finished run with the served attempt judged after all; the same run where nobody could be asked.

        The operator's verifiers come first here, too, and may make the judge superfluous.
        """
        upto = await self._examined(replace(run, attempts=run.attempts[: rung + 1]), request)
        judge = late_judge(self.budgeted(upto, request, purse), rung)
        if judge is not None:
            try:
                judged = await self._judge.judge(request, upto.attempts[-1], self._tiers[judge.by], purse, brake)
                upto = upto.with_last(judged)
            except Exception:  # noqa: BLE001 - logged in full; what the judge was paid must have its row
                _log.exception("a fault of ours", request=request.id)
                upto = salvaged(upto, purse.receipts)
        if upto.attempts[-1] is run.attempts[rung]:
            return run
        return replace(run, attempts=(*upto.attempts, *run.attempts[rung + 1 :]))

    async def _have_judged(
        self, run: Run, request: Request, judge: Judge, purse: Purse, brake: Brake, listener: Listener
    ) -> Run:
        last = run.attempts[-1]
        await listener.progress(f"judging {last.tier}")
        return run.with_last(await self._judge.judge(request, last, self._tiers[judge.by], purse, brake))

    def budgeted(self, run: Run, request: Request, purse: Purse) -> Run:
        """The run with the money left and the worst case of each next step."""
        if not purse.capped:
            return replace(run, budget=Budget(spent_nanousd=purse.spent_nanousd))
        size = Size.of(request.body)
        # A tier without a price cannot be bounded, so no cap pays for it.
        unpayable = (purse.cap_nanousd or 0) + 1
        asks = {tier.name: least_nanousd(size, tier) for tier in run.ladder}
        judge = 0
        if run.attempts and run.attempts[-1].answer is not None:
            by = self._tiers[run.tier(run.attempts[-1].tier).judge]
            judge = self._judge.quote_nanousd(request, run.attempts[-1], by)
        budget = Budget(
            purse.cap_nanousd,
            purse.spent_nanousd,
            {name: unpayable if least is None else least for name, least in asks.items()},
            judge,
        )
        return replace(run, budget=budget)


def _what_the_client_saw(run: Run, policy: Policy) -> Deliver:
    """The end of a run whose last answer was streamed live: that answer, or its failure, and no other one.

    A second answer behind half of the first would be read as one text (wire.md: an error ends the stream).
    """
    last = len(run.attempts) - 1
    attempt = run.attempts[last]
    if attempt.answer is None:
        return Deliver(None, f"{attempt.tier} failed after its answer had begun to stream", Stop.UPSTREAM)
    decision = policy.decide(run)
    if isinstance(decision, Deliver) and decision.attempt == last:
        return decision
    return Deliver(last, f"{attempt.tier}'s answer was streamed live, so it is the one that is served")
