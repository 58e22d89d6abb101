"""`gearbox explain ID`: one request's story, a paragraph for a manager and a table for an engineer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table

from app.commands.console import wide_console
from app.config import plan as plans
from app.config.environment import Environment
from app.edge.rationale import paragraph
from app.edge.requests import own_id
from router.domain import Caller
from storage.history.store import SqlHistory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from rich.console import Console


def explain(request_id: str, config: Path | None) -> int:
    """Print the story; 1 where there is none of that id."""
    environment, variables = Environment.read()
    plan = plans.read(config, environment, variables)
    story = asyncio.run(_story(plan.config.store.url.get_secret_value(), own_id(request_id)))
    if story is None:
        typer.secho(f"gearbox: the store holds no request {request_id[:80]!r}", err=True, fg="red")
        return 1
    show(story, wide_console())
    return 0


async def _story(url: str, request_id: str) -> Mapping[str, Any] | None:
    history = await SqlHistory.open(url)
    try:
        return await history.decision(request_id, Caller(admin=True))
    finally:
        await history.aclose()


def show(story: Mapping[str, Any], console: Console) -> None:
    """Print one story."""
    console.print(paragraph(story), soft_wrap=True, markup=False)
    console.print()
    console.print(_attempts(story))
    if story["nearby"]:
        console.print()
        console.print(_nearby(story))
    if story["evidence"]["neighbours"]:
        console.print()
        console.print(_neighbours(story))


def _attempts(story: Mapping[str, Any]) -> Table:
    table = Table("tier", "model", "P(valid)", "verdict", "by", "USD", "why", box=None, pad_edge=False)
    for attempt in story["attempts"]:
        table.add_row(
            attempt["tier"],
            attempt["model"] or "-",
            "-" if attempt["p_valid"] is None else f"{attempt['p_valid']:.2f}",
            attempt["verdict"] or "-",
            attempt["verdict_by"] or "nobody",
            f"{attempt['cost_usd']:.9f}",
            attempt["why"] or "",
        )
    return table


def _nearby(story: Mapping[str, Any]) -> Table:
    table = Table("neighbouring setting", "starts", "answers", "USD", "why", box=None, pad_edge=False)
    for each in story["nearby"]:
        cost = "?" if each["cost_usd"] is None else f"{'' if each['exact'] else '~'}{each['cost_usd']:.9f}"
        setting = f"{each['setting']} {each['value']:g}"
        table.add_row(setting, each["start_tier"] or "-", _answers(each), cost, each["why"])
    return table


def _answers(each: Mapping[str, Any]) -> str:
    """Who would have answered; a question mark where nobody knows what would have come of it."""
    return (each["tier"] or "nobody") + ("" if each["exact"] else "?")


def _neighbours(story: Mapping[str, Any]) -> Table:
    table = Table("similar past question", "similarity", "labels", box=None, pad_edge=False)
    for neighbour in story["evidence"]["neighbours"]:
        labels = ", ".join(f"{model} {correct:g}" for model, correct in neighbour["labels"].items())
        table.add_row(neighbour["id"], f"{neighbour['similarity']:.3f}", labels or "none")
    return table
