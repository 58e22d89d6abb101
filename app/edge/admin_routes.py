"""`/v1/admin/...`: keys and budgets, behind the master key alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from app.edge.bodies import parse_object
from app.edge.requests import read_body
from app.edge.responses import json_response

if TYPE_CHECKING:
    from app.edge.key_desk import KeyDesk
    from app.services import Services

router = APIRouter(prefix="/v1/admin")


async def _admitted(http: Request) -> tuple[KeyDesk, dict[str, Any]]:
    """The desk for whoever holds the master key, and the JSON sent, {} where there is none."""
    services: Services = http.app.state.services
    services.keys.require_master(http.headers)
    raw = await read_body(http, services.max_body_bytes)
    return services.admin, parse_object(raw) if raw.strip() else {}


def _list(items: list[dict[str, Any]]) -> Response:
    return json_response(200, {"object": "list", "data": items})


@router.get("/keys")
async def list_keys(http: Request) -> Response:
    """Every key, or a team's: `?team=blue`."""
    desk, _ = await _admitted(http)
    return _list(await desk.all(http.query_params.get("team")))


@router.post("/keys")
async def create_key(http: Request) -> Response:
    """A new key; the secret stands in this answer alone."""
    desk, body = await _admitted(http)
    return json_response(201, await desk.create(body))


@router.get("/keys/{key_id}")
async def show_key(http: Request, key_id: str) -> Response:
    """One key and how its budgets stand."""
    desk, _ = await _admitted(http)
    return json_response(200, await desk.show(key_id))


@router.patch("/keys/{key_id}")
async def change_key(http: Request, key_id: str) -> Response:
    """Change what is given."""
    desk, body = await _admitted(http)
    return json_response(200, await desk.change(key_id, body))


@router.post("/keys/{key_id}/rotate")
async def rotate_key(http: Request, key_id: str) -> Response:
    """A new secret; `grace_s` keeps the former one for a while."""
    desk, body = await _admitted(http)
    return json_response(200, await desk.rotate(key_id, body))


@router.delete("/keys/{key_id}")
async def revoke_key(http: Request, key_id: str) -> Response:
    """End a key for good."""
    desk, _ = await _admitted(http)
    return json_response(200, await desk.revoke(key_id))


@router.get("/budgets")
async def list_budgets(http: Request) -> Response:
    """Every budget and how it stands."""
    desk, _ = await _admitted(http)
    return _list(await desk.budgets())


@router.put("/budgets")
async def put_budget(http: Request) -> Response:
    """Add a budget or change its limits."""
    desk, body = await _admitted(http)
    return json_response(200, await desk.put_budget(body))


@router.delete("/budgets/{budget:path}")
async def remove_budget(http: Request, budget: str) -> Response:
    """Forget a budget."""
    desk, _ = await _admitted(http)
    return json_response(200, await desk.remove_budget(budget))
