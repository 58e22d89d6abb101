"""The Bank in SQL: the truth about budgets, on SQLite and PostgreSQL alike.

The law of this file: one transaction an operation, and no sum over history, ever. A reservation is one conditional
UPDATE per budget, in the order of their ids, so that two transactions never wait for each other in a circle; whoever
touches a reservation locks its budget first. The time is the database's: workers' clocks decide nothing, and a window
only ever moves forward, so that a clock set back gives no second allowance.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, case, delete, not_, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from router.budgets import BudgetTerms, Period, Scope, Standing, removed, window
from router.errors import Refused, StoreUnavailable
from storage.clock import database_time
from storage.engine import writing
from storage.faults import guard
from storage.money.bank_memory import LEASE_TTL_S, kept_nanousd, tightest
from storage.money.schema import budget as budgets
from storage.money.schema import reservation as reservations

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.engine import RowMapping as Row
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from router.ports import Settlement

#: Before the generation in the names of pools (`bank_redis`).
POOL = "redis:"
_IS_POOL = reservations.c.worker.startswith(POOL, autoescape=True)
#: A window may end while it is looked at; more than a few times in a row is a fault.
_ROUNDS = 5


class _Refusal(Exception):
    """A conditional update matched nothing: no room, a window that has ended, or no such budget."""


class SqlBank:
    """Budgets and reservations in SQL.

    Args:
        engine: whose tables are up to date; not closed here.
        ttl_s: after how many seconds of silence a worker counts as dead.
        clock: seconds since the epoch instead of the database's own time; for tests.
        pools: whether a pool (`bank_redis`) dies like a worker: only where no Redis is configured any more.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        ttl_s: float = LEASE_TTL_S,
        clock: Callable[[], float] | None = None,
        pools: bool = True,
    ) -> None:
        self.engine = engine
        self._pools = pools
        self._ttl = timedelta(seconds=ttl_s)
        self._clock = clock

    async def lend(self, worker: str, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        """See `Bank`."""
        wanted = dict(sorted(amounts.items()))
        with guard("reserving in the ledger"):
            for _ in range(_ROUNDS):
                try:
                    async with writing(self.engine).begin() as connection:
                        return await self._lend(connection, worker, wanted)
                except _Refusal:
                    found = await self._look(wanted)
                    wanted = {budget: amount for budget, amount in wanted.items() if budget in found}
        raise StoreUnavailable("the ledger's windows end faster than they can be looked at: check the database's clock")

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> Mapping[str, Standing]:
        """See `Bank`."""
        by_budget = {each.budget: each for each in settlements}
        with guard("settling with the ledger"):
            async with writing(self.engine).begin() as connection:
                known = await self._locked(connection, by_budget)
                held = await _held(connection, worker, by_budget)
                for budget in sorted(held):
                    if held[budget]["seq"] < by_budget[budget].seq:
                        booked = await _book(connection, worker, by_budget[budget], held)
                        known.update({} if booked is None else {budget: booked})
                return {budget: known.get(budget) or removed(budget) for budget in held}

    async def charge(
        self, worker: str, spent: Mapping[str, int], released: Mapping[str, int], beyond: Mapping[str, int]
    ) -> Mapping[str, Standing]:
        """Move money of a reservation that several share (`bank_redis`) to spent, and give some back.

        Unlike `settle` it adds, and no number tells it of a repetition. So it books at most what is still reserved: all
        that is spent was reserved once, and what is reserved no more was counted as spent before. What is still
        reserved is never more than what is still unspent, and so the books never fall short either.

        Args:
            worker: whose reservation.
            spent: by budget, as far as it was reserved.
            released: by budget; free again.
            beyond: by budget, what an upstream billed above its reservation; booked all the same.
        """
        wanted = sorted({*spent, *released, *beyond})
        with guard("settling with the ledger"):
            async with writing(self.engine).begin() as connection:
                known = await self._locked(connection, wanted)
                held = await _held(connection, worker, wanted)
                for budget in sorted(known.keys() | held.keys()):
                    before = held[budget]["amount_nanousd"] if budget in held else 0
                    booked = min(spent.get(budget, 0), before)
                    left = max(before - booked - released.get(budget, 0), 0)
                    mine = (reservations.c.worker == worker) & (reservations.c.budget_id == budget)
                    await connection.execute(update(reservations).where(mine).values(amount_nanousd=left))
                    moved = _moved(budget, booked + beyond.get(budget, 0), left - before)
                    row = (await connection.execute(moved)).mappings().one_or_none()
                    known.update({} if row is None else {budget: _standing(row)})
        return known

    async def renew(self, worker: str) -> None:
        """See `Bank`."""
        with guard("renewing reservations"):
            async with writing(self.engine).begin() as connection:
                until = await self.time(connection) + self._ttl
                # An empty one may expire: it is reaped for nothing, and so the table keeps no budget of long ago.
                mine = reservations.c.worker == worker, reservations.c.amount_nanousd > 0
                # In the order in which everybody locks them: an update alone takes them as they lie.
                locked = select(reservations.c.budget_id).where(*mine).order_by(reservations.c.budget_id)
                await connection.execute(locked.with_for_update())
                await connection.execute(update(reservations).where(*mine).values(expires_at=until))

    async def reserved(self, worker: str) -> Mapping[str, int]:
        """What is reserved for a worker, or for a pool, by budget."""
        mine = select(reservations).where(reservations.c.worker == worker, reservations.c.amount_nanousd > 0)
        with guard("reading reservations"):
            async with self.engine.begin() as connection:
                rows = (await connection.execute(mine)).mappings().all()
        return {row["budget_id"]: row["amount_nanousd"] for row in rows}

    async def forfeit(self, worker: str, budget: str, amount_nanousd: int) -> None:
        """Count a reservation as spent if it is still exactly this; whoever comes second finds another amount."""
        mine = (reservations.c.worker == worker) & (reservations.c.budget_id == budget)
        unchanged = mine & (reservations.c.amount_nanousd == amount_nanousd)
        with guard("settling what was lost on its way"):
            async with writing(self.engine).begin() as connection:
                await self._locked(connection, [budget])
                gone = await connection.execute(update(reservations).where(unchanged).values(amount_nanousd=0))
                if gone.rowcount:
                    await connection.execute(_moved(budget, amount_nanousd, -amount_nanousd))

    async def reap(self) -> int:
        """See `Bank`; pools are left to `reap_pools` where there is a Redis that knows whether they live."""
        return await self._reap_all(None if self._pools else not_(_IS_POOL))

    async def reap_pools(self, living: str) -> int:
        """Count what was reserved for pools that Redis has lost as spent; `living` is the one it knows."""
        return await self._reap_all(and_(_IS_POOL, reservations.c.worker != living))

    async def standings(self, budgets: Sequence[str]) -> Sequence[Standing]:
        """See `Bank`; a window that has ended is shown as the new one, and nothing is written."""
        with guard("reading budgets"):
            async with self.engine.begin() as connection:
                rows = await _rows(connection, budgets)
                now = await self.time(connection)
        return [_rolled(_standing(row), now) for row in rows]

    async def aclose(self) -> None:
        """Nothing of its own to close."""

    @property
    def _now(self) -> ColumnElement[datetime]:
        """The time, as an expression of the database."""
        return database_time(self.engine, self._clock)

    async def time(self, connection: AsyncConnection) -> datetime:
        """The database's time, or the test's."""
        now: datetime = (await connection.execute(select(self._now))).scalar_one()
        return now

    async def _lend(self, connection: AsyncConnection, worker: str, wanted: Mapping[str, int]) -> dict[str, Standing]:
        lent: dict[str, Standing] = {}
        for budget, amount in wanted.items():
            row = (await connection.execute(_conditional(budget, amount, self._now))).mappings().one_or_none()
            if row is None:
                raise _Refusal
            lent[budget] = _standing(row)
            await connection.execute(self._held_more(connection, worker, budget, amount, row["now"]))
        return lent

    def _held_more(self, connection: AsyncConnection, worker: str, budget: str, amount: int, now: datetime) -> Any:
        dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
        row = {"worker": worker, "budget_id": budget, "amount_nanousd": amount, "seq": 0, "expires_at": now + self._ttl}
        statement = dialect.insert(reservations).values(row)
        return statement.on_conflict_do_update(
            index_elements=["worker", "budget_id"],
            set_={
                "amount_nanousd": reservations.c.amount_nanousd + statement.excluded.amount_nanousd,
                "expires_at": statement.excluded.expires_at,
            },
        )

    async def _look(self, wanted: Mapping[str, int]) -> Collection[str]:
        """Why a reservation failed: begins new windows, and tells which budgets there are.

        Raises:
            Refused: there is no room.
        """
        async with writing(self.engine).begin() as connection:
            known = await self._locked(connection, wanted)
        refusing = tightest(known.values(), wanted)
        if refusing is not None:
            raise Refused(refusing)
        return known

    async def _locked(self, connection: AsyncConnection, wanted: Collection[str]) -> dict[str, Standing]:
        """These budgets, locked until the transaction ends, in their current windows."""
        rows = await _rows(connection, wanted, lock=True)
        now = await self.time(connection)
        current: dict[str, Standing] = {}
        for row in rows:
            standing = _standing(row)
            current[row["id"]] = rolled = _rolled(standing, now)
            if rolled is not standing:
                start, end = window(standing.terms.period, now)
                values = {"spent_nanousd": 0, "window_start": start, "window_end": end}
                await connection.execute(update(budgets).where(budgets.c.id == row["id"]).values(values))
        return current

    async def _reap_all(self, which: ColumnElement[bool] | None) -> int:
        dead = reservations.c.expires_at <= self._now
        if which is not None:
            dead = and_(dead, which)
        with guard("settling what dead workers had reserved"):
            async with self.engine.begin() as connection:
                found = await connection.execute(select(reservations.c.budget_id).where(dead).distinct())
                budgets = sorted(found.scalars())
            return sum([await self._reap(budget, dead) for budget in budgets])

    async def _reap(self, budget: str, dead: ColumnElement[bool]) -> int:
        async with writing(self.engine).begin() as connection:
            await self._locked(connection, [budget])
            ended = delete(reservations).where(reservations.c.budget_id == budget, dead)
            found = await connection.execute(ended.returning(reservations.c.amount_nanousd))
            amounts = list(found.scalars())
            await connection.execute(_moved(budget, sum(amounts), -sum(amounts)))
        return len(amounts)


def _conditional(budget: str, amount: int, now: ColumnElement[datetime]) -> Any:
    """The reservation itself: it matches only where there is room, and the window has not ended."""
    room = budgets.c.spent_nanousd + budgets.c.reserved_nanousd + amount <= budgets.c.limit_nanousd
    return (
        update(budgets)
        .where(
            budgets.c.id == budget,
            or_(budgets.c.window_end.is_(None), budgets.c.window_end > now),
            or_(budgets.c.limit_nanousd.is_(None), room),
        )
        .values(reserved_nanousd=budgets.c.reserved_nanousd + amount)
        .returning(*budgets.c, now.label("now"))
    )


def _moved(budget: str, spent_nanousd: int, reserved_nanousd: int) -> Any:
    """Add to both columns; the database adds. What is reserved never falls below 0."""
    left = budgets.c.reserved_nanousd + reserved_nanousd
    values = {
        "spent_nanousd": budgets.c.spent_nanousd + spent_nanousd,
        "reserved_nanousd": case((left < 0, 0), else_=left),
    }
    return update(budgets).where(budgets.c.id == budget).values(values).returning(*budgets.c)


async def _book(connection: AsyncConnection, worker: str, each: Settlement, held: Mapping[str, Any]) -> Standing | None:
    """How the budget stands then; None where it was removed."""
    before = held[each.budget]["amount_nanousd"]
    kept = kept_nanousd(before, each)
    mine = (reservations.c.worker == worker) & (reservations.c.budget_id == each.budget)
    await connection.execute(update(reservations).where(mine).values(amount_nanousd=kept, seq=each.seq))
    row = (await connection.execute(_moved(each.budget, each.spent_nanousd, kept - before))).mappings().one_or_none()
    return None if row is None else _standing(row)


async def _held(connection: AsyncConnection, worker: str, wanted: Collection[str]) -> dict[str, Any]:
    mine = select(reservations).where(reservations.c.worker == worker, reservations.c.budget_id.in_(wanted))
    return {row["budget_id"]: row for row in (await connection.execute(mine)).mappings()}


async def _rows(connection: AsyncConnection, wanted: Collection[str], *, lock: bool = False) -> Sequence[Any]:
    statement = select(budgets).where(budgets.c.id.in_(wanted)).order_by(budgets.c.id)
    return (await connection.execute(statement.with_for_update() if lock else statement)).mappings().all()


def _standing(row: Row) -> Standing:
    return Standing(terms_of(row), row["spent_nanousd"], row["reserved_nanousd"], row["window_end"])


def terms_of(row: Row) -> BudgetTerms:
    """A budget row's terms."""
    return BudgetTerms(
        Scope(row["scope"]), row["owner"], Period(row["period"]), row["limit_nanousd"], row["soft_nanousd"]
    )


def _rolled(standing: Standing, now: datetime) -> Standing:
    """In a new window where the old one has ended; what is reserved goes along. The same object where it has not."""
    if standing.resets_at is None or standing.resets_at > now:
        return standing
    return Standing(standing.terms, 0, standing.reserved_nanousd, window(standing.terms.period, now)[1])
