"""Canaries: words that stand for secrets go in everywhere, upstreams shout them back, and nothing repeats them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml
from loopback import Loopback
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route
from test_seeing import Collector, attributes
from vendor import embeddings

ROOT = Path(__file__).parents[2]
CLIENT, OTHER, MASTER = "canary-client-key", "canary-other-key", "canary-master-key"
VENDOR, CLAUDE, EMBED = "canary-vendor-key", "canary-claude-key", "canary-embed-key"
PROMPT, ANSWER = "canary-prompt", "canary-answer"
KEYS = [CLIENT, OTHER, MASTER, VENDOR, CLAUDE, EMBED]
#: What an upstream does with a question that names it.
STATUSES = ["400", "401", "403", "404", "418", "422", "429", "500", "503"]
MODES = ["ok", *STATUSES, "garbage", "list", "error", "empty", "cut", "redirect", "broken"]


class Shouting:
    """An upstream that repeats all it was sent, keys included, in whatever it says."""

    def __init__(self):
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["POST"])])

    async def answer(self, http):
        body = await http.json()
        if http.url.path.endswith("/embeddings"):
            return JSONResponse(embeddings(body))
        echo = json.dumps({"headers": dict(http.headers), "body": body, "answer": ANSWER})
        asked = json.dumps(body.get("messages"))
        mode = next((mode for mode in MODES if f"mode={mode};" in asked), "ok")
        return self.said(mode, echo, stream=body.get("stream"), anthropic=http.url.path.endswith("/messages"))

    def said(self, mode, echo, *, stream, anthropic):
        if mode.isdecimal():
            error = {"error": {"message": echo, "type": echo, "code": echo, "param": echo}}
            return JSONResponse(error, int(mode), {"x-echo": "canary"})
        if mode == "redirect":
            return RedirectResponse(f"http://127.0.0.1:1/{VENDOR}", 307)
        if mode in {"garbage", "list", "broken"}:
            return PlainTextResponse({"garbage": echo, "list": f"[{echo}]", "broken": '{"choices": 7}'}[mode])
        if mode == "cut" or stream:
            return StreamingResponse(self.events(mode, echo), media_type="text/event-stream")
        return JSONResponse(self.whole(mode, echo, anthropic=anthropic))

    def whole(self, mode, echo, *, anthropic):
        if mode == "error":
            return {"error": {"message": echo, "code": echo}}
        text = "" if mode == "empty" else ANSWER
        if anthropic:
            content = [{"type": "text", "text": text}]
            usage = {"input_tokens": 9, "output_tokens": 3}
            return {"id": "1", "type": "message", "role": "assistant", "content": content, "usage": usage}
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 3}}

    async def events(self, mode, echo):
        chunk = {"choices": [{"index": 0, "delta": {"content": ANSWER}, "finish_reason": None}]}
        yield f"data: {json.dumps(chunk)}\n\n"
        if mode != "cut":
            chunk["choices"][0].update(delta={}, finish_reason="stop")
            yield f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
        else:
            yield f"data: {json.dumps({'error': {'message': echo}})}\n\n"


def configured(upstream, collector, folder):
    def tier(name, model, key, base):
        deployments = [{"model": model, "api_base": base, "api_key": f"os.environ/{key}"}]
        price = {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": 0.4}
        return {"name": name, "deployments": deployments, "price": price, "prior_accuracy": 0.6}

    return {
        "tiers": [
            tier("small", "openai/gpt-5-nano", "VENDOR", f"{upstream}/v1"),
            tier("large", "anthropic/claude-sonnet-4-5", "CLAUDE", upstream),
        ],
        "keys": [{"key": "os.environ/CLIENT", "team": "red"}, {"key": "os.environ/OTHER", "team": "blue"}],
        "master_key": "os.environ/MASTER",
        "embedding": {"model": "words", "api_base": f"{upstream}/v1", "api_key": "os.environ/EMBED"},
        "store": {"url": f"sqlite+aiosqlite:///{folder}/gearbox.db"},
        "retries": {"attempts": 1, "cooldown_s": 0},
        "server": {"otlp_endpoint": collector},
    }


class Served:
    """`gearbox serve` as operators run it, as talkative as it gets."""

    def __init__(self, settings, folder):
        file, self.log = folder / "gearbox.yaml", folder / "log"
        file.write_text(yaml.safe_dump(settings))
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        secrets = dict(zip(("CLIENT", "OTHER", "MASTER", "VENDOR", "CLAUDE", "EMBED"), KEYS, strict=True))
        environment = {**os.environ, **secrets, "GEARBOX_LOG_LEVEL": "debug", "PYTHONPATH": str(ROOT)}
        program = [sys.executable, "-m", "app", "serve", "--config", str(file), "--port", str(port)]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(program, stdout=log, stderr=log, env=environment, cwd=folder)
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)
        end = time.monotonic() + 120
        while not self.ready():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def ready(self):
        try:
            return self.http.get("/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    def ask(self, mode, key=CLIENT, **more):
        messages = [{"role": "user", "content": f"{PROMPT} mode={mode};"}]
        body = {"model": "llm-at", "messages": messages, **more}
        return self.http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {key}"})

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)
        self.http.close()


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What came out of every opening, after traffic through all that can go wrong."""
    folder, collector = tmp_path_factory.mktemp("canaries"), Collector()
    with Loopback(Shouting().app) as upstream:
        served = Served(configured(upstream.url, collector.url, folder), folder)
        replies = []
        for mode in MODES:
            for model in ("auto", "llm-at", "small", "large"):
                replies += [served.ask(mode, model=model, stream=stream) for stream in (False, True)]
        refused = [served.ask("ok", key=f"{OTHER}-wrong"), served.ask("ok", key=MASTER), served.ask("ok", messages=[])]
        refused.append(served.ask("ok", model=f"{PROMPT}-model"))
        open_to_all = [served.http.get(path).text for path in ("/metrics", "/health/ready", "/health/live")]
        served.end()
    collector.close()
    return {
        "replies": [f"{reply.headers}{reply.text}" for reply in replies + refused],
        "statuses": {reply.status_code for reply in replies},
        "log": served.log.read_text(),
        "open": "".join(open_to_all),
        "spans": "".join(map(str, collector.spans)),
        "models": {attributes(span).get("gen_ai.request.model") for span in collector.spans},
        "files": b"".join(file.read_bytes() for file in folder.rglob("gearbox.db*") if file.is_file()),
    }


def test_the_traffic_went_through_everything(said):
    assert said["statuses"] >= {200, 400, 422, 429, 502, 503}
    assert said["log"].count("outcome") > len(MODES)
    assert "gearbox_upstream_errors_total" in said["open"]
    assert {"gpt-5-nano", "claude-sonnet-4-5"} <= said["models"]
    assert PROMPT.encode() in said["files"]  # the store keeps questions, and nothing else does


@pytest.mark.parametrize("where", ["log", "open", "spans"])
@pytest.mark.parametrize("word", [*KEYS, PROMPT, ANSWER])
def test_no_key_no_prompt_and_no_answer_is_repeated(said, where, word):
    lines = [line for line in said[where].splitlines() if word in line]
    assert lines == []


@pytest.mark.parametrize("key", KEYS)
def test_no_client_is_told_any_key(said, key):
    assert [reply for reply in said["replies"] if key in reply] == []


@pytest.mark.parametrize("key", KEYS)
def test_no_key_is_stored(said, key):
    assert key.encode() not in said["files"]
