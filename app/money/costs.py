"""`gearbox costs`: requests into CSV, JSON lines or a FOCUS cost file, page by page."""

from __future__ import annotations

import asyncio
import csv
import json
import sys
from contextlib import contextmanager
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

import typer

from app.config import plan as plans
from app.config.environment import Environment
from app.money import focus
from router.errors import ConfigError
from router.pricing import usd_text
from storage.history.store import SqlHistory
from storage.reports.exports import CALL_COLUMNS, REQUEST_COLUMNS, pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from storage.reports.buckets import Span

    Row = Mapping[str, Any]
    Write = Callable[[Row, Sequence[Row]], None]

#: What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def export(form: str, span: Span, out: Path | None, config: Path | None) -> int:
    """Write the file and say how much is in it; 0.

    Raises:
        ConfigError: the file cannot be written.
    """
    environment, variables = Environment.read()
    plan = plans.read(config, environment, variables)
    with _open(out) as file:
        count, nanousd = asyncio.run(_write(plan.config.store.url.get_secret_value(), span, WRITERS[form](file)))
    typer.echo(f"{count} requests, {usd_text(nanousd)} USD, late costs included", err=True)
    return 0


async def _write(url: str, span: Span, write: Write) -> tuple[int, int]:
    history = await SqlHistory.open(url)
    count = nanousd = 0
    try:
        async for rows, calls in pages(history.engine, span):
            for row in rows:
                write(row, calls[row["id"]])
                count += 1
                nanousd += (row["cost_nanousd"] or 0) + row["late_cost_nanousd"]
    finally:
        await history.aclose()
    return count, nanousd


def csv_writer(file: IO[str]) -> Write:
    """One line per request; money in USD with nine places beside the integers."""
    amounts = ("cost_nanousd", "late_cost_nanousd", "baseline_nanousd")
    money = {name: name.replace("_nanousd", "_usd") for name in amounts}
    out = csv.DictWriter(file, [*REQUEST_COLUMNS, *money.values()])
    out.writeheader()

    def write(row: Row, _calls: Sequence[Row]) -> None:
        told = {name: _cell(value) for name, value in row.items()}
        usd = {usd: "" if row[name] is None else usd_text(row[name]) for name, usd in money.items()}
        out.writerow(told | usd)

    return write


def jsonl_writer(file: IO[str]) -> Write:
    """One object per request, its calls inside."""
    call_columns = [name for name in CALL_COLUMNS if name != "inference_id"]

    def write(row: Row, calls: Sequence[Row]) -> None:
        told = {**row, "created_at": row["created_at"].isoformat()}
        told["calls"] = [{name: call[name] for name in call_columns} for call in calls]
        file.write(json.dumps(told, ensure_ascii=False) + "\n")

    return write


def focus_writer(file: IO[str]) -> Write:
    """FOCUS 1.0."""
    out = csv.DictWriter(file, focus.COLUMNS)
    out.writeheader()

    def write(row: Row, calls: Sequence[Row]) -> None:
        out.writerows({name: _cell(value) for name, value in line.items()} for line in focus.lines(row, calls))

    return write


WRITERS: Mapping[str, Callable[[IO[str]], Write]] = {
    "csv": csv_writer,
    "jsonl": jsonl_writer,
    "focus": focus_writer,
}


def _cell(value: Any) -> Any:
    """A value for CSV: clients choose tags, sessions and names, and no spreadsheet may run them."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value


@contextmanager
def _open(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    try:
        file = out.open("w", encoding="utf-8", newline="")
    except OSError as error:
        raise ConfigError(f"cannot write {out}: {error.strerror}") from error
    with file:
        yield file
