"""The routes. Each reads, hands over, and answers; what it says is decided elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from app.edge.bodies import parse_object
from app.edge.events import EventWriter
from app.edge.models_list import model_list, model_object
from app.edge.rationale import paragraph
from app.edge.requests import chat_request, feedback, own_id, read_body
from app.edge.responses import EventResponse, json_response, whole_response
from app.edge.routes_dry import dry_run
from app.observe.truth import count_truth
from router import __version__
from router.errors import GearboxError, NotFound
from router.labels import RIGHT

if TYPE_CHECKING:
    from app.services import Services

router = APIRouter()
PRODUCT = {"product": "gearbox", "version": __version__}


def services_of(http: Request) -> Services:
    """The services that `create_app` was given."""
    services: Services = http.app.state.services
    return services


@router.post("/v1/chat/completions")
async def chat_completions(http: Request) -> Response:
    """OpenAI's chat completions, routed."""
    services = services_of(http)
    request = await chat_request(http, services, http.state.request_id)
    run = services.desk.start(request)
    if request.stream:
        writer = EventWriter(run.request, services.extras)
        return EventResponse(run, services.desk, writer, services.hold_status_s)
    return await whole_response(run, services.desk, services.extras, http.receive)


@router.post("/v1/route")
async def route(http: Request) -> Response:
    """A dry run: the decision and its reasons, nothing generated, nothing spent."""
    services = services_of(http)
    request = await chat_request(http, services, http.state.request_id)
    return json_response(200, dry_run(await services.engine.prepare(request)))


@router.get("/v1/models")
async def models(http: Request) -> Response:
    """Policies, tiers and aliases."""
    services = services_of(http)
    await services.keys.identify(http.headers)
    return json_response(200, model_list(services.names, services.started_at))


@router.get("/v1/models/{model:path}")
async def model(http: Request, model: str) -> Response:
    """One of them."""
    services = services_of(http)
    await services.keys.identify(http.headers)
    services.names.check(model)
    return json_response(200, model_object(model, services.started_at))


@router.get("/v1/decisions/{decision_id}")
async def decision(http: Request, decision_id: str) -> Response:
    """The whole story of one request."""
    services = services_of(http)
    caller = await services.keys.identify(http.headers)
    story = await services.history.decision(own_id(decision_id), caller)
    if story is None:
        raise NotFound(f"no decision {decision_id[:80]!r} here for this key", param="id")
    return json_response(200, {**story, "rationale": paragraph(story)})


@router.post("/v1/feedback")
async def give_feedback(http: Request) -> Response:
    """A real label for the tier that answered."""
    services = services_of(http)
    caller = await services.keys.identify(http.headers)
    request_id, score, by, note = feedback(parse_object(await read_body(http, services.max_body_bytes)))
    given = await services.history.feedback(request_id, caller, score, by or caller.key_id, note)
    if given is None:
        raise NotFound(f"no answered request {request_id[:80]!r} here for this key", param="id")
    told: dict[str, Any] = {"id": request_id, "object": "gearbox.feedback"}
    if given.queued:  # the store is away: it is kept, and learnt once it is back
        return json_response(202, {**told, "labels": [], "queued": True})
    await services.engine.relearn(request_id, given.labels, given.team)
    if score < RIGHT:
        services.engine.found_wrong(request_id)
    await count_truth(services, request_id, caller, score)
    labels = [
        {"tier": label.tier, "model": label.model, "correct": label.correct, "source": label.source}
        for label in given.labels
    ]
    return json_response(200, {**told, "labels": labels})


@router.get("/health/live")
@router.get("/health/liveliness", include_in_schema=False)
@router.get("/health/liveness", include_in_schema=False)
async def live() -> Response:
    """The process runs."""
    return json_response(200, {**PRODUCT, "status": "ok"})


@router.get("/health/ready")
@router.get("/health/readiness", include_in_schema=False)
async def ready(http: Request) -> Response:
    """Everything a request needs is there; no model is called."""
    services = services_of(http)
    down = {"server": "shutting down"} if http.app.state.lifecycle.draining else {}
    for name, check in services.checks.items():
        try:
            await check()
        except GearboxError as error:
            down[name] = error.message
    notes = services.notes()
    word = "down" if down else "degraded" if notes else "ok"
    status: dict[str, Any] = {**PRODUCT, "status": word, "down": down, **({"notes": notes} if notes else {})}
    return json_response(503 if down else 200, status)


@router.get("/metrics")
async def metrics(http: Request) -> Response:
    """Prometheus."""
    services = services_of(http)
    await services.look_at_gauges()
    content, media_type = services.metrics.exposition()
    return Response(content, media_type=media_type)
