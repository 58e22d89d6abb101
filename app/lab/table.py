"""A replay's result as a table on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from cascade.lab.numbers import points, usd
from cascade.lab.report.results import Result, shares

if TYPE_CHECKING:
    from cascade.lab.score import Row


def result_table(result: Result) -> Table:
    """One recording and ladder, a row a policy."""
    table = Table(title=f"{result.title}, {len(result.stream.queries):,} queries", title_justify="left", box=None)
    table.add_column("policy", no_wrap=True)
    for name in ("accuracy %", "95 % interval", "USD", "of it judges", "USD/1,000", "s/query"):
        table.add_column(name, justify="right")
    table.add_column("starts")
    for row in result.rows:
        table.add_row(*_cells(row))
    return table


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.policy,
        points(row.accuracy),
        " - ".join(points(end) for end in row.accuracy_ci) if row.accuracy_ci else "-",
        usd(row.cost_nanousd),
        usd(row.judge_nanousd),
        usd(row.cost_nanousd * 1000 / row.followed) if row.followed else "-",
        "-" if row.latency_s is None else f"{row.latency_s:.2f}",
        shares(row.starts),
    )
