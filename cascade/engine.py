"""One request from evidence to record: what every edge (HTTP, replay over HTTP, command line) goes through.

The law of this file: the order of things. Evidence first, then the run, then labels, then the store, then the index,
and only then may the last byte of the answer leave; what is judged afterwards is learnt after it. It speaks to ports
alone.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import structlog

from cascade.baseline import baseline_nanousd
from cascade.eligible import eligible
from cascade.embeddings.questions import QuestionPayer
from cascade.failures import failure
from cascade.knowledge import Knowledge
from cascade.modes import OPTIMISTIC_FROM, judging, owes_a_verdict
from cascade.nearby import nearby
from cascade.policies.always import ALWAYS
from cascade.purse import Purse
from cascade.quotes import DEFAULT_OUTPUT_TOKENS, Size, check_boundable, least_nanousd
from cascade.runner import Ride
from router.domain import Afterwards, Deliver, Outcome, Run, StreamMode, Verdict
from router.errors import GearboxError
from router.labels import by_model, labels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cascade.brake import Brake
    from cascade.cached import ResponseCache
    from cascade.embeddings.questions import PaidQuestions
    from cascade.policies.policy import Policy
    from cascade.runner import Runner
    from router.conversations import Conversations
    from router.domain import Call, Conversation, Label, Nearby, Request, Tier
    from router.ports import History, Ledger, Listener, Observer
    from router.starter import Start, Starter

_log = structlog.get_logger("gearbox.engine")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request that is ready to run: its policy, its first `Run`, the question's vector, and what that cost."""

    policy: Policy
    run: Run
    start: Start
    paid: tuple[Call, ...] = ()


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
        conversations: Conversations | None = None,
        judge_fails_open: bool = True,
        ledger: Ledger | None = None,
        default_output_tokens: int = DEFAULT_OUTPUT_TOKENS,
        cache: ResponseCache | None = None,
        optimistic_from: float = OPTIMISTIC_FROM,
        questions: PaidQuestions | None = None,
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
            conversations: where each conversation stands; None = every request is a first turn.
            judge_fails_open: see `Run`.
            ledger: counts what callers with budgets spend; None = budgets are not kept here.
            default_output_tokens: see `Means`.
            cache: of responses; None = off.
            optimistic_from: see `modes.judging`.
            questions: who is paid for embedding questions; None = nobody.
            clock: seconds, monotonic.
        """
        self._ladder = tuple(ladder)
        self._policies = policies
        self._starter = starter
        self._runner = runner
        self._history = history
        self._observers = tuple(observers)
        self._knowledge = knowledge or Knowledge.of(())
        self._conversations = conversations
        self._judge_fails_open = judge_fails_open
        self._ledger = ledger
        self._default_output_tokens = default_output_tokens
        self._cache = cache
        self._optimistic_from = optimistic_from
        self._questions = questions
        self._clock = clock

    async def prepare(self, request: Request, paying: Purse | None = None) -> Prepared:
        """Everything up to the first decision; without a purse nothing is spent (a dry run stops here).

        Raises:
            RequestError: the request cannot be served as it is, and why.
        """
        policy = self._policies(request.policy)
        rungs = eligible(self._ladder, request)
        purse = paying or self._purse(request)
        if purse.capped or purse.budgeted:
            check_boundable(request.body, "x-gearbox-budget-usd" if purse.capped else "this key's budget")
        payer = self._payer(request, rungs, paying)
        start = await self._starter.evidence(request, policy.neighbours, None if payer is None else payer.embed)
        scope = self._starter.scope_of(request.caller.team)
        run = Run(
            ladder=rungs,
            top=self._ladder[-1].name,
            id=request.id,
            evidence=replace(
                self._knowledge.enriched(start.evidence, policy, start.vector, scope, request.body.get("messages")),
                conversation=await self._conversation(request),
            ),
            checks=self._runner.checks(request),
            judge_fails_open=self._judge_fails_open,
            learns=request.wishes.store,
            quality=request.wishes.quality,
        )
        run = self._runner.budgeted(run, request, purse)
        when = judging(request.wishes.stream_mode, policy, run, self._optimistic_from)
        return Prepared(policy, replace(run, judging=when), start, () if payer is None else payer.calls)

    async def handle(self, request: Request, listener: Listener, brake: Brake) -> Outcome:
        """Serve one request; a failure comes back inside the outcome, recorded like everything else.

        Raises:
            RequestError: nothing was asked and nothing recorded; the request itself must be mended.
            StoreUnavailable: the outcome could not be made durable.
        """
        started = self._clock()
        key, found = await self._cached(request, started)
        if found is not None:
            await self._record(found, None)
            return found
        purse = self._purse(request)
        prepared = await self.prepare(request, purse)
        ride = await self._ride(request, prepared, purse, brake, listener)
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
            error=ride.fault or failure(request, ride.run, ride.delivered),
            client="disconnected" if brake.client_gone else "answered",
            soft_reached=purse.soft_reached,
            denied=purse.denied,
            nearby=_nearby(prepared, ride.run),
            extra_calls=prepared.paid,
        )
        outcome = self._judged_by_rules(outcome)
        await self._record(outcome, prepared.policy)
        if self._cache is not None and key is not None:
            await self._cache.put(key, outcome)
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

    def owes_a_verdict(self, outcome: Outcome) -> bool:
        """Whether `afterwards` has something to do. Where nothing may be learnt, nothing is judged for learning."""
        wanted = outcome.request.wishes.store and outcome.client == "answered" and outcome.error is None
        return wanted and owes_a_verdict(outcome.run, outcome.delivered)

    async def afterwards(self, outcome: Outcome, brake: Brake) -> Afterwards | None:
        """Judge an answer that was served unjudged, and learn from the verdict; None where no judge was asked.

        What it costs is a late cost: inside the request's cap, and told in no header and no body.

        Raises:
            StoreUnavailable: the verdict could not be made durable.
        """
        rung = outcome.delivered.attempt
        if rung is None or not self.owes_a_verdict(outcome) or brake.stop is not None:
            return None
        request, purse = outcome.request, self._purse(outcome.request)
        purse.spent_nanousd = outcome.cost_nanousd or 0
        judged = await self._runner.late(request, outcome.run, rung, purse, brake)
        if judged is outcome.run:
            return None
        attempt, calls = judged.attempts[rung], outcome.run.attempts[rung].judge_calls
        learnt = () if attempt.verdict is Verdict.UNJUDGED else labels(judged, outcome.delivered, direct=False)
        late = Afterwards(request, rung, attempt, attempt.judge_calls[len(calls) :], learnt)
        await self._record_late(late)
        return late

    def joined(self, outcome: Outcome) -> None:
        """A client was told an outcome that another request's run has brought about and recorded."""
        self._show(lambda observer: observer.observe_joined(outcome), outcome.request.id)

    def found_wrong(self, request_id: str) -> None:
        """Somebody who knows says that a served answer is wrong: its conversation need not stay where it is."""
        if self._conversations is not None:
            self._conversations.rejected(request_id)

    async def _ride(self, request: Request, prepared: Prepared, purse: Purse, brake: Brake, listener: Listener) -> Ride:
        """The run; where it could not even begin and its question was paid for, that must have its record."""
        try:
            return await self._runner.run(request, prepared.policy, prepared.run, purse, brake, listener)
        except GearboxError as error:
            if not prepared.paid:
                raise
            return Ride(prepared.run, Deliver(None, error.message), 0.0, error)

    def _payer(self, request: Request, rungs: Sequence[Tier], purse: Purse | None) -> QuestionPayer | None:
        """Who pays for the question's embedding; None where it costs nothing."""
        if self._questions is None:
            return None
        size = Size.of(request.body)
        needs = [need for need in (least_nanousd(size, tier) for tier in rungs) if need is not None]
        return QuestionPayer(self._questions, purse, min(needs, default=0))

    async def _conversation(self, request: Request) -> Conversation | None:
        return None if self._conversations is None else await self._conversations.find(request)

    async def _cached(self, request: Request, started: float) -> tuple[str | None, Outcome | None]:
        """The request's key in the response cache, and what is there."""
        if self._cache is None:
            return None, None
        rungs = eligible(self._ladder, request)
        key = self._cache.key(request, self._policies(request.policy).settings)
        if key is None:
            return None, None
        return key, await self._cache.get(key, request, rungs, self._clock() - started)

    def purse(self, request: Request) -> Purse:
        """The money that this request may spend; for paid calls that no run makes (embeddings)."""
        return self._purse(request)

    def _purse(self, request: Request) -> Purse:
        budgets = () if self._ledger is None else request.caller.budgets
        return Purse(
            request.wishes.cap_nanousd,
            self._ledger,
            budgets,
            default_output_tokens=self._default_output_tokens,
            clock=self._clock,
        )

    def _judged_by_rules(self, outcome: Outcome) -> Outcome:
        """Labels and baseline, which follow from the run alone; a fault in them costs nobody their answer."""
        request, run = outcome.request, outcome.run
        direct = request.policy.startswith(ALWAYS) or request.wishes.stream_mode is StreamMode.DIRECT
        try:
            learnt = labels(run, outcome.delivered, direct=direct) if request.wishes.store else ()
            baseline = baseline_nanousd(run, outcome.served, self._ladder[-1])
        except Exception:  # noqa: BLE001 - logged in full; the money is spent, and its row comes first
            _log.exception("a fault of ours", request=request.id)
            return outcome
        return replace(outcome, labels=learnt, baseline_nanousd=baseline)

    async def _record(self, outcome: Outcome, policy: Policy | None) -> None:
        await self._history.record(outcome)
        if policy is not None:
            scope, wanted = self._starter.scope_of(outcome.request.caller.team), outcome.request.wishes.store
            self._knowledge.learn(outcome.run, policy, by_model(outcome.labels), scope, learn=wanted)
        await self._starter.learn(outcome.request.id, outcome.vector, outcome.labels, outcome.request)
        if self._conversations is not None:
            self._conversations.told(outcome)
        self._show(lambda observer: observer.observe(outcome), outcome.request.id)

    async def _record_late(self, late: Afterwards) -> None:
        request = late.request
        if late.attempt.verdict is Verdict.INVALID:
            self.found_wrong(request.id)  # first: its next turn may come before the store has written it
        in_force = await self._history.late(late)
        if in_force:
            await self.relearn(request.id, in_force, request.caller.team)
        self._show(lambda observer: observer.observe_late(late), request.id)

    def _show(self, note: Callable[[Observer], None], request_id: str) -> None:
        for observer in self._observers:
            try:
                note(observer)
            except Exception:  # noqa: BLE001 - an observer's failure is never the caller's; it is logged in full
                _log.exception("an observer failed", observer=type(observer).__name__, request=request_id)


def _nearby(prepared: Prepared, finished: Run) -> tuple[Nearby, ...]:
    """What neighbouring settings would have done. The answer is paid: a fault here must not keep it from its record."""
    try:
        return nearby(prepared.policy, prepared.run, finished)
    except Exception:  # noqa: BLE001 - an explanation's failure is never the caller's; it is logged in full
        _log.exception("the neighbouring settings could not be told", request=finished.id)
        return ()
