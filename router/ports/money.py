"""Who may spend what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from router.budgets import BudgetTerms, Standing
    from router.keys import KeyRecord


class Hold(Protocol):
    """Money set aside for one call."""

    @property
    def nanousd(self) -> int:
        """How much."""


class Ledger(Protocol):
    """Budgets that outlive a request. A caller without budgets never comes here."""

    async def reserve(self, budgets: Sequence[str], nanousd: int, wait_s: float) -> Hold:
        """Set a call's worst case aside in all of these budgets, or in none.

        What fails only because of others' open reservations is waited for, at most `wait_s` seconds.

        Raises:
            QuotaSpent: what is settled already leaves too little.
            RateLimited: others' reservations leave too little, and still did after the wait.
            StoreUnavailable: the ledger is away, and what this worker may spend without asking is used up.
        """

    def settle(self, hold: Hold, cost_nanousd: int) -> None:
        """Pay what the call really cost and give the rest back. It never waits, so that it is safe in any `finally`."""

    def soft_reached(self, budgets: Sequence[str]) -> tuple[str, ...]:
        """Those of these budgets whose soft limit is reached, as far as this worker knows."""

    async def aclose(self) -> None:
        """Settle everything and give back what is unspent."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What one worker says about one budget: spent since the last one, and how much it keeps reserved.

    A worker numbers its settlements from 1 upwards, so that one that is sent twice counts once.
    """

    budget: str
    seq: int
    spent_nanousd: int
    keep_nanousd: int


class Bank(Protocol):
    """The truth about budgets: SQL in production. Workers borrow from it and settle with it (`storage.money.ledger`).

    Its law: for each budget, spent + reserved never falls below what was truly spent plus everything that any worker
    may still spend. So a limit holds whatever dies.
    """

    async def lend(self, worker: str, amounts: Mapping[str, int]) -> Mapping[str, Standing]:
        """Reserve all of these amounts (budget -> nano-dollars) for a worker, or none; how the budgets stand then.

        A budget that does not exist bounds nothing: it is missing in the answer.

        Raises:
            Refused: one of them does not fit.
            Forfeited: nothing was lent, and everything lent before to this worker counts as spent.
            StoreUnavailable: nobody knows whether it was done; the next settlement's `keep_nanousd` puts it right.
        """

    async def settle(self, worker: str, settlements: Sequence[Settlement]) -> Mapping[str, Standing]:
        """Book these; how the budgets stand then. One that is missing in the answer holds nothing of the worker's.

        That is so where the worker was taken for dead and all of it counted as spent. What was lent of a budget that is
        removed stays lent, and counts as reserved if it is set again.
        """

    async def renew(self, worker: str) -> None:
        """Say that the worker lives; to be repeated well within the time after which it counts as dead."""

    async def reap(self) -> int:
        """Count what dead workers had reserved as spent: at worst they spent it. How many reservations that were."""

    async def standings(self, budgets: Sequence[str]) -> Sequence[Standing]:
        """How these budgets stand; those that do not exist are left out."""

    async def aclose(self) -> None:
        """Give connections of its own back."""


class Budgets(Protocol):
    """Budgets as operators set them; what is spent of them is the Bank's."""

    async def put(self, terms: BudgetTerms) -> None:
        """Add a budget or change its limits; RequestError where it stands in the configuration."""

    async def remove(self, budget: str) -> bool:
        """Forget one; False where there is none, RequestError where it stands in the configuration."""

    async def configure(self, wanted: Sequence[BudgetTerms]) -> None:
        """Make these the budgets of the configuration, adding, changing and removing."""

    async def of(self, key_id: str, team: str) -> Sequence[BudgetTerms]:
        """Every budget that counts what this caller spends, by id."""

    async def all(self) -> Sequence[BudgetTerms]:
        """Every budget, by id."""


class Directory(Protocol):
    """Virtual keys as operators set them. Only digests of keys come here."""

    @property
    def budgets(self) -> Budgets:
        """The budgets beside them."""

    async def revision(self) -> int:
        """A number that is another one after every change to keys or budgets."""

    async def any_keys(self) -> bool:
        """Whether there is a key that was not revoked."""

    async def find(self, digest: str) -> KeyRecord | None:
        """The key with this digest, or whose former digest it still is for a while; revoked ones too."""

    async def get(self, key_id: str) -> KeyRecord | None:
        """The key of this id."""

    async def all(self) -> Sequence[KeyRecord]:
        """Every key ever made, the oldest first."""

    async def create(self, record: KeyRecord, digest: str) -> None:
        """Add a key."""

    async def change(self, record: KeyRecord) -> bool:
        """Change everything but id, digest and times; False where there is no such key, or it is revoked."""

    async def rotate(self, key_id: str, digest: str, shown: str, grace_s: float) -> bool:
        """Give it a new secret; the former one is taken for `grace_s` more. False as for `change`."""

    async def revoke(self, key_id: str) -> bool:
        """For good. False as for `change`."""
