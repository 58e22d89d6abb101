"""`gearbox upstream`: an `HttpHandler` (a recording, or the simulated tiers) as a real HTTP server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from app.observe.logs import configure
from cascade.recordings import load
from cascade.upstreams.recorded import RecordedUpstream

if TYPE_CHECKING:
    from pathlib import Path

    from cascade.upstreams.http_reply import HttpHandler


def serve_recording(folder: Path, port: int, pace: float) -> None:
    """Serve a recording until stopped.

    Raises:
        ConfigError: the recording is broken; the message names file and line.
    """
    configure("warning", "console")
    recording = load(folder)
    models = ", ".join(recording.models)
    typer.echo(
        f"{recording.name}: {len(recording.queries)} queries, models {models}, on http://127.0.0.1:{port}/v1", err=True
    )
    uvicorn.run(
        handler_app(RecordedUpstream(recording, pace)), host="127.0.0.1", port=port, log_config=None, access_log=False
    )


def handler_app(handler: HttpHandler) -> FastAPI:
    """An application that passes every request to the handler."""
    app = FastAPI(openapi_url=None)

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def handle(request: Request, path: str) -> StreamingResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        reply = await handler.handle(request.method, f"/{path}", headers, await request.body())
        return StreamingResponse(reply.body, reply.status, dict(reply.headers))

    return app
