"""What every Directory promises of keys and budgets: the same tests over memory, SQLite and PostgreSQL."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router.budgets import BudgetTerms, Period, Scope
from router.domain import RateLimits
from router.errors import RequestError
from router.keys import KeyRecord, digest, new_key, new_key_id, shown
from storage.engine import create_engine
from storage.migrate import migrate
from storage.money.bank_sql import SqlBank
from storage.money.keys import SqlDirectory
from storage.money.keys_memory import MemoryDirectory

SECRET = new_key()
MONTHLY = BudgetTerms(Scope.KEY, "key-1", Period.MONTH, 10_000, 8_000)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
async def directory(request, clock):
    if request.param == "memory":
        yield MemoryDirectory(clock=clock)
        return
    engine = create_engine(request.getfixturevalue(f"{request.param}_url"))
    await migrate(engine)
    yield SqlDirectory(engine, clock)
    await engine.dispose()


def record(**changes):
    made = KeyRecord(
        id="key-1",
        shown=shown(SECRET),
        team="blue",
        created_at=datetime(2026, 3, 1, tzinfo=UTC),
        name="search \x00 service",
        policies=frozenset({"auto", "llm-at"}),
        headers={"x-gearbox-tags": "app=search"},
        limits=RateLimits(60, 100_000, 8),
    )
    return replace(made, **changes)


async def test_a_key_is_found_by_its_digest_with_everything_that_was_said_of_it(directory):
    await directory.create(record(name="search"), digest(SECRET))
    assert await directory.find(digest(SECRET)) == record(name="search")
    assert await directory.find(digest("sk-gbx-other")) is None


async def test_a_rotated_key_is_taken_under_both_names_for_the_grace_period_only(directory, clock):
    await directory.create(record(), digest(SECRET))
    new = new_key()
    assert await directory.rotate("key-1", digest(new), shown(new), grace_s=60)
    assert (await directory.find(digest(SECRET))).shown == shown(new)
    clock.now += 61
    assert await directory.find(digest(SECRET)) is None
    assert (await directory.find(digest(new))).id == "key-1"


async def test_a_revoked_key_is_not_usable_and_cannot_be_changed_back(directory, clock):
    await directory.create(record(), digest(SECRET))
    assert (await directory.find(digest(SECRET))).usable(datetime.fromtimestamp(clock(), UTC))
    assert await directory.revoke("key-1")
    assert not (await directory.find(digest(SECRET))).usable(datetime.fromtimestamp(clock(), UTC))
    assert not await directory.rotate("key-1", "x", "y", 0)
    assert not await directory.change(record(team="red"))
    assert not await directory.revoke("key-1")
    assert not await directory.any_keys()


async def test_a_key_ends_when_it_expires(directory):
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert record(expires_at=now + timedelta(seconds=1)).usable(now)
    assert not record(expires_at=now).usable(now)


async def test_changes_are_seen_and_counted(directory):
    seen = {await directory.revision()}
    await directory.create(record(), digest(SECRET))
    seen.add(await directory.revision())
    await directory.change(record(team="red", limits=RateLimits()))
    seen.add(await directory.revision())
    await directory.budgets.put(MONTHLY)
    seen.add(await directory.revision())
    await directory.budgets.remove(MONTHLY.id)
    seen.add(await directory.revision())
    assert len(seen) == 5
    assert (await directory.get("key-1")).team == "red"
    assert [each.id for each in await directory.all()] == ["key-1"]


async def test_the_budgets_of_a_caller_are_its_own_its_teams_and_everybodys(directory):
    others = [
        BudgetTerms(Scope.KEY, "key-2", Period.DAY, 1),
        BudgetTerms(Scope.TEAM, "blue", Period.DAY, 1),
        BudgetTerms(Scope.TEAM, "red", Period.DAY, 1),
        BudgetTerms(Scope.GLOBAL, "", Period.TOTAL, None),
    ]
    for terms in (MONTHLY, *others):
        await directory.budgets.put(terms)
    found = await directory.budgets.of("key-1", "blue")
    assert [terms.id for terms in found] == ["global::total", "key:key-1:month", "team:blue:day"]


async def test_configured_budgets_are_changed_by_the_configuration_alone(directory):
    await directory.budgets.configure([MONTHLY])
    before = await directory.revision()
    await directory.budgets.configure([MONTHLY])
    assert await directory.revision() == before
    with pytest.raises(RequestError, match=r"gearbox\.yaml"):
        await directory.budgets.put(MONTHLY)
    with pytest.raises(RequestError, match=r"gearbox\.yaml"):
        await directory.budgets.remove(MONTHLY.id)
    await directory.budgets.configure([])
    assert await directory.budgets.all() == []


async def test_changing_a_limit_keeps_what_is_spent(sql_engine, clock):
    directory, bank = SqlDirectory(sql_engine, clock), SqlBank(sql_engine, clock=clock)
    await directory.budgets.put(MONTHLY)
    await bank.lend("w", {MONTHLY.id: 700})
    await directory.budgets.put(replace(MONTHLY, limit_nanousd=20_000))
    (found,) = await bank.standings([MONTHLY.id])
    assert (found.reserved_nanousd, found.free_nanousd) == (700, 19_300)


def test_a_key_has_256_random_bits_and_ids_tell_nothing_of_it():
    key = new_key()
    assert key.startswith("sk-gbx-")
    assert len(key) == 7 + 43
    assert key[7:] not in shown(key)
    assert new_key_id() != new_key_id()


async def test_a_budgets_first_window_is_the_databases_whatever_time_a_replica_has(sql_engine, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 4_000_000_000.0)  # in 2096
    await SqlDirectory(sql_engine).budgets.put(BudgetTerms(Scope.GLOBAL, "", Period.DAY, 1_000))
    monkeypatch.undo()
    (found,) = await SqlBank(sql_engine).standings(["global::day"])
    assert found.resets_at < datetime.now(UTC) + timedelta(days=2)
