"""Prometheus (wire.md, Metrics): an `Observer` that counts outcomes.

The law of this file: counters hold whole nano-dollars and are divided once, at the scrape, so that they agree with SQL.
No user, key or prompt text is ever a label, and every label's values are ours: tiers and policies of the configuration,
words of the domain, names of our own errors. A name that a client or a vendor made up is never one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.samples import Sample

from app.edge.reports import outcome_word
from router.domain import CostSource, Purpose, Stop
from router.pricing import NANOUSD_PER_USD

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from router.domain import Afterwards, Attempt, Call, CheckResult, Outcome

#: Seconds; from 10 ms to 10 min.
_DURATIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
#: Seconds; the proxy's own time.
_OVERHEADS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_NANO = "_nanousd"
_NONE = "none"


class Metrics:
    """The counters of one process, or of all workers.

    Args:
        folder: where the workers of one server count together (`PROMETHEUS_MULTIPROC_DIR`); None = one process alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.registry = CollectorRegistry()
        self._folder = folder
        self._requests = self._counter(
            "requests", "Requests answered or failed, by the tier that answered", "policy", "tier", "outcome"
        )
        self._duration = self._histogram(
            "request_duration_seconds",
            "Whole request, from its arrival to its record, in seconds",
            _DURATIONS,
            "policy",
        )
        self._overhead = self._histogram(
            "overhead_seconds", "Time of a request not spent waiting for an upstream, in seconds", _OVERHEADS
        )
        self._ttft = self._histogram(
            "time_to_first_token_seconds", "First token of a streamed call, in seconds", _DURATIONS, "tier"
        )
        self._attempts = self._counter("attempts", "Rungs asked, by what became of the answer", "tier", "verdict")
        self._late = self._counter("late_verdicts", "Answers judged after they were served", "tier", "verdict")
        self._checks = self._counter("verifier_outcomes", "The operator's verifiers", "verifier", "outcome")
        self._escalations = self._counter("escalations", "Shifts from one rung to another", "from", "to", "why")
        self._starts = self._counter("start_tier", "Requests by the rung they started at", "tier")
        self._tokens = self._counter(
            "tokens", "Tokens billed; cached and reasoning ones are part of prompt and completion", "tier", "kind"
        )
        self._cost = self._counter(f"cost{_NANO}", "Money spent, USD", "tier", "purpose")
        self._baseline = self._counter(f"baseline{_NANO}", "What the top tier alone would have cost, USD")
        self._stops = self._counter("budget_stops", "Requests ended early by a budget", "scope")
        self._overruns = self._counter("overruns", "Calls billed above their reserved worst case", "tier")
        self._soft = self._counter("budget_soft", "Requests served above a budget's soft limit", "scope")
        self._cache = self._counter("cache", "Requests by what the response cache and joins had for them", "result")
        self.redis_away = self._gauge("redis_away", "1 while Redis is configured and does not answer", "livemax")
        self._upstream_errors = self._counter(
            "upstream_errors", "Rungs that gave no answer, by our name of the failure", "tier", "kind"
        )
        self._truths = self._counter(
            "judge_outcomes", "Verdicts whose truth became known, by feedback or audit", "tier", "verdict", "truth"
        )
        # every worker's index holds all questions, while each has its own backlog
        self.index_size = self._gauge("index_size", "Questions in the index", "livemax")
        self.store_backlog = self._gauge("store_backlog", "Outcomes not yet in the database", "livesum")

    def observe(self, outcome: Outcome) -> None:
        """Count one outcome."""
        served = outcome.served
        policy = outcome.request.policy
        word = outcome_word(outcome)
        self._requests.labels(policy, served.tier if served else _NONE, word).inc()
        self._cache.labels(outcome.cache).inc()
        self._duration.labels(policy).observe(outcome.latency_s)
        self._overhead.observe(outcome.overhead_s)
        if outcome.start_tier is not None:
            self._starts.labels(outcome.start_tier).inc()
        for attempt in outcome.run.attempts:
            self._attempt(attempt)
        for before, after in zip(outcome.run.attempts, outcome.run.attempts[1:], strict=False):
            self._escalations.labels(before.tier, after.tier, before.verdict).inc()
        for call in outcome.calls:
            self._call(call)
        if outcome.error is not None and not outcome.run.attempts:
            for call in outcome.extra_calls:
                if call.error is not None:  # an embedding request that failed has no attempt to say so
                    self._upstream_errors.labels(call.tier, type(outcome.error).__name__).inc()
        self._baseline.inc(outcome.baseline_nanousd or 0)
        self._budgets(outcome)

    def observe_late(self, late: Afterwards) -> None:
        """Count what was spent after an answer; the attempt itself was counted as the client was told."""
        for call in late.calls:
            self._call(call)
        self._late.labels(late.attempt.tier, late.attempt.verdict).inc()
        self._checked(late.attempt.checks)

    def observe_joined(self, outcome: Outcome) -> None:
        """Count somebody who got another request's answer; money and rungs were counted with that request."""
        self._cache.labels(outcome.cache).inc()

    def truth(self, tier: str, verdict: str, *, right: bool) -> None:
        """Count that somebody said whether a judged answer was right."""
        self._truths.labels(tier, verdict, "right" if right else "wrong").inc()

    def exposition(self) -> tuple[bytes, str]:
        """(text, media type) of a scrape."""
        registry = self.registry
        if self._folder is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(_InUsd(registry)), CONTENT_TYPE_LATEST

    def _budgets(self, outcome: Outcome) -> None:
        if outcome.denied is not None:
            self._stops.labels(getattr(outcome.denied, "scope", None) or "ledger").inc()
        elif outcome.delivered.stopped is Stop.BUDGET:
            self._stops.labels("request").inc()
        for budget in outcome.soft_reached:
            self._soft.labels(budget.partition(":")[0]).inc()

    def _attempt(self, attempt: Attempt) -> None:
        self._attempts.labels(attempt.tier, attempt.verdict).inc()
        self._checked(attempt.checks)
        if attempt.error is not None:
            self._upstream_errors.labels(attempt.tier, type(attempt.error).__name__).inc()

    def _checked(self, checks: tuple[CheckResult, ...]) -> None:
        for check in checks:
            self._checks.labels(check.verifier, check.outcome).inc()

    def _call(self, call: Call) -> None:
        self._cost.labels(call.tier, call.purpose).inc(call.cost_nanousd or 0)
        if call.overrun_nanousd:
            self._overruns.labels(call.tier).inc()
        if call.ttft_s is not None and call.purpose is Purpose.GENERATE:
            self._ttft.labels(call.tier).observe(call.ttft_s)
        if call.usage is None or call.cost_source is CostSource.CACHE:
            return
        kinds = {
            "prompt": call.usage.prompt_tokens,
            "completion": call.usage.completion_tokens,
            "cached": call.usage.cached_tokens,
            "reasoning": call.usage.reasoning_tokens,
        }
        for kind, count in kinds.items():
            if count:
                self._tokens.labels(call.tier, kind).inc(count)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"gearbox_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, mode: Literal["livemax", "livesum"]) -> Gauge:
        return Gauge(f"gearbox_{name}", text, registry=self.registry, multiprocess_mode=mode)

    def _histogram(self, name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
        return Histogram(f"gearbox_{name}", text, labels, buckets=buckets, registry=self.registry)


class _InUsd:
    """A registry's metrics as they are scraped: `..._nanousd` divided into `..._usd`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            yield _divided(metric) if metric.name.endswith(_NANO) else metric


def _divided(metric: Metric) -> Metric:
    divided = Metric(metric.name.removesuffix(_NANO) + "_usd", metric.documentation, metric.type)
    for sample in metric.samples:
        name = sample.name.replace(_NANO, "_usd")
        value = sample.value if name.endswith("_created") else sample.value / NANOUSD_PER_USD
        divided.samples.append(Sample(name, sample.labels, value, sample.timestamp, sample.exemplar))
    return divided
