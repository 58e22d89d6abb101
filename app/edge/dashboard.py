"""`GET /dashboard`: a page of our own, and the two endpoints it reads.

The page itself is the same for everybody and holds nothing; what it shows comes through the API's own keys, scoped to
the caller's team. Its policy lets no script and no style in but ours, so that what clients send stays text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from app.edge.responses import json_response
from app.money.span import span as parse_span
from app.money.words import judge_words, judged_json, line_json
from router.errors import ConfigError, NotFound, RequestError
from router.pricing import nanousd_to_usd
from storage.reports.buckets import By, Span
from storage.reports.reports import Line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.services import Services
    from router.domain import Caller

router = APIRouter(include_in_schema=False)

_FILES = {
    "index.html": "text/html; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
    "dashboard.css": "text/css; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-cache",
}
MOST_ROWS = 200
#: Up to this long a span is drawn by the hour.
_TWO_DAYS = timedelta(days=2)


@router.get("/dashboard")
async def page() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/dashboard/{name}")
async def asset(name: str) -> Response:
    """Its script and its style."""
    return _file(name)


@router.get("/v1/dashboard/summary")
async def summary(http: Request) -> Response:
    """Sums of the caller's team (an admin's: of all) since `since`, today by default."""
    services, caller = await _caller(http)
    span = _span(http, caller)
    hourly = span.until - span.since <= _TWO_DAYS
    by_time = By.HOUR if hourly else By.DAY
    whole = await services.reports.spending(span, By.ALL)
    total = whole[0] if whole else Line("", 0, 0, 0, 0, 0, 0, None, {})
    judged = await services.reports.judged(span)
    told = {
        "object": "gearbox.dashboard.summary",
        "since": span.since.isoformat(),
        "until": span.until.isoformat(),
        "team": span.team,
        "second": services.reports.second.name if services.reports.second else None,
        "ladder": [tier.name for tier in services.ladder],
        "total": line_json(total),
        "tiers": [line_json(line) for line in await services.reports.spending(span, By.TIER)],
        "by_time": by_time.value,
        "times": [line_json(line) for line in await services.reports.spending(span, by_time)],
        "judge": [judged_json(tier) for tier in judged],
        "judge_words": list(judge_words(total, judged)),
    }
    return json_response(200, told)


@router.get("/v1/dashboard/requests")
async def requests(http: Request) -> Response:
    """The caller's team's newest requests, the newest first, at most `limit`."""
    services, caller = await _caller(http)
    rows = await services.reports.latest(_span(http, caller), _limit(http))
    return json_response(200, {"object": "list", "data": [_row(row) for row in rows]})


async def _caller(http: Request) -> tuple[Services, Caller]:
    services: Services = http.app.state.services
    return services, await services.keys.identify(http.headers)


def _span(http: Request, caller: Caller) -> Span:
    words = http.query_params.get("since", "today")
    try:
        start, end = parse_span(words, http.query_params.get("until"), datetime.now(UTC))
    except ConfigError as error:
        raise RequestError(error.message.replace("--", ""), param="since") from error
    return Span(start, end, None if caller.admin else caller.team)


def _limit(http: Request) -> int:
    text = http.query_params.get("limit", "50")
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= MOST_ROWS:
        raise RequestError(f"limit must be a whole number from 1 to {MOST_ROWS}", param="limit")
    return int(text)


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    cost, baseline = row["cost_nanousd"], row["baseline_nanousd"]
    saved = None if cost is None or baseline is None else baseline - cost - row["late_cost_nanousd"]
    plain = ("id", "team", "key_id", "policy", "asked_model", "start_tier", "served_tier", "why", "stopped")
    return {
        **{name: row[name] for name in (*plain, "latency_s", "client", "error_type", "attempts")},
        "created_at": row["created_at"].isoformat(),
        "cost_usd": None if cost is None else nanousd_to_usd(cost),
        "late_cost_usd": nanousd_to_usd(row["late_cost_nanousd"]),
        "baseline_usd": None if baseline is None else nanousd_to_usd(baseline),
        "saved_usd": None if saved is None else nanousd_to_usd(saved),
    }


def _file(name: str) -> Response:
    if name not in _FILES:
        raise NotFound(f"no such file of the dashboard: {name[:80]!r}")
    content = files("app.edge").joinpath("static", name).read_bytes()
    return Response(content, media_type=_FILES[name], headers=HEADERS)
