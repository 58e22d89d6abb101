"""One request from evidence to record: what every edge (HTTP, replay over HTTP, command line) goes through.

The law of this file: the order of things. Evidence first, then the run, then labels, then the store, then the index,
and only then may the last byte of the answer leave. It speaks to ports alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from cascade.always import ALWAYS
from cascade.baseline import baseline_nanousd
from cascade.eligible import eligible
from cascade.failures import failure
from cascade.knowledge import Knowledge
from cascade.purse import Purse
from cascade.quotes import check_boundable
from router.domain import Judging, Outcome, Run, StreamMode
from router.labels import by_model, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cascade.brake import Brake
    from cascade.policy import Policy
    from cascade.runner import Runner
    from router.domain import Label, Request, Tier
    from router.ports import History, Listener, Observer
    from router.starter import Start, Starter

_log = structlog.get_logger("gearbox.engine")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to run: its policy, its first `Run`, and the question's vector."""

    policy: Policy
    run: Run
    start: Start


class Engine:
    """Handles requests; made once by the composition root."""

    def __init__(
        self,
        ladder: Sequence[Tier],
        policies: Callable[[str], Policy],
        starter: Starter,
        runner: Runner,
        history: History,
        observers: Sequence[Observer],
        *,
        knowledge: Knowledge | None = None,
        judge_fails_open: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Build the engine.

        Args:
            ladder: all tiers, cheapest first.
            policies: a policy's name -> the policy with its configured settings.
            starter: request -> evidence, and where outcomes are learnt.
            runner: the loop.
            history: the store.
            observers: metrics and logs.
            knowledge: margins and skills; None = no policy wants any.
            judge_fails_open: see `Run`.
            clock: seconds, monotonic.
        """
        self._ladder = tuple(ladder)
        self._policies = policies
        self._starter = starter
        self._runner = runner
        self._history = history
        self._observers = tuple(observers)
        self._knowledge = knowledge or Knowledge.of(())
        self._judge_fails_open = judge_fails_open
        self._clock = clock

    async def prepare(self, request: Request) -> Prepared:
        """Everything up to the first decision; nothing is spent (a dry run stops here).

        Raises:
            RequestError: the request cannot be served as it is, and why.
        """
        policy = self._policies(request.policy)
        rungs = eligible(self._ladder, request)
        if request.wishes.cap_nanousd is not None:
            check_boundable(request.body)
        start = await self._starter.evidence(request, policy.neighbours)
        scope = self._starter.scope_of(request.caller.team)
        run = Run(
            ladder=rungs,
            top=self._ladder[-1].name,
            id=request.id,
            evidence=self._knowledge.enriched(start.evidence, policy, start.vector, scope),
            judging=Judging.NEVER if request.wishes.stream_mode is StreamMode.DIRECT else Judging.BEFORE,
            judge_fails_open=self._judge_fails_open,
            quality=request.wishes.quality,
        )
        return Prepared(policy, self._runner.budgeted(run, request, Purse(request.wishes.cap_nanousd)), start)

    async def handle(self, request: Request, listener: Listener, brake: Brake) -> Outcome:
        """Serve one request; a failure comes back inside the outcome, recorded like everything else.

        Raises:
            RequestError: nothing was asked and nothing recorded; the request itself must be mended.
            StoreUnavailable: the outcome could not be made durable.
        """
        started = self._clock()
        prepared = await self.prepare(request)
        purse = Purse(request.wishes.cap_nanousd)
        ride = await self._runner.run(request, prepared.policy, prepared.run, purse, brake, listener)
        outcome = Outcome(
            request=request,
            run=ride.run,
            delivered=ride.delivered,
            settings=prepared.policy.settings,
            estimates=prepared.policy.estimates(prepared.run),
            labels=(),
            baseline_nanousd=None,
            started_at=request.received_at,
            latency_s=self._clock() - started,
            overhead_s=max(self._clock() - started - ride.waited_s, 0.0),
            vector=prepared.start.vector,
            embedding_model=self._starter.model,
            error=failure(request, ride.run, ride.delivered),
            client="disconnected" if brake.client_gone else "answered",
        )
        outcome = self._judged_by_rules(outcome)
        await self._record(outcome, prepared.policy)
        return outcome

    async def record(self, outcome: Outcome) -> None:
        """Store an outcome that no run made (embeddings), and show it to the observers.

        Raises:
            StoreUnavailable: it could not be made durable.
        """
        await self._record(outcome, None)

    async def relearn(self, request_id: str, labels: Sequence[Label], team: str) -> None:
        """Learn from feedback; `team` is the team that asked the question."""
        await self._starter.relearn(request_id, labels, team)
        self._knowledge.relabel(request_id, by_model(labels), self._starter.scope_of(team))

    def _judged_by_rules(self, outcome: Outcome) -> Outcome:
        """Labels and baseline, which follow from the run alone."""
        request, run = outcome.request, outcome.run
        direct = request.policy.startswith(ALWAYS) or request.wishes.stream_mode is StreamMode.DIRECT
        learnt = labels(run, outcome.delivered, direct=direct) if request.wishes.store else ()
        return replace(outcome, labels=learnt, baseline_nanousd=baseline_nanousd(run, outcome.served, self._ladder[-1]))

    async def _record(self, outcome: Outcome, policy: Policy | None) -> None:
        await self._history.record(outcome)
        if policy is not None:
            scope, wanted = self._starter.scope_of(outcome.request.caller.team), outcome.request.wishes.store
            self._knowledge.learn(outcome.run, policy, by_model(outcome.labels), scope, learn=wanted)
        await self._starter.learn(outcome.request.id, outcome.vector, outcome.labels, outcome.request)
        for observer in self._observers:
            try:
                observer.observe(outcome)
            except Exception:  # noqa: BLE001 - an observer's failure is never the caller's; it is logged in full
                _log.exception("an observer failed", observer=type(observer).__name__, request=outcome.request.id)
