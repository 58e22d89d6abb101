"""Metrics, log lines and spans: complete, bounded, and silent about what was asked."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import structlog
from edge_server import EASY, config, plan_of, serving
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_keys_feedback_health import client_of
from test_money import samples
from test_request_headers import HARD, chat

from app.observe.request_log import RequestLog
from app.observe.tracing import Tracing

ROOT = Path(__file__).parents[2]
#: wire.md, Metrics.
WANTED = {
    "gearbox_requests_total": {"policy", "tier", "outcome"},
    "gearbox_request_duration_seconds": None,
    "gearbox_overhead_seconds": None,
    "gearbox_time_to_first_token_seconds": None,
    "gearbox_attempts_total": {"tier", "verdict"},
    "gearbox_escalations_total": {"from", "to", "why"},
    "gearbox_start_tier_total": {"tier"},
    "gearbox_tokens_total": {"tier", "kind"},
    "gearbox_cost_usd_total": {"tier", "purpose"},
    "gearbox_baseline_usd_total": set(),
    "gearbox_budget_stops_total": {"scope"},
    "gearbox_upstream_errors_total": {"tier", "kind"},
    "gearbox_judge_outcomes_total": {"tier", "verdict", "truth"},
    "gearbox_store_backlog": set(),
    "gearbox_index_size": set(),
}


@pytest.fixture
def measured(serve):
    gearbox = serve()
    with client_of(gearbox, "") as http:
        told = chat(http)
        chat(http, question=HARD, stream=True)
        chat(http, {"x-gearbox-budget-usd": "0.0003"})
        chat(http, simulate=dict.fromkeys(("small", "medium", "large"), "bad_request"))
        chat(http, simulate=dict.fromkeys(("small", "medium", "large"), "server_error"))
        chat(http, model="no-such-model-at-all")
        http.post("/v1/feedback", json={"id": told.headers["x-request-id"], "valid": False})
        yield http.get("/metrics").text


def test_every_metric_of_the_list_is_there_with_its_labels_and_a_help_text(measured):
    for name, labels in WANTED.items():
        found = re.findall(rf"^{name}(?:_bucket|_count)?(?:\{{([^}}]*)\}})? ", measured, re.MULTILINE)
        assert found, name
        if labels is not None:
            assert set(re.findall(r"(\w+)=", found[0])) == labels, name
        assert re.search(rf"^# HELP {name} \S", measured, re.MULTILINE), name


def test_durations_fit_from_ten_milliseconds_to_ten_minutes(measured):
    edges = re.findall(r'gearbox_request_duration_seconds_bucket\{le="([^"]+)"', measured)
    assert (float(edges[0]), float(edges[-2])) == (0.01, 600.0)


def test_gauges_are_read_at_the_scrape(measured):
    assert samples(measured, "gearbox_index_size")[""] >= 2
    assert samples(measured, "gearbox_store_backlog")[""] == 0


def test_feedback_counts_the_judges_error(measured):
    assert samples(measured, "gearbox_judge_outcomes") == {'{tier="small",truth="wrong",verdict="valid"}': 1}


def test_no_name_that_a_client_or_vendor_made_up_is_a_label(measured):
    assert "no-such-model" not in measured
    kinds = set(re.findall(r'gearbox_upstream_errors_total\{kind="([^"]+)"', measured))
    classes = {
        node.name
        for node in ast.walk(ast.parse((ROOT / "router/errors.py").read_text()))
        if isinstance(node, ast.ClassDef)
    }
    assert kinds
    assert kinds <= classes


# logs


def lines(serve, **server):
    gearbox = serve(server={"hold_status_s": 5, **server})
    with structlog.testing.capture_logs() as logged, client_of(gearbox, "") as http:
        ids = [chat(http, question=question).headers["x-request-id"] for question in (EASY, HARD)]
        failed = chat(http, simulate=dict.fromkeys(("small", "medium", "large"), "server_error"))
    return [line for line in logged if line["event"] == "request"], [*ids, failed.headers["x-request-id"]], logged


def test_each_request_is_one_line_with_id_tiers_cost_and_why(serve):
    told, ids, _ = lines(serve)
    assert [line["id"] for line in told] == ids
    easy, hard, failed = told
    assert (easy["tier"], easy["attempts"], easy["outcome"]) == ("small", "small:valid", "served")
    assert hard["start_tier"] == "small"
    assert re.fullmatch(r"0\.\d{9}", easy["cost_usd"])
    assert failed["error"] == "UpstreamUnavailable"
    assert all(line["why"] for line in told)


SECRET = "sk-a-secret-of-the-client"
SAID = [{"role": "user", "content": SECRET}]
REFUSALS = [
    ("no JSON", {"content": b'{"model": "llm-at", sk-a-secret-of-the-client'}, 400, "invalid_json"),
    ("no messages", {"json": {"model": "llm-at", "messages": SECRET}}, 400, None),
    ("no such header", {"json": {}, "headers": {"x-gearbox-sk-a-secret-of-the-client": "1"}}, 400, None),
    ("no such model", {"json": {"model": SECRET, "messages": SAID}}, 404, "model_not_found"),
    ("too large", {"content": SECRET.encode() * 60_000}, 413, "request_too_large"),
]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("sent", "status", "code"), [each[1:] for each in REFUSALS], ids=[each[0] for each in REFUSALS]
)
def test_a_refused_request_is_one_line_too_with_its_code_and_nothing_of_it(refusing, sent, status, code, stream):
    if stream and "json" in sent:
        sent = {**sent, "json": {**sent["json"], "stream": True}}
    with structlog.testing.capture_logs() as logged:
        reply = refusing.post("/v1/chat/completions", **sent)
    (line,) = logged
    assert (line["event"], line["id"]) == ("refused", reply.headers["x-request-id"])
    assert (line["status"], line["code"]) == (reply.status_code, code) == (status, reply.json()["error"]["code"])
    assert SECRET not in repr(line)


@pytest.fixture
def refusing(serve):
    with client_of(serve(server={"max_body_mb": 1}), "") as http:
        yield http


def test_an_unknown_key_and_an_unknown_route_are_lines_without_them(serve):
    gearbox = serve(keys=[{"key": "right", "team": "red"}])
    with structlog.testing.capture_logs() as logged, client_of(gearbox, SECRET) as http:
        chat(http)
        http.get(f"/v1/{SECRET}")
        http.delete("/v1/models")
    assert [(line["status"], line["code"]) for line in logged] == [
        (401, "invalid_api_key"),
        (404, "unknown_url"),
        (405, "method_not_allowed"),
    ]
    assert SECRET not in repr(logged)


def test_a_key_over_its_limit_is_a_line(serve):
    gearbox = serve(keys=[{"key": "right", "team": "red", "limits": {"requests_per_minute": 1}}])
    with structlog.testing.capture_logs() as logged, client_of(gearbox, "right") as http:
        chat(http)
        chat(http)
    assert [(line["event"], line["status"], line["code"]) for line in logged] == [
        ("request", 200, None),
        ("refused", 429, "rate_limit_exceeded"),
    ]


def test_a_joined_request_is_a_line_too_and_is_counted(serve):
    gearbox = serve()
    with structlog.testing.capture_logs() as logged, client_of(gearbox, "") as http:
        ids = [chat(http, {"idempotency-key": "once"}).headers["x-request-id"] for _ in range(2)]
        counted = http.get("/metrics").text
    assert [(line["event"], line["id"]) for line in logged] == [("request", ids[0]), ("joined", ids[1])]
    assert 'gearbox_cache_total{result="joined"} 1.0' in counted


def test_no_prompt_is_logged_unless_asked_for(serve):
    _, _, logged = lines(serve)
    assert EASY not in repr(logged)
    assert HARD not in repr(logged)


def test_prompts_are_logged_where_the_operator_asks(serve):
    told, _, _ = lines(serve, log_prompts=True)
    assert [line["question"] for line in told][:2] == [EASY, HARD]
    assert RequestLog(prompts=False)


@pytest.mark.parametrize("form", ["console", "json"])
def test_a_fault_is_logged_with_its_place_and_kind_and_without_what_it_quotes(form):
    program = f"""
