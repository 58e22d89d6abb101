"""Prometheus (wire.md, Metrics): an `Observer` that counts outcomes.

The law of this file: counters hold whole nano-dollars and are divided once, at the scrape, so that they agree with SQL.
No user, key or prompt text is ever a label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from app.reports import outcome_word
from router.domain import CostSource, Purpose, Stop
from router.pricing import NANOUSD_PER_USD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from router.domain import Attempt, Call, Outcome

#: Seconds; from 10 ms to 10 min.
_DURATIONS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
#: Seconds; the proxy's own time.
_OVERHEADS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_NANO = "_nanousd"
_NONE = "none"


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests answered or failed", "policy", "tier", "outcome")
        self._duration = self._histogram("request_duration_seconds", "Whole request", _DURATIONS, "policy")
        self._overhead = self._histogram("overhead_seconds", "Time not spent waiting for an upstream", _OVERHEADS)
        self._ttft = self._histogram(
            "time_to_first_token_seconds", "First token of a streamed call", _DURATIONS, "tier"
        )
        self._attempts = self._counter("attempts", "Rungs asked, by what became of the answer", "tier", "verdict")
        self._escalations = self._counter("escalations", "Shifts from one rung to another", "from", "to", "why")
        self._starts = self._counter("start_tier", "Requests by the rung they started at", "tier")
        self._tokens = self._counter("tokens", "Tokens billed", "tier", "kind")
        self._cost = self._counter(f"cost{_NANO}", "Money spent, USD", "tier", "purpose")
        self._baseline = self._counter(f"baseline{_NANO}", "What the top tier alone would have cost, USD")
        self._stops = self._counter("budget_stops", "Requests ended early by a budget", "scope")
        self._soft = self._counter("budget_soft", "Requests served above a budget's soft limit", "scope")
        self._cache = self._counter("cache", "Requests by what the response cache and joins had for them", "result")
        self._upstream_errors = self._counter("upstream_errors", "Calls that failed", "tier", "kind")
        self.redis_away = Gauge(
            "gearbox_redis_away", "1 while Redis is configured and does not answer", registry=self.registry
        )
        self.index_size = Gauge("gearbox_index_size", "Questions in the index", registry=self.registry)
        self.store_backlog = Gauge("gearbox_store_backlog", "Outcomes not yet in the database", registry=self.registry)

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
        if outcome.error is not None:
            for call in outcome.extra_calls:
                if call.error is not None:  # an embedding request that failed has no attempt to say so
                    self._upstream_errors.labels(call.tier, outcome.error.code or type(outcome.error).__name__).inc()
        self._baseline.inc(outcome.baseline_nanousd or 0)
        self._budgets(outcome)

    def exposition(self) -> tuple[bytes, str]:
        """(text, media type) of a scrape."""
        return generate_latest(_InUsd(self.registry)), CONTENT_TYPE_LATEST

    def _budgets(self, outcome: Outcome) -> None:
        if outcome.denied is not None:
            self._stops.labels(getattr(outcome.denied, "scope", None) or "ledger").inc()
        elif outcome.delivered.stopped is Stop.BUDGET:
            self._stops.labels("request").inc()
        for budget in outcome.soft_reached:
            self._soft.labels(budget.partition(":")[0]).inc()

    def _attempt(self, attempt: Attempt) -> None:
        self._attempts.labels(attempt.tier, attempt.verdict).inc()
        if attempt.error is not None:
            self._upstream_errors.labels(attempt.tier, attempt.error.code or type(attempt.error).__name__).inc()

    def _call(self, call: Call) -> None:
        self._cost.labels(call.tier, call.purpose).inc(call.cost_nanousd or 0)
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
