"""What the Grafana dashboards ask (and alert_rules.py the alerts), in names taken from the code.

`M` holds the metrics that Gearbox registers, `R`, `A` and `B` the columns of its tables: a name that is renamed there breaks
the build here, so the two cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.observe.metrics import Metrics
from storage.money.schema import budget
from storage.schema import attempt, inference


class _Names:
    """Attribute -> metric: `M.requests` is gearbox_requests_total."""

    def __init__(self) -> None:
        text = Metrics().exposition()[0].decode()
        self._known = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE ")}

    def __getattr__(self, name: str) -> str:
        for suffix in ("_total", "_usd_total", ""):
            if f"gearbox_{name}{suffix}" in self._known:
                return f"gearbox_{name}{suffix}"
        raise AttributeError(f"Gearbox has no metric {name!r}")


M, R, A, B = _Names(), inference.c, attempt.c, budget.c
RATE = "$__rate_interval"
_SPENT = f"sum(increase({M.cost}[$__range]))"
_TOP = f"sum(increase({M.baseline}[$__range]))"
_DURATION, _OVERHEAD, _TTFT = M.request_duration_seconds, M.overhead_seconds, M.time_to_first_token_seconds
_SPEND_BY = f"sum({R.cost_nanousd.name} + {R.late_cost_nanousd.name}) / 1e9 AS spent_usd"
_SAVED_BY = f"sum({R.baseline_nanousd.name} - {R.cost_nanousd.name} - {R.late_cost_nanousd.name}) / 1e9 AS saved_usd"
_TIME = f"$__timeFilter(i.{R.created_at.name})"
_REQUESTS, _CALLS = f"{inference.name} i", f"{attempt.name} a"
_JOIN = f"JOIN {_CALLS} ON a.{A.inference_id.name} = i.{R.id.name}"


@dataclass(frozen=True)
class Panel:
    """One panel: PromQL with its legend, or SQL. `kind`: timeseries, stat or table."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...] = ()
    kind: str = "timeseries"
    sql: str = ""
    width: int = 12
    why: str = ""


def _by(column: str) -> str:
    return (
        f"SELECT i.{column} AS {column}, count(*) AS requests, {_SPEND_BY}, {_SAVED_BY} FROM {_REQUESTS}"
        f" WHERE {_TIME} GROUP BY 1 ORDER BY spent_usd DESC LIMIT 50"
    )


def _quantiles(metric: str) -> tuple[tuple[str, str], ...]:
    return tuple(
        (f"histogram_quantile({q}, sum by (le) (rate({metric}_bucket[{RATE}])))", f"p{q * 100:g}")
        for q in (0.5, 0.95, 0.99)
    )


