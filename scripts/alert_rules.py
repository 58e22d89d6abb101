"""The alert rules, in names taken from the code, each with what to do."""

from __future__ import annotations

from dataclasses import dataclass

from dashboard_panels import WRONG, M


@dataclass(frozen=True)
class Rule:
    """An alert: `expression compare` for `hold`. The check runs the expression alone, which must have data."""

    name: str
    expression: str
    compare: str
    hold: str
    severity: str
    summary: str
    runbook: str


_WRONG_1D = WRONG.replace("$__range", "1d")
RULES = (
    Rule(
        "GearboxBudgetNearlyGone",
        f"sum by (scope) (rate({M.budget_soft}[15m]))",
        "> 0",
        "10m",
        "warning",
        "Requests are served above the soft limit of a budget of scope {{ $labels.scope }}.",
        "Cost dashboard, Budgets: burnt, says which one and where its period will end. Raise it or tell its owner in time.",
    ),
    Rule(
        "GearboxBudgetStops",
        f"sum by (scope) (rate({M.budget_stops}[15m]))",
        "> 0.05",
        "10m",
        "warning",
        "Budgets of scope {{ $labels.scope }} end requests early: one is gone.",
        "See which key: Cost dashboard, By key. Raise its budget, lower its max tier, or tell its owner.",
    ),
    Rule(
        "GearboxSavingNegative",
        f"sum(increase({M.baseline}[6h])) - sum(increase({M.cost}[6h]))",
        "< 0",
        "30m",
        "warning",
        "Routing has cost more than always asking the top tier for six hours.",
        "Run `gearbox savings --judge --since 6h`. Raise the threshold, choose a cheaper judge, or start higher.",
    ),
    Rule(
        "GearboxJudgeErrorUp",
        f"({_WRONG_1D}) / sum(increase({M.judge_outcomes}[1d]))",
        "> 0.25",
        "1h",
        "warning",
        "Feedback says that more than a quarter of the judge's verdicts of the last day were wrong.",
        "Run `gearbox savings --judge --since 1d` for the tier; give that tier another judge (`judge:`).",
    ),
    Rule(
        "GearboxStoreBacklog",
        f"max({M.store_backlog})",
        "> 1000",
        "2m",
        "critical",
        "Outcomes wait to be written: the database is slow or away.",
        "Look at /health/ready and the database's disk and locks; answers wait for the write.",
    ),
    Rule(
        "GearboxUpstreamDown",
        f"sum by (tier) (rate({M.upstream_errors}[5m])) / sum by (tier) (rate({M.attempts}[5m]))",
        "> 0.5",
        "5m",
        "critical",
        "More than half of the calls to tier {{ $labels.tier }} fail.",
        "Service dashboard, Upstream errors, says how; `gearbox doctor` probes keys and addresses.",
    ),
    Rule(
        "GearboxRedisAway",
        f"max({M.redis_away})",
        "> 0",
        "5m",
        "warning",
        "Redis is configured and does not answer: limits, cache and joins are each process's own.",
        "Bring it back; it is used again by itself. Until then rate limits count for each worker alone. No money is lost.",
    ),
)
