"""What is broken under load: workers are killed; PostgreSQL and Redis are stopped, paused, and started again.

The law of this file: real signals to real processes, one outage at a time unless a stage wants them together, and a
note of each with its time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Kill:
    """A worker's end; a connection that was open then may be cut."""

    replica: str
    at: float


class Killer:
    """`kill -9` for one worker after the other, never for a replica's survivor."""

    def __init__(self, world) -> None:
        self._world = world
        self.kills: list[Kill] = []

    async def kill(self, times: int) -> None:
        for _ in range(times):
            await self._one()

    async def _one(self) -> None:
        """The oldest worker that serves and may be killed, of the replica that has lost fewest."""
        while True:
            serving = await self._world.entered()
            found = [
                (sum(kill.replica == replica.name for kill in self.kills), pid, replica)
                for replica in self._world.replicas
                for pid in (replica.pids & serving) - {replica.survivor}
            ]
            if found:
                break
            await asyncio.sleep(0.1)
        _, pid, replica = min(found, key=lambda each: each[:2])
        self.kill_now(pid, replica)
        await asyncio.sleep(0.3)

    def kill_now(self, pid: int, replica) -> None:
        self.kills.append(Kill(replica.name, time.monotonic()))
        os.kill(pid, signal.SIGKILL)


async def postgres_outages(world, seconds: float) -> None:
    """Stopped at once as by a crash and started again, then paused."""
    await asyncio.to_thread(world.postgres.stop, signal.SIGQUIT)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.postgres.start)
    await asyncio.sleep(seconds)
    world.postgres.pause()
    await asyncio.sleep(seconds)
    world.postgres.resume()
    await asyncio.sleep(seconds)


async def redis_outages(world, seconds: float) -> None:
    """Paused, then killed and started again empty."""
    world.redis.pause()
    await asyncio.sleep(seconds)
    world.redis.resume()
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.redis.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.redis.start)
    await asyncio.sleep(seconds)


async def everything_at_once(world, killer: Killer, seconds: float) -> None:
    """Both are away, and in that time a worker of each replica is killed; what it had journalled must be found."""
    await asyncio.to_thread(world.postgres.stop, signal.SIGQUIT)
    await asyncio.to_thread(world.redis.stop)
    await asyncio.sleep(seconds)
    for replica in world.replicas:
        killer.kill_now(max(replica.pids - {replica.survivor}), replica)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(world.redis.start)
    await asyncio.to_thread(world.postgres.start)
    await asyncio.sleep(seconds)
