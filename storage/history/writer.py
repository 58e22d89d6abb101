"""Group commit: many callers wait, one task writes.

The law of this file: it knows nothing of SQL. Whatever is waiting when the last group is done becomes the next group,
so a quiet service pays one commit per request at once, and a busy one shares each commit among many. A group that
fails for one bad item is written again item by item: only the culprit's caller gets the error.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from router.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Item = TypeVar("Item")
GROUP_LIMIT = 256


@dataclass(frozen=True, slots=True, eq=False)
class _Job(Generic[Item]):
    """One item and the caller who waits for it."""

    item: Item
    done: asyncio.Future[None]

    def settle(self, error: BaseException | None) -> None:
        """Tell the caller; one who has gone (cancelled) is not told, the item is written all the same."""
        if self.done.done():
            return
        if error is None:
            self.done.set_result(None)
        else:
            self.done.set_exception(error)


class GroupWriter(Generic[Item]):
    """A queue and the one task that empties it. To be made on the event loop that uses it.

    Args:
        commit: writes a group durably, all of it or (raising) nothing. StoreUnavailable concerns the whole group;
            any other error is taken for one item's fault.
        limit: the largest group.
    """

    def __init__(self, commit: Callable[[Sequence[Item]], Awaitable[None]], limit: int = GROUP_LIMIT) -> None:
        self._commit = commit
        self._limit = limit
        self._queue: asyncio.Queue[_Job[Item] | None] = asyncio.Queue()
        self._closed = False
        self._task = asyncio.create_task(self._run(), name="gearbox-store-writer")

    @property
    def backlog(self) -> int:
        """How many items wait, the group being written not counted."""
        return self._queue.qsize()

    async def put(self, item: Item) -> None:
        """Returns once the item's group is committed; raises what its commit raised."""
        if self._closed or self._task.done():
            raise StoreUnavailable("the store is closed: nothing can be recorded any more")
        job = _Job(item, asyncio.get_running_loop().create_future())
        self._queue.put_nowait(job)
        await job.done

    async def aclose(self) -> None:
        """Write what is queued, then stop; later calls of `put` raise."""
        if not self._closed:
            self._closed = True
            self._queue.put_nowait(None)
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        group: list[_Job[Item]] = []
        try:
            while group := await self._next_group():
                await self._write(group)
        finally:
            self._abandon(group)

    async def _next_group(self) -> list[_Job[Item]]:
        """At least one job, at most the limit; empty = closed. The closing mark is always the queue's last entry."""
        job = await self._queue.get()
        group: list[_Job[Item]] = []
        while job is not None:
            group.append(job)
            if len(group) == self._limit or self._queue.empty():
                return group
            job = self._queue.get_nowait()
        if group:
            self._queue.put_nowait(None)
        return group

    async def _write(self, group: list[_Job[Item]]) -> None:
        error = await self._try(group)
        if error is None or isinstance(error, StoreUnavailable) or len(group) == 1:
            for job in group:
                job.settle(error)
            return
        for job in group:
            job.settle(await self._try([job]))

    async def _try(self, group: list[_Job[Item]]) -> Exception | None:
        try:
            await self._commit([job.item for job in group])
        except Exception as error:  # noqa: BLE001 - not hidden: it is raised in the callers who wait
            return error
        return None

    def _abandon(self, group: list[_Job[Item]]) -> None:
        """The task was cancelled from outside: nobody may wait for ever."""
        while not self._queue.empty():
            job = self._queue.get_nowait()
            if job is not None:
                group.append(job)
        for job in group:
            job.settle(StoreUnavailable("the store's writer was stopped before this outcome was written"))