_SHARE_OF_PERIOD = f"extract(epoch FROM now() - {B.window_start.name}) / extract(epoch FROM {B.window_end.name} - {B.window_start.name})"
_BURN = (
    f"SELECT {B.scope.name}, {B.owner.name}, {B.period.name}, {B.spent_nanousd.name} / 1e9 AS spent_usd,"
    f" {B.limit_nanousd.name} / 1e9 AS limit_usd, {B.spent_nanousd.name}::float8 / nullif({B.limit_nanousd.name}, 0) AS burnt,"
    f" {B.spent_nanousd.name} / 1e9 / greatest({_SHARE_OF_PERIOD}, 0.001) AS forecast_usd, {B.window_end.name} AS resets"
    f" FROM {budget.name} WHERE {B.window_end.name} IS NULL OR {B.window_end.name} > now() ORDER BY burnt DESC NULLS LAST LIMIT 100"
)
COST = (
    Panel("Spent", "currencyUSD", ((_SPENT, "spent"),), "stat", width=6),
    Panel("Saved against always top", "currencyUSD", ((f"{_TOP} - {_SPENT}", "saved"),), "stat", width=6),
    Panel("Saved, share", "percentunit", ((f"1 - {_SPENT} / {_TOP}", "saved"),), "stat", width=6),
    Panel(
        "Cost per valid answer",
        "currencyUSD",
        ((f'{_SPENT} / sum(increase({M.attempts}{{verdict=~"valid|unjudged"}}[$__range]))', "USD"),),
        "stat",
        width=6,
    ),
    Panel(
        "Spend by tier, USD per hour", "currencyUSD", ((f"sum by (tier) (rate({M.cost}[{RATE}])) * 3600", "{{tier}}"),)
    ),
    Panel(
        "Spend by purpose, USD per hour",
        "currencyUSD",
        ((f"sum by (purpose) (rate({M.cost}[{RATE}])) * 3600", "{{purpose}}"),),
    ),
    Panel(
        "Spent and always top, USD per hour",
        "currencyUSD",
        ((f"sum(rate({M.cost}[{RATE}])) * 3600", "spent"), (f"rate({M.baseline}[{RATE}]) * 3600", "always top")),
    ),
    Panel(
        "Judging: what it costs, and what routing keeps",
        "currencyUSD",
        (
            (f'sum(rate({M.cost}{{purpose="judge"}}[{RATE}])) * 3600', "judging"),
            (f"(sum(rate({M.baseline}[{RATE}])) - sum(rate({M.cost}[{RATE}]))) * 3600", "kept after judging"),
        ),
    ),
    Panel("Forecast: 30 days at this pace", "currencyUSD", ((f"sum(rate({M.cost}[{RATE}])) * 86400 * 30", "30 days"),)),
    Panel(
        "Ended by a budget, or above its soft limit",
        "reqps",
        (
            (f"sum by (scope) (rate({M.budget_stops}[{RATE}]))", "ended: {{scope}}"),
            (f"sum by (scope) (rate({M.budget_soft}[{RATE}]))", "soft: {{scope}}"),
        ),
    ),
    Panel("Budgets: burnt, and where the period ends at this pace", "", kind="table", sql=_BURN, width=24),
    Panel("By team", "", kind="table", sql=_by(R.team.name)),
    Panel("By key", "", kind="table", sql=_by(R.key_id.name)),
    Panel(
        "By tag",
        "",
        kind="table",
        sql=f"SELECT t.key || '=' || t.value AS tag, count(*) AS requests, {_SPEND_BY}, {_SAVED_BY} FROM {_REQUESTS},"
        f" jsonb_each_text(i.{R.tags.name}) t WHERE {_TIME} GROUP BY 1 ORDER BY spent_usd DESC LIMIT 50",
    ),
    Panel(
        "Judging by team",
        "",
        kind="table",
        sql=f"SELECT i.{R.team.name} AS team, sum(a.{A.cost_nanousd.name}) / 1e9 AS judging_usd, count(*) AS judgements"
        f" FROM {_REQUESTS} {_JOIN} WHERE {_TIME} AND a.{A.purpose.name} = 'judge' GROUP BY 1 ORDER BY 2 DESC",
    ),
)
_JUDGED = f"sum(increase({M.judge_outcomes}[$__range]))"
WRONG = (
    f'(sum(increase({M.judge_outcomes}{{verdict="valid",truth="wrong"}}[$__range])) or vector(0)) + '
    f'(sum(increase({M.judge_outcomes}{{verdict="invalid",truth="right"}}[$__range])) or vector(0))'
)
ROUTING = (
    Panel("Started at", "reqps", ((f"sum by (tier) (rate({M.start_tier}[{RATE}]))", "{{tier}}"),)),
    Panel("Answered by", "reqps", ((f"sum by (tier) (rate({M.requests}[{RATE}]))", "{{tier}}"),)),
    Panel(
        "Shifts up, and why",
        "reqps",
        ((f"sum by (from, to, why) (rate({M.escalations}[{RATE}]))", "{{from}} to {{to}}: {{why}}"),),
    ),
    Panel("Verdicts", "reqps", ((f"sum by (tier, verdict) (rate({M.attempts}[{RATE}]))", "{{tier}} {{verdict}}"),)),
    Panel(
        "Accepted by the judge, share",
        "percentunit",
        (
            (
                f'sum by (tier) (rate({M.attempts}{{verdict="valid"}}[{RATE}])) / '
                f'sum by (tier) (rate({M.attempts}{{verdict=~"valid|invalid"}}[{RATE}]))',
                "{{tier}}",
            ),
        ),
    ),
    Panel(
        "Verdicts against the truth: valid but wrong is a false accept",
        "short",
        (
            (
                f"sum by (tier, verdict, truth) (increase({M.judge_outcomes}[$__range]))",
                "{{tier}}: {{verdict}}, in truth {{truth}}",
            ),
        ),
    ),
    Panel(
        "Judged after they were served",
        "reqps",
        ((f"sum by (tier, verdict) (rate({M.late_verdicts}[{RATE}]))", "{{tier}} {{verdict}}"),),
    ),
    Panel(
        "What the operator's own checks say",
        "reqps",
        ((f"sum by (verifier, outcome) (rate({M.verifier_outcomes}[{RATE}]))", "{{verifier}} {{outcome}}"),),
    ),
    Panel("The judge's error against feedback", "percentunit", ((f"({WRONG}) / {_JUDGED}", "wrong"),), "stat"),
    Panel("Questions in the index", "short", ((f"sum({M.index_size})", "questions"),)),
    Panel(
        "Estimated P(valid) against what came out",
        "",
        kind="table",
        sql=f"SELECT a.{A.tier.name} AS tier, round((a.{A.p_valid.name} * 10)::numeric) / 10 AS estimated, count(*) AS rungs,"
        f" avg((a.{A.verdict.name} = 'valid')::int) AS accepted FROM {_REQUESTS} {_JOIN} WHERE {_TIME}"
        f" AND a.{A.purpose.name} = 'generate' AND a.{A.verdict.name} IN ('valid', 'invalid') GROUP BY 1, 2 ORDER BY 1, 2",
    ),
    Panel(
        "Cold starts",
        "",
        kind="table",
        sql=f"SELECT (a.{A.why.name} LIKE 'cold start%') AS cold, count(*) AS requests,"
        f" count(*) / sum(count(*)) OVER () AS share FROM {_REQUESTS} {_JOIN}"
        f" WHERE {_TIME} AND a.{A.rung.name} = 0 AND a.{A.purpose.name} = 'generate' GROUP BY 1",
    ),
)
SERVICE = (
    Panel("Requests", "reqps", ((f"sum by (outcome) (rate({M.requests}[{RATE}]))", "{{outcome}}"),)),
    Panel(
        "Share without an answer",
        "percentunit",
        (
            (
                f'(sum(rate({M.requests}{{outcome="error"}}[{RATE}])) or vector(0)) / sum(rate({M.requests}[{RATE}]))',
                "errors",
            ),
        ),
    ),
    Panel("Latency", "s", _quantiles(_DURATION)),
    Panel("Overhead", "s", _quantiles(_OVERHEAD)),
    Panel("Time to first token", "s", _quantiles(_TTFT)),
    Panel(
        "Upstream errors", "reqps", ((f"sum by (tier, kind) (rate({M.upstream_errors}[{RATE}]))", "{{tier}} {{kind}}"),)
    ),
    Panel("Outcomes not yet in the database", "short", ((f"sum({M.store_backlog})", "backlog"),)),
    Panel("Cache and joins", "reqps", ((f"sum by (result) (rate({M.cache}[{RATE}]))", "{{result}}"),)),
    Panel("Redis away", "short", ((f"max({M.redis_away})", "away"),)),
    Panel(
        "Calls billed above their reservation",
        "short",
        ((f"sum by (tier) (increase({M.overruns}[$__range])) or vector(0)", "{{tier}}"),),
    ),
    Panel("Tokens per second", "short", ((f"sum by (tier, kind) (rate({M.tokens}[{RATE}]))", "{{tier}} {{kind}}"),)),
)
DASHBOARDS = {
    "cost": ("Gearbox: Cost", COST),
    "routing": ("Gearbox: Routing", ROUTING),
    "service": ("Gearbox: Service", SERVICE),
}
