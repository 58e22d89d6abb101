"""What a client or an upstream could make litellm do: carry the key elsewhere, fetch from our own network."""

from __future__ import annotations

import httpx
import pytest
from loopback import Loopback
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from test_litellm_adapter import ASK, CLAUDE, TEXT, call, model  # noqa: F401 - a fixture

from cascade.upstreams import litellm_guard
from router.errors import UpstreamBadReply, UpstreamMisconfigured, UpstreamRejected

VENDORS = [CLAUDE, "gemini/gemini-2.5-flash", "azure/gpt-4o", "mistral/mistral-large-latest", "cohere_chat/command-r"]


#: Ways to write this machine's own address.
OURSELVES = ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"]


class Elsewhere:
    """A host that nobody configured; it answers anything, and remembers who came."""

    def __init__(self):
        self.seen = []
        self.app = Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "HEAD", "POST"])])

    async def answer(self, http):
        self.seen.append((http.method, http.url.path, dict(http.headers)))
        return Response(b"\x89PNG\r\n\x1a\n", media_type="image/png")


@pytest.fixture(scope="module")
def host():
    elsewhere = Elsewhere()
    with Loopback(elsewhere.app) as server:
        yield elsewhere, server.url


@pytest.fixture
def elsewhere(host):
    found, url = host
    found.seen.clear()
    return found, url


@pytest.fixture
def redirecting(elsewhere):
    _, url = elsewhere

    async def away(http):
        return RedirectResponse(f"{url}/stolen", int(http.url.path.strip("/").partition("/")[0]))

    with Loopback(Starlette(routes=[Route("/{path:path}", away, methods=["GET", "POST"])])) as server:
        yield server.url


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("status", [302, 307])
async def test_neither_key_nor_question_follows_a_redirect(model, elsewhere, redirecting, name, status, stream):  # noqa: F811
    seen = elsewhere[0].seen
    asked = model(name, api_base=f"{redirecting}/{status}", api_version="2024-10-21")
    with pytest.raises(UpstreamMisconfigured, match=rf"{status}, a redirect"):
        await asked.chat(call(stream=stream))
    assert seen == []


def media(url):
    return {
        "image": {"type": "image_url", "image_url": {"url": f"{url}/latest/meta-data"}},
        "image, short": {"type": "image_url", "image_url": f"{url}/latest/meta-data"},
        "file": {"type": "file", "file": {"file_data": f"{url}/secret.pdf"}},
        "file id": {"type": "file", "file": {"file_id": f"{url}/secret.pdf"}},
        "audio": {"type": "input_audio", "input_audio": {"data": f"{url}/a.wav", "format": "wav"}},
        "video": {"type": "video_url", "video_url": {"url": f"{url}/v.mp4"}},
    }


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("part", media(""))
@pytest.mark.parametrize(
    "host_name", ["127.0.0.1", "localhost", "127.1", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0"]
)
async def test_nothing_is_fetched_from_our_own_network(model, elsewhere, name, part, host_name):  # noqa: F811
    found, url = elsewhere
    content = [{"type": "text", "text": "What is it?"}, media(url.replace("127.0.0.1", host_name))[part]]
    try:
        await model(name, api_version="2024-10-21").chat(call(messages=[{"role": "user", "content": content}]))
    except UpstreamRejected as error:
        assert error.status == 400  # noqa: PT017 - some vendors are told the address, others are refused it
    except Exception as error:  # noqa: BLE001 - a vendor that this fake does not speak for
        assert not isinstance(error, httpx.HTTPError)  # noqa: PT017
    assert found.seen == []


STEERING = (
    "api_base",
    "api_key",
    "base_url",
    "custom_llm_provider",
    "api_version",
    "organization",
    "deployment_id",
    "model_list",
    "fallbacks",
    "mock_response",
    "mock_tool_calls",
    "extra_headers",
    "headers",
    "default_headers",
    "extra_body",
    "extra_query",
    "client",
    "timeout",
    "num_retries",
    "max_retries",
    "aws_bedrock_runtime_endpoint",
    "aws_access_key_id",
    "aws_region_name",
    "vertex_project",
    "vertex_credentials",
    "azure_ad_token",
    "proxy",
    "litellm_params",
    "litellm_credential_name",
    "router_model_id",
    "caching",
    "callbacks",
    "success_callback",
    "logger_fn",
    "input_cost_per_token",
    "use_in_pass_through",
    "http_client",
    "ssl_verify",
    "allowed_openai_params",
    "additional_drop_params",
    "prompt_id",
    "litellm_trace_id",
    "shared_session",
)


@pytest.mark.parametrize("name", VENDORS[:4])
async def test_no_field_of_a_body_steers_litellm_elsewhere(model, vendor, elsewhere, name):  # noqa: F811
    found, url = elsewhere
    evil = dict.fromkeys(STEERING, url) | {"model_list": [{"litellm_params": {"api_base": url}}], "fallbacks": [url]}
    evil["extra_body"] = {"api_base": url, "base_url": url}
    evil["extra_headers"] = evil["headers"] = {"host": "elsewhere.invalid", "x-evil": "1"}
    reply = await model(name, api_version="2024-10-21").chat(call(**evil))
    assert reply.body["choices"][0]["message"]["content"] == TEXT
    assert found.seen == []
    assert "sk-secret" in str(vendor.last.headers)
    assert "x-evil" not in vendor.last.headers
    assert url not in str(vendor.last.headers)


async def test_what_says_it_is_a_model_of_another_vendor_goes_where_it_was_configured(model, vendor):  # noqa: F811
    await model().chat(call(model="openai/gpt-4o"))
    assert vendor.last.path.endswith("/messages")
    assert vendor.last.body["model"] == "claude-sonnet-4-5"
    assert ASK["messages"][0]["content"] in str(vendor.last.body)


@pytest.fixture
def endless(monkeypatch):
    """An upstream that stops for nobody who listens, in small parts, and a bound that is reached at once."""
    monkeypatch.setattr(litellm_guard, "MAX_REPLY_BYTES", 1_000_000)

    async def while_it_listens(http):
        while not await http.is_disconnected():
            yield b": and so on " * 1_000 + b"\n\n"

    async def answer(http):
        kind = "text/event-stream" if (await http.json()).get("stream") else "application/json"
        return StreamingResponse(while_it_listens(http), media_type=kind)

    with Loopback(Starlette(routes=[Route("/{path:path}", answer, methods=["POST"])])) as server:
        yield server.url


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", [CLAUDE, "azure/gpt-4o"])
async def test_a_reply_without_end_is_cut_and_billed(model, endless, name, stream):  # noqa: F811 - the fixture
    with pytest.raises(UpstreamBadReply, match="larger than 1000000 bytes") as caught:
        await model(name, endless).chat(call(stream=stream))
    assert caught.value.billed
