"""What the campaign runs against: PostgreSQL, Redis, an embeddings endpoint, and replicas of `gearbox serve --workers`.

The law of this file: everything is real and of this run alone: processes, sockets and folders end with it. Only the
embeddings endpoint is its own (words hashed into a vector), so that a worker that was killed is back in seconds.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import asyncpg
import yaml
from aiohttp import web

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "storage")]

from postgres_server import running_postgres  # noqa: E402 - found by the line above
from redis_server import running_redis  # noqa: E402

from app.serving.workers import bind  # noqa: E402

DIMENSIONS = 32
START_S, END_S = 600, 120


@dataclass
class Replica:
    """One supervisor with its workers; `survivor` is the worker that is never killed."""

    name: str
    folder: Path
    workers: int
    port: int
    process: subprocess.Popen
    survivor: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"

    @property
    def pids(self) -> set[int]:
        """Its workers'; the supervisor's other child is multiprocessing's resource tracker."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(pid) for pid in children if b"spawn_main" in _command_line(int(pid))}

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@dataclass
class World:
    """Everything together."""

    postgres: object
    redis: object
    replicas: list[Replica]
    master_key: str
    http: aiohttp.ClientSession

    async def sql(self, query: str, *values: object) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(user="postgres", database="postgres", host=str(self.postgres.socket_dir))
        try:
            return await connection.fetch(query, *values)
        finally:
            await connection.close()

    async def budgets(self) -> list[asyncpg.Record]:
        return await self.sql("SELECT * FROM budget ORDER BY id")

    async def reservations(self) -> list[asyncpg.Record]:
        return await self.sql("SELECT * FROM reservation")

    async def entered(self) -> set[int]:
        """The worker processes that have entered the store's list of workers."""
        return {int(row["host"].rpartition(":")[2]) for row in await self.sql("SELECT host FROM worker")}

    async def ready(self) -> bool:
        """Whether every replica says that it is."""
        for replica in self.replicas:
            try:
                async with self.http.get(f"{replica.url}/health/ready") as reply:
                    if reply.status != 200:
                        return False
            except aiohttp.ClientError:
                return False
        return True

    async def complete(self) -> bool:
        """Whether every worker of every replica has started."""
        if not await self.ready():
            return False
        entered = await self.entered()
        return all(len(replica.pids & entered) == replica.workers for replica in self.replicas)

    async def wait(self, true, what: str, seconds: float = START_S) -> None:
        """Until an asynchronous question is answered with yes."""
        try:
            async with asyncio.timeout(seconds):
                while not await true():
                    await asyncio.sleep(0.1)
                    self.check_alive()
        except TimeoutError:
            raise SystemExit(f"campaign: not so after {seconds:g} s: {what}") from None

    def check_alive(self) -> None:
        for replica in self.replicas:
            if replica.process.poll() is not None:
                raise SystemExit(f"campaign: {replica.name} has ended:\n{replica.log[-2000:]}")

    async def admin(self, method: str, path: str, **body: object) -> dict:
        headers = {"authorization": f"Bearer {self.master_key}"}
        url = f"{self.replicas[0].url}/v1/admin/{path}"
        async with self.http.request(method, url, json=body or None, headers=headers) as reply:
            told = await reply.json()
            assert reply.status < 400, told
            return told


@asynccontextmanager
async def running_world(config: dict, replicas: int, workers: int, master_key: str):
    """Yields a World whose workers have all started."""
    with (
        tempfile.TemporaryDirectory(prefix="gearbox-campaign-") as temporary,
        running_postgres() as postgres,
        running_redis() as redis,
    ):
        async with embeddings() as api_base, aiohttp.ClientSession() as http:
            config = {
                **config,
                "master_key": master_key,
                "redis": {"url": redis.url},
                "embedding": {"model": "words", "api_base": api_base},
            }
            folders = [Path(temporary) / f"replica-{number}" for number in range(1, replicas + 1)]
            world = World(postgres, redis, [], master_key, http)
            try:
                for folder in folders:
                    world.replicas.append(_started(folder, config, postgres.url, workers))
                await world.wait(world.complete, "every worker has started")
                for replica in world.replicas:
                    replica.survivor = min(replica.pids)
                yield world
            finally:
                await asyncio.to_thread(_ended, world.replicas)


def _started(folder: Path, config: dict, store_url: str, workers: int) -> Replica:
    folder.mkdir()
    store = {**config.get("store", {}), "url": store_url, "journal": str(folder / "journal")}
    (folder / "gearbox.yaml").write_text(yaml.safe_dump({**config, "store": store}))
    with bind("127.0.0.1", 0) as free:
        port = free.getsockname()[1]
    options = ["--config", str(folder / "gearbox.yaml"), "--port", str(port), "--workers", str(workers)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GEARBOX_LOG_LEVEL": "warning"}
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app", "serve", *options], cwd=folder, env=environment, stdout=log, stderr=log
        )
    return Replica(folder.name, folder, workers, port, process)


def _ended(replicas: list[Replica]) -> None:
    for replica in replicas:
        replica.process.send_signal(signal.SIGTERM)
    for replica in replicas:
        try:
            replica.process.wait(END_S)
        except subprocess.TimeoutExpired:
            replica.process.kill()
            replica.process.wait()


def _command_line(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""


@asynccontextmanager
async def embeddings():
    """An OpenAI-compatible embeddings endpoint; yields its address."""

    async def answer(request: web.Request) -> web.Response:
        try:
            body = await request.json()
        except ConnectionResetError:  # the worker that asked was killed
            return web.Response(status=499)
        data = [{"object": "embedding", "index": 0, "embedding": _vector(body["input"])}]
        return web.json_response({"object": "list", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}})

    app = web.Application()
    app.router.add_post("/v1/embeddings", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        _, port = runner.addresses[0]
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()


def _vector(text: str) -> list[float]:
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or ["?"]:
        digest = hashlib.sha256(word.encode()).digest()
        vector[digest[0] % DIMENSIONS] += 1.0 if digest[1] % 2 else -1.0
    return vector if any(vector) else [1.0] * DIMENSIONS
