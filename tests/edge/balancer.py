"""A load balancer on a loopback port: each connection goes, in turn, to a replica that says that it is ready."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from contextlib import asynccontextmanager, suppress
from itertools import count
from urllib.parse import urlsplit


class Balancer:
    """`with Balancer(urls) as balancer: balancer.url`; `passed` counts the connections of each replica."""

    def __init__(self, urls):
        self._urls, self._turns = urls, count()
        self.passed = Counter()
        self._open = (
            set()
        )  # the loop itself holds tasks weakly: one that only waits may be collected, and its connection
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._run(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_):
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)
        self._loop.close()

    def _run(self, job):
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(20)

    async def _close(self):
        self._server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader, writer):
        self._open.add(asyncio.current_task())
        try:
            await self._pass(reader, writer)
        finally:
            await _closed(writer)
            self._open.discard(asyncio.current_task())

    async def _pass(self, reader, writer):
        replica = await self._ready_one()
        if replica is None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        else:
            self.passed[replica] += 1
            async with _connection(replica) as (to_reader, to_writer):
                await asyncio.gather(_copied(reader, to_writer), _copied(to_reader, writer))

    async def _ready_one(self):
        first = next(self._turns) % len(self._urls)
        for replica in (*self._urls[first:], *self._urls[:first]):
            if await _is_ready(replica):
                return replica
        return None


async def _is_ready(url):
    try:
        async with _connection(url) as (reader, writer):
            writer.write(b"GET /health/ready HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n")
            status = (await reader.read()).split(b" ", 2)[1:2]
    except OSError:  # it has ended, or ends just now
        return False
    return status == [b"200"]


@asynccontextmanager
async def _connection(url):
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        await _closed(writer)


async def _closed(writer):
    writer.close()
    with suppress(OSError):  # whoever is on its other side may have ended first
        await writer.wait_closed()


async def _copied(reader, writer):
    while part := await reader.read(65_536):
        writer.write(part)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()
