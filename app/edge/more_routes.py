"""The routes beside chat completions: same callers, same headers, same engine. What they say is decided elsewhere."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request, Response

from app.edge import completions, embeddings, responses_reply, responses_request
from app.edge.many import answered_together
from app.edge.many_events import streamed_together
from app.edge.requests import identified, new_id, routed
from app.edge.responses import EventResponse, whole_response
from app.edge.responses_events import ResponseWriter

if TYPE_CHECKING:
    from app.services import Services

router = APIRouter()


@router.post("/v1/completions")
async def legacy_completions(http: Request) -> Response:
    """OpenAI's legacy completions, each prompt routed as a chat of its own."""
    services: Services = http.app.state.services
    caller, body = await identified(http, services)
    first, *others = completions.chats(body)
    request = routed(http, services, caller, first, http.state.request_id)
    if others:
        requests = [request, *(routed(http, services, caller, chat, new_id()) for chat in others)]
        if request.stream:
            texts = completions.TextsWriter(requests, services.extras)
            return streamed_together(requests, services.desk, texts, services.hold_status_s)
        return await answered_together(
            requests, services.desk, http.receive, lambda outcomes: completions.joined(outcomes, services.extras)
        )
    run = services.desk.start(request)
    if request.stream:
        writer = completions.TextWriter(run.request, services.extras)
        return EventResponse(run, services.desk, writer, services.hold_status_s)
    return await whole_response(run, services.desk, services.extras, http.receive, completions.whole)


@router.post("/v1/responses")
async def responses(http: Request) -> Response:
    """OpenAI's Responses, translated to a chat and back."""
    services: Services = http.app.state.services
    caller, asked = await identified(http, services)
    request = routed(http, services, caller, responses_request.chat(asked), http.state.request_id)
    run = services.desk.start(request)
    if request.stream:
        writer = ResponseWriter(run.request, services.extras, asked)
        return EventResponse(run, services.desk, writer, services.hold_status_s)
    shape = partial(responses_reply.whole, asked)
    return await whole_response(run, services.desk, services.extras, http.receive, shape)


@router.post("/v1/embeddings")
async def embed(http: Request) -> Response:
    """OpenAI's embeddings: by the built-in model, or by the configured one."""
    services: Services = http.app.state.services
    caller, body = await identified(http, services)
    request = embeddings.embedding_request(caller, body, http.headers, http.state.request_id, time.time())
    run = services.desk.start(request, services.embeddings)
    return await whole_response(run, services.desk, services.extras, http.receive, embeddings.answer)
