"""The first and the last moments of a server, seen from inside."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from app.main import create_app
from app.serving.lifecycle import Lifecycle, Server
from app.serving.protocol import MAX_HEAD_BYTES, BoundedProtocol
from router.errors import ConfigError

ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


async def hello(_):
    return PlainTextResponse("hello")


@pytest.fixture
async def ending():
    """(a server, an address, and the task in which it runs); told to end by the test."""
    app = Starlette(routes=[Route("/", hello)])
    settings = uvicorn.Config(app, http=BoundedProtocol, log_config=None, lifespan="off", ws="none")
    listener = socket.create_server(("127.0.0.1", 0))
    address, server = listener.getsockname(), Server(settings, Lifecycle(), 0, hearing_s=20)
    running = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)
    yield server, address, running
    server.should_exit = server.force_exit = True
    await running


async def refused(address):
    """Wait until the door is closed."""
    while True:
        try:
            _, writer = await asyncio.open_connection(*address)
        except ConnectionRefusedError:
            return
        writer.close()
        await asyncio.sleep(0.01)


async def test_a_connection_that_came_in_time_is_answered_though_its_request_comes_after_the_door_was_closed(ending):
    server, address, running = ending
    reader, writer = await asyncio.open_connection(*address)
    server.should_exit = True
    await refused(address)
    await asyncio.sleep(0.3)  # long enough for what would close it; hearing_s is far longer
    writer.write(ASK)
    assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
    assert (await reader.read()).endswith(b"hello")  # and is closed after it
    writer.close()
    await running


async def test_a_connection_that_was_answered_and_is_idle_keeps_no_server_from_ending(ending):
    server, address, running = ending
    reader, writer = await asyncio.open_connection(*address)
    writer.write(ASK)
    await reader.readuntil(b"hello")
    server.should_exit = True
    async with asyncio.timeout(15):
        await running
    writer.close()


async def test_a_head_that_is_too_large_is_told_so(ending):
    server, address, _ = ending
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"GET /")
    while not any(each.scope for each in server.server_state.connections):  # noqa: ASYNC110 - uvicorn has no event
        await asyncio.sleep(0.01)
    writer.write(b"a" * (MAX_HEAD_BYTES + 1))
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")
    assert json.loads(body)["error"]["code"] == "request_too_large"
    writer.close()


async def test_what_keeps_a_server_from_starting_is_told_without_a_traceback(caplog):
    @asynccontextmanager
    async def refused():
        raise ConfigError("the journal cannot be written: name another folder")
        yield

    lifecycle = Lifecycle()
    settings = uvicorn.Config(create_app(refused, lifecycle), log_config=None, ws="none")
    with socket.create_server(("127.0.0.1", 0)) as listener, pytest.raises(SystemExit):
        await Server(settings, lifecycle, 0).serve([listener])
    assert "gearbox: the journal cannot be written: name another folder" in caplog.messages
    assert "Traceback" not in caplog.text