import structlog
from app.observe.logs import configure
from router.errors import StoreUnavailable
configure("info", "{form}")
try:
    secret = "canary-local"
    try:
        int("canary-" + "quoted")
    except ValueError as error:
        raise StoreUnavailable("our own words") from error
except StoreUnavailable:
    structlog.get_logger().exception("a fault")
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert "canary-quoted" not in done.stderr
    assert "canary-local" not in done.stderr
    assert "StoreUnavailable: our own words" in done.stderr
    assert "builtins.ValueError" in done.stderr
    assert "line 9, in <module>" in done.stderr


# traces


class Collector:
    """An OTLP endpoint on loopback."""

    def __init__(self):
        self.spans = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if self.headers.get("content-encoding") == "gzip":
                    import gzip  # noqa: PLC0415 - the exporter's choice

                    body = gzip.decompress(body)
                for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                    for scope in resource.scope_spans:
                        collector.spans += scope.spans
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def collector():
    running = Collector()
    yield running
    running.close()


def attributes(span):
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture
def traced(catalog, tmp_path, collector):
    tracing = Tracing(collector.url)
    database = tmp_path / "gearbox.db"
    with (
        serving(plan_of(config(), database, catalog), database, tracing=tracing) as gearbox,
        client_of(gearbox, "") as http,
    ):
        told = chat(http, {"traceparent": f"00-{TRACE}-{PARENT}-01"}, HARD)
        chat(http, simulate=dict.fromkeys(("small", "medium", "large"), "server_error"))
        http.get("/health/live")
    tracing.close()
    return told, collector.spans


