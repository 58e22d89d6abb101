"""The Directory in memory: keys and budgets of one process, forgotten at its end. It shares a bank's budgets."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from router.budgets import applies
from storage.money.bank_memory import MemoryBank
from storage.money.budgets import configured_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from router.budgets import BudgetTerms
    from router.keys import KeyRecord


@dataclass(slots=True)
class _Known:
    record: KeyRecord
    digest: str
    former: str = ""
    former_until: datetime | None = None


class MemoryBudgets:
    """See `Budgets`; spending is the bank's."""

    def __init__(self, bank: MemoryBank) -> None:
        self._bank = bank
        self._terms: dict[str, BudgetTerms] = {}
        self._configured: set[str] = set()
        self.changes = 0

    async def put(self, terms: BudgetTerms) -> None:
        """See `Budgets`."""
        self._refuse_configured(terms.id)
        self._put(terms)

    async def remove(self, budget: str) -> bool:
        """See `Budgets`."""
        self._refuse_configured(budget)
        return self._remove(budget)

    async def configure(self, wanted: Sequence[BudgetTerms]) -> None:
        """See `Budgets`."""
        for budget in self._configured - {terms.id for terms in wanted}:
            self._remove(budget)
        for terms in wanted:
            if self._terms.get(terms.id) != terms:
                self._put(terms)
        self._configured = {terms.id for terms in wanted}

    async def of(self, key_id: str, team: str) -> Sequence[BudgetTerms]:
        """See `Budgets`."""
        return [terms for terms in await self.all() if applies(terms, key_id, team)]

    async def all(self) -> Sequence[BudgetTerms]:
        """See `Budgets`."""
        return [self._terms[budget] for budget in sorted(self._terms)]

    def _put(self, terms: BudgetTerms) -> None:
        self._terms[terms.id] = terms
        self._bank.put(terms)
        self.changes += 1

    def _remove(self, budget: str) -> bool:
        self._bank.remove(budget)
        self.changes += 1
        return self._terms.pop(budget, None) is not None

    def _refuse_configured(self, budget: str) -> None:
        if budget in self._configured:
            raise configured_elsewhere(budget)


class MemoryDirectory:
    """See `Directory`."""

    def __init__(self, bank: MemoryBank | None = None, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._keys: dict[str, _Known] = {}
        self._changes = 0
        self.budgets = MemoryBudgets(bank or MemoryBank(clock=clock))

    async def revision(self) -> int:
        """See `Directory`."""
        return self._changes + self.budgets.changes

    async def any_keys(self) -> bool:
        """See `Directory`."""
        return any(known.record.revoked_at is None for known in self._keys.values())

    async def find(self, digest: str) -> KeyRecord | None:
        """See `Directory`."""
        for known in self._keys.values():
            former = known.former == digest and known.former_until is not None and known.former_until > self._now()
            if known.digest == digest or former:
                return known.record
        return None

    async def get(self, key_id: str) -> KeyRecord | None:
        """See `Directory`."""
        known = self._keys.get(key_id)
        return None if known is None else known.record

    async def all(self) -> Sequence[KeyRecord]:
        """See `Directory`."""
        return sorted(
            (known.record for known in self._keys.values()), key=lambda record: (record.created_at, record.id)
        )

    async def create(self, record: KeyRecord, digest: str) -> None:
        """See `Directory`."""
        self._keys[record.id] = _Known(record, digest)
        self._changes += 1

    async def change(self, record: KeyRecord) -> bool:
        """See `Directory`."""
        known = self._living(record.id)
        if known is not None:
            known.record = record
        return known is not None

    async def rotate(self, key_id: str, digest: str, shown: str, grace_s: float) -> bool:
        """See `Directory`."""
        known = self._living(key_id)
        if known is not None:
            known.former, known.former_until = known.digest, self._now() + timedelta(seconds=grace_s)
            known.digest, known.record = digest, replace(known.record, shown=shown)
        return known is not None

    async def revoke(self, key_id: str) -> bool:
        """See `Directory`."""
        known = self._living(key_id)
        if known is not None:
            known.former_until = None
            known.record = replace(known.record, revoked_at=self._now())
        return known is not None

    def _living(self, key_id: str) -> _Known | None:
        known = self._keys.get(key_id)
        self._changes += 1
        return None if known is None or known.record.revoked_at is not None else known

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)
