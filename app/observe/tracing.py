"""OpenTelemetry: one span per request, one per attempt and judge under it, in the `gen_ai.*` conventions.

The law of this file: it is imported only where an OTLP endpoint is configured, so that without one nothing is paid, not
even an import. A caller's `traceparent` is continued, each call's is passed upstream. No prompt and no answer is in a
span.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.edge.reports import attempts_text
from cascade.upstreams.params import bare_model
from router import __version__
from router.errors import UpstreamError
from router.pricing import nanousd_to_usd

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Span, Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from router.domain import Afterwards, Outcome
    from router.endpoints import Endpoint
    from router.ports import ChatCall, ChatModel, ChunkSink, Reply

#: An exception's words and traceback may repeat what was asked, so a span holds its type alone.
_SILENT: Mapping[str, Any] = {"record_exception": False, "set_status_on_exception": False}
_W3C = TraceContextTextMapPropagator()
_FAULT = 500
#: Health and metrics are asked all day and would drown the rest.
_PREFIX = "/v1/"


class Tracing:
    """Sends spans to an OTLP endpoint; `close` sends what is left."""

    def __init__(self, endpoint: str) -> None:
        """Start.

        Args:
            endpoint: the collector's address, without `/v1/traces`.
        """
        exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
        resource = Resource.create({"service.name": "gearbox", "service.version": __version__})
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self.tracer = self._provider.get_tracer("gearbox", __version__)

    def close(self) -> None:
        """Send what is left and stop."""
        self._provider.shutdown()

    def model(self, inner: ChatModel, tier: str, endpoint: Endpoint) -> ChatModel:
        """The same model with a span around each call."""
        return TracedModel(inner, self.tracer, tier, endpoint)

    def observe(self, outcome: Outcome) -> None:
        """Say on the request's span what became of it (an `Observer`)."""
        span = trace.get_current_span()
        if not span.is_recording():  # the client has gone and the span has ended, or nobody traces this request
            return
        served, cost = outcome.served, outcome.cost_nanousd
        told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.request.model": outcome.request.asked_model,
            "gen_ai.response.model": bare_model(served.model) if served else None,
            "gearbox.request.id": outcome.request.id,
            "gearbox.policy": outcome.request.policy,
            "gearbox.start_tier": outcome.start_tier,
            "gearbox.tier": served.tier if served else None,
            "gearbox.attempts": attempts_text(outcome.run.attempts),
            "gearbox.cost_usd": None if cost is None else nanousd_to_usd(cost),
            "gearbox.stopped": outcome.delivered.stopped,
            "error.type": type(outcome.error).__name__ if outcome.error else None,
        }
        _attributes(span, told)

    def observe_late(self, late: Afterwards) -> None:
        """The request's span has ended before a late verdict; the judge's call has a span of its own."""

    def observe_joined(self, outcome: Outcome) -> None:
        """What the run did is in its own request's trace."""


class TracingMiddleware:
    """The request span: continues the caller's trace, ends with the response."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under a span."""
        if scope["type"] != "http" or not scope["path"].startswith(_PREFIX):
            await self._app(scope, receive, send)
            return
        carrier = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        # Only paths that we route are names: anybody can ask for any other.
        name = scope["method"]
        with self._tracer.start_as_current_span(name, _W3C.extract(carrier), SpanKind.SERVER, **_SILENT) as span:
            await self._app(scope, receive, _watched(send, span))
            route = getattr(scope.get("route"), "path", None)
            if route is not None:
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            span.set_attribute("http.request.method", scope["method"])


class TracedModel:
    """A `ChatModel` with a span around each call; the span's context goes upstream."""

    def __init__(self, inner: ChatModel, tracer: Tracer, tier: str, endpoint: Endpoint) -> None:
        self._inner = inner
        self._tracer = tracer
        deployment = endpoint.deployment
        self._name = bare_model(deployment.model)
        vendor, slash, _ = deployment.model.partition("/")
        self._told = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": vendor if slash else "self-hosted",
            "gen_ai.request.model": self._name,
            "gearbox.tier": tier,
            "gearbox.deployment": deployment.id,
        }

    async def chat(self, call: ChatCall, live: ChunkSink | None = None) -> Reply:
        """One try; see `ports.ChatModel`."""
        purpose = "judge" if call.hint.startswith("judge") else "generate"
        told = {**self._told, "gearbox.purpose": purpose}
        name, kind = f"chat {self._name}", SpanKind.CLIENT
        with self._tracer.start_as_current_span(name, kind=kind, attributes=told, **_SILENT) as span:
            carrier: dict[str, str] = dict(call.trace or {})
            _W3C.inject(carrier)
            try:
                reply = await self._inner.chat(replace(call, trace=carrier), live)
            except UpstreamError as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(Status(StatusCode.ERROR))
                raise
            _attributes(span, _reply(reply))
            return reply

    async def aclose(self) -> None:
        """Close the model itself."""
        await self._inner.aclose()


def _reply(reply: Reply) -> dict[str, Any]:
    choices = reply.body.get("choices") or ()
    model = reply.body.get("model")
    told: dict[str, Any] = {
        "gen_ai.response.model": model if isinstance(model, str) else None,
        "gen_ai.response.finish_reasons": [str(choice.get("finish_reason")) for choice in choices],
    }
    if reply.usage is not None:
        told["gen_ai.usage.input_tokens"] = reply.usage.prompt_tokens
        told["gen_ai.usage.output_tokens"] = reply.usage.completion_tokens
    if reply.ttft_s is not None:
        told["gearbox.time_to_first_token_s"] = reply.ttft_s
    return told


def _attributes(span: Span, told: Mapping[str, Any]) -> None:
    for name, value in told.items():
        if value is not None:
            span.set_attribute(name, value)


def _watched(send: Send, span: Span) -> Send:
    async def watched(message: Message) -> None:
        if message["type"] == "http.response.start":
            span.set_attribute("http.response.status_code", message["status"])
            if message["status"] >= _FAULT:
                span.set_status(Status(StatusCode.ERROR))
        await send(message)

    return watched