def test_a_request_is_one_span_under_the_callers_with_one_below_for_each_call(traced):
    told, spans = traced
    mine = [span for span in spans if span.trace_id.hex() == TRACE]
    (root,) = [span for span in mine if span.parent_span_id.hex() == PARENT]
    assert root.name == "POST /v1/chat/completions"
    facts = attributes(root)
    assert facts["gearbox.request.id"] == told.headers["x-request-id"]
    assert facts["gearbox.attempts"] == told.headers["x-gearbox-attempts"]
    assert f"{facts['gearbox.cost_usd']:.9f}" == told.headers["x-gearbox-cost-usd"]
    calls = [span for span in mine if span.parent_span_id == root.span_id]
    assert len(calls) == len(mine) - 1
    assert {attributes(span)["gearbox.purpose"] for span in calls} == {"generate", "judge"}
    first = attributes(min(calls, key=lambda span: span.start_time_unix_nano))
    assert first["gen_ai.request.model"] == "small"
    assert first["gen_ai.usage.input_tokens"] > 0
    assert (first["gen_ai.operation.name"], first["gearbox.tier"]) == ("chat", "small")


def test_a_failed_call_says_so_and_health_is_not_traced(traced):
    _, spans = traced
    failed = [span for span in spans if attributes(span).get("error.type") == "UpstreamUnavailable"]
    assert failed
    assert all(span.status.code == 2 for span in failed)
    assert not any("health" in span.name for span in spans)


def test_no_prompt_and_no_answer_is_in_a_span(traced):
    _, spans = traced
    assert HARD not in "".join(map(str, spans))


async def test_each_calls_own_context_goes_upstream(collector, catalog, tmp_path):
    from router.ports import ChatCall, Reply  # noqa: PLC0415 - for this one fake

    class Model:
        async def chat(self, call, live=None):
            self.trace = dict(call.trace)
            return Reply({"choices": []}, (), None, 0.1, None)

    tracing, model = Tracing(collector.url), Model()
    plan = plan_of(config(), tmp_path / "x.db", catalog)
    (endpoint, *_) = plan.ladder.endpoints.values()
    await tracing.model(model, "small", endpoint).chat(ChatCall({}, stream=False, hint="judge; of=x"))
    tracing.close()
    (span,) = collector.spans
    assert model.trace["traceparent"].rpartition("-")[0] == f"00-{span.trace_id.hex()}-{span.span_id.hex()}"
    assert attributes(span)["gearbox.purpose"] == "judge"


def test_without_an_endpoint_opentelemetry_is_not_even_imported():
    code = "import sys, app.serving.serve, app.main, app.wiring\n"
    code += "print([n for n in sys.modules if 'opentelemetry.sdk' in n])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
