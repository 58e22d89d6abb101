"""Old rows go, and text goes earlier if that is wished.

The law of this file: it removes in small transactions with pauses between them, oldest first, so that no request ever
waits for it: each batch takes locks on rows that nobody else touches any more, and SQLite's write lock for
milliseconds. Several processes may do it at once; each leaves alone what another has in hand (SKIP LOCKED).

Dropping text keeps who, when, which tier, verdicts, money, labels and the embedding (so that learning goes on; a row's
end takes it too); it drops the question and its hash, answers, reasons, notes and error texts. Indexes follow by
`Follower.sweep`.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog
from sqlalchemy import delete, select, update

from router.errors import GearboxError
from storage.engine import writing
from storage.faults import guard
from storage.schema import applied, attempt, claim, inference, label, tag, turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy import Select
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

#: Rows of `inference` in one transaction, and the pause after it in seconds.
BATCH = 200
PAUSE_S = 0.05
#: Seconds between two rounds.
ROUND_S = 600.0
#: Days after which nobody can replay a journalled addition any more.
APPLIED_DAYS = 90
#: Days for which an expired claim lies there: more than any two clocks differ by.
CLAIM_DAYS = 1 / 24
_log = structlog.get_logger("gearbox.retention")


class Retention:
    """Removes what is too old.

    Args:
        engine: the store's.
        days: a row's age at its end; None = rows stay.
        text_days: the age at which a row's text goes; None = it stays as long as the row.
        batch: rows in one transaction.
        pause_s: between two transactions, in seconds.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        days: float | None,
        text_days: float | None = None,
        *,
        batch: int = BATCH,
        pause_s: float = PAUSE_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._days = days
        self._text_days = text_days
        self._batch = batch
        self._pause_s = pause_s
        self._clock = clock

    async def round(self) -> tuple[int, int]:
        """Remove all that is too old now; how many rows went, and how many lost their text.

        Raises:
            StoreUnavailable: the database is away; the next round goes on.
        """
        rows = 0 if self._days is None else await self._batches(_drop_rows, self._before(self._days))
        texts = 0 if self._text_days is None else await self._batches(_drop_text, self._before(self._text_days))
        await self._batches(_drop_applied, self._before(APPLIED_DAYS))
        await self._batches(_drop_claims, self._before(CLAIM_DAYS))
        return rows, texts

    async def run(self) -> None:
        """A round every ROUND_S, until cancelled."""
        while True:
            try:
                rows, texts = await self.round()
                if rows or texts:
                    _log.info("old rows removed", rows=rows, texts_dropped=texts)
            except GearboxError as error:
                _log.warning("old rows cannot be removed now", error=error.message)
            except Exception:  # noqa: BLE001 - not hidden: logged in full; the next round tries again
                _log.exception("old rows cannot be removed")
            await asyncio.sleep(ROUND_S)

    async def _batches(self, drop: Callable[[AsyncConnection, datetime, int], Awaitable[int]], before: datetime) -> int:
        done = 0
        while True:
            with guard("removing old rows"):
                async with writing(self._engine).begin() as connection:
                    count = await drop(connection, before, self._batch)
            done += count
            if count < self._batch:
                return done
            await asyncio.sleep(self._pause_s)

    def _before(self, days: float) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC) - timedelta(days=days)


async def _drop_rows(connection: AsyncConnection, before: datetime, most: int) -> int:
    ids = await _ids(connection, oldest(before, most))
    for table in (turn, tag, label, attempt):
        await connection.execute(delete(table).where(table.c.inference_id.in_(ids)))
    await connection.execute(delete(inference).where(inference.c.id.in_(ids)))
    return len(ids)


async def _drop_text(connection: AsyncConnection, before: datetime, most: int) -> int:
    ids = await _ids(connection, oldest_text(before, most))
    nothing = {"answer": None, "final_answer": None, "reason": None}
    await connection.execute(update(attempt).where(attempt.c.inference_id.in_(ids)).values(**nothing))
    failed = attempt.c.inference_id.in_(ids) & attempt.c.error.is_not(None)
    await connection.execute(update(attempt).where(failed).values(error="error"))
    await connection.execute(update(label).where(label.c.inference_id.in_(ids), label.c.note != "").values(note=""))
    await _drop_reasons(connection, ids)
    gone = {"question": None, "question_hash": None, "error": None}
    await connection.execute(update(inference).where(inference.c.id.in_(ids)).values(**gone))
    return len(ids)


async def _drop_reasons(connection: AsyncConnection, ids: list[str]) -> None:
    """The evidence keeps what verifiers and a late judge said: their words go, their verdicts stay."""
    told = await connection.execute(select(inference.c.id, inference.c.evidence).where(inference.c.id.in_(ids)))
    for id_, evidence in told.all():
        silent = _without_reasons(evidence)
        if silent != evidence:
            await connection.execute(update(inference).where(inference.c.id == id_).values(evidence=silent))


def _without_reasons(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: None if name == "reason" else _without_reasons(each) for name, each in value.items()}
    return [_without_reasons(each) for each in value] if isinstance(value, list) else value


async def _drop_applied(connection: AsyncConnection, before: datetime, most: int) -> int:
    old = select(applied.c.op).where(applied.c.created_at < before).limit(most)
    ops = list((await connection.execute(old)).scalars())
    await connection.execute(delete(applied).where(applied.c.op.in_(ops)))
    return len(ops)


async def _drop_claims(connection: AsyncConnection, before: datetime, most: int) -> int:
    old = await _ids(connection, select(claim.c.id).where(claim.c.expires_at < before).limit(most))
    # Asked again: one that was claimed anew meanwhile is another's.
    await connection.execute(delete(claim).where(claim.c.id.in_(old), claim.c.expires_at < before))
    return len(old)


async def _ids(connection: AsyncConnection, statement: Select[Any]) -> list[str]:
    return list((await connection.execute(statement.with_for_update(skip_locked=True))).scalars())


def oldest(before: datetime, most: int) -> Select[Any]:
    """The oldest rows of all that are too old."""
    return select(inference.c.id).where(inference.c.created_at < before).order_by(inference.c.created_at).limit(most)


def oldest_text(before: datetime, most: int) -> Select[Any]:
    """The same among those that still have their text."""
    return oldest(before, most).where(inference.c.question_hash.is_not(None))
