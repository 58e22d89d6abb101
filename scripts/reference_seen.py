"""docs/reference/metrics.md and alerts.md: what Gearbox registers with Prometheus, and what is asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alert_rules import RULES
from dashboard_panels import DASHBOARDS
from reference_words import head, table

from app.observe.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterator


def metrics_page() -> str:
    """Every metric with its labels, its help text, and the panels that ask it."""
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), text, "; ".join(_panels(name)) or "none")
        for name, kind, labels, text in _described(Metrics())
    ]
    start = head(
        "Metrics",
        "`GET /metrics`, without a key; with several workers the sum over all of them, those that have ended included."
        " Counters of money hold whole nano-dollars and are divided at the scrape, so that they agree with SQL to the"
        " last digit. No key, no team and no text is ever a label: what is asked by key, team or tag is asked of"
        " PostgreSQL.",
        "Durations are in seconds, from 10 ms to 10 min; Gearbox's own time from 1 ms to 10 s.",
    )
    return "\n".join([start, table(("metric", "type", "labels", "what", "panels"), rows)])


def alerts_page() -> str:
    """Every rule with its runbook line."""
    start = head(
        "Alerts",
        "`deploy/prometheus/rules.yml`, made by `scripts/build-dashboards`; `scripts/check-dashboards` asks each"
        " expression of a real Prometheus with traffic.",
    )
    parts = [
        f"## {rule.name}\n\n{rule.summary}\n\n**What to do.** {rule.runbook}\n\n"
        + table(
            ("severity", "for", "fires when"),
            [(rule.severity, rule.hold, f"`{rule.expression} {rule.compare}`")],
        )
        for rule in RULES
    ]
    return "\n".join([start, *parts])


def _described(metrics: Metrics) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    """(name as it is scraped, type, labels, help text) of each."""
    for collector in metrics.registry._collector_to_names:  # noqa: SLF001 - it tells its collectors nowhere else
        for metric in collector.collect():
            name = metric.name.replace("_nanousd", "_usd") + ("_total" if metric.type == "counter" else "")
            yield name, metric.type, tuple(collector._labelnames), metric.documentation  # noqa: SLF001 - likewise


def _panels(name: str) -> Iterator[str]:
    for title, panels in DASHBOARDS.values():
        for panel in panels:
            if any(name in query for query, _ in panel.queries):
                yield f"{title.removeprefix('Gearbox: ')}: {panel.title}"
