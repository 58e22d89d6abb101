"""`create_app`: the FastAPI application around services that somebody else made."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from app.edge import dashboard
from app.edge.admin_routes import router as admin_router
from app.edge.api import router
from app.edge.errors import body_of, error_body
from app.edge.more_routes import router as more_routes
from app.edge.requests import new_id
from app.edge.responses import error_response, json_response
from app.observe.request_log import refused
from app.serving.lifecycle import FarewellHeader, Lifecycle, PlainRefusal
from router import __version__
from router.errors import ConfigError, GearboxError, InternalFault, UpstreamError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from fastapi import Request, Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from app.observe.tracing import Tracing
    from app.services import Services

    OpenServices: TypeAlias = Callable[[], AbstractAsyncContextManager[Services]]

_log = structlog.get_logger("gearbox.edge")


def create_app(
    open_services: OpenServices, lifecycle: Lifecycle | None = None, *, tracing: Tracing | None = None
) -> FastAPI:
    """The application.

    Args:
        open_services: makes the services when the server starts, and closes them when it ends.
        lifecycle: tells whether the server is about to end.
        tracing: gives each request a span; None = nobody traces.
    """
    lifecycle = lifecycle or Lifecycle()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        try:
            async with open_services() as services:
                app.state.services = services
                yield
        except ConfigError as error:
            lifecycle.refused = error.message
            raise

    app = FastAPI(
        title="Gearbox", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.state.lifecycle = lifecycle
    app.include_router(router)
    app.include_router(admin_router)
    app.include_router(more_routes)
    app.include_router(dashboard.router)
    app.add_exception_handler(GearboxError, _gearbox_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_middleware(RequestIds)
    app.add_middleware(FarewellHeader, lifecycle=lifecycle)
    app.add_middleware(PlainRefusal, lifecycle=lifecycle)
    if tracing is not None:
        from app.observe.tracing import TracingMiddleware  # noqa: PLC0415 - only who traces pays for the import

        app.add_middleware(TracingMiddleware, tracer=tracing.tracer)
    return app


class RequestIds:
    """Gives every HTTP request its one id, and every response `x-request-id`; the last net under faults of ours."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                names = {name for name, _ in message["headers"]}
                if b"x-request-id" not in names:
                    message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        except ClientDisconnect:  # it left before its request was complete: there is nobody to answer
            return
        except Exception:
            _log.exception("a fault of ours", request=request_id, path=scope.get("path"))
            if started:
                raise
            body = body_of(InternalFault(request_id))
            await json_response(500, body, {"x-request-id": request_id})(scope, receive, send)


async def _gearbox_error(http: Request, error: Exception) -> Response:
    if not isinstance(error, GearboxError):
        raise error
    if isinstance(error, UpstreamError):
        _log.warning("upstream", request=http.state.request_id, error=error.message)
    return error_response(error, http.state.request_id)


async def _http_error(http: Request, error: Exception) -> Response:
    """Unknown routes and methods, in OpenAI's shape."""
    if not isinstance(error, HTTPException):
        raise error
    words = {
        404: f"unknown route {http.method} {http.url.path}",
        405: f"{http.method} is not allowed on {http.url.path}",
    }
    message = words.get(error.status_code, str(error.detail))
    code = {404: "unknown_url", 405: "method_not_allowed"}.get(error.status_code)
    refused(http.state.request_id, error.status_code, type(error).__name__, code)
    body = error_body(message, "invalid_request_error", None, code)
    return json_response(error.status_code, body, dict(error.headers or {}))
