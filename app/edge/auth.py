"""Who is calling: `authorization: Bearer <key>` -> `Caller`. Keys are compared as digests, in constant time.

The law of this file: a key is never kept, logged or repeated. What is known of one is remembered until the directory's
revision changes, which is looked at every other second: no request waits for the database, a revoked key is refused
within seconds, and with the database away the keys that are known go on working.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import structlog

from router import keys as words
from router.budgets import applies
from router.domain import Caller, RateLimits
from router.errors import Forbidden, StoreUnavailable, Unauthorized

if TYPE_CHECKING:
    from collections.abc import Awaitable, Mapping, Sequence

    from pydantic import SecretStr

    from app.config.settings import KeyConfig
    from router.budgets import BudgetTerms
    from router.keys import KeyRecord
    from router.ports import Directory

_T = TypeVar("_T")
_SCHEME = "bearer"
_log = structlog.get_logger("gearbox.keys")

#: Whoever holds the master key; what it spends counts like everybody's.
MASTER = Caller(key_id="master", admin=True)
#: Seconds between two looks at the directory's revision.
WATCH_S = 2.0
#: Seconds after which even an unchanged key is looked up again, for a rotated one ends by the clock.
FRESH_S = 30.0
#: Seconds that the directory may take; where it just failed, requests do not wait for it at all.
PATIENCE_S = 5.0
#: Seconds for which an unknown key stays unknown, and how many of them are remembered.
UNKNOWN_S, UNKNOWN_KEPT = 1.0, 10_000


@dataclass(frozen=True, slots=True)
class _Static:
    digest: bytes
    caller: Caller


@dataclass(frozen=True, slots=True)
class _Known:
    """A looked-up key (None = there is none) and its caller; good while the revision is the same and it is fresh."""

    caller: Caller
    record: KeyRecord | None
    revision: int
    until: float


class KeyRing:
    """The keys of the configuration and of the directory.

    Without any, every caller with any key or none is the team `default`. Made by `open`.
    """

    def __init__(
        self,
        keys: tuple[KeyConfig, ...],
        master_key: SecretStr | None,
        directory: Directory,
        configured: Sequence[BudgetTerms] = (),
    ) -> None:
        self._static = tuple(
            _Static(_digest(key.key.get_secret_value()), static_caller(key, place))
            for place, key in enumerate(keys, start=1)
        )
        self._master = None if master_key is None else _digest(master_key.get_secret_value())
        self._directory = directory
        self._configured = tuple(configured)
        self._revision = 0
        self._reachable = True
        self._any_virtual = False
        self._virtual: dict[str, _Known] = {}
        self._budgets: dict[tuple[str, str], _Known] = {}
        self._watching: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls,
        keys: tuple[KeyConfig, ...],
        master_key: SecretStr | None,
        directory: Directory,
        configured: Sequence[BudgetTerms] = (),
        watch_s: float = WATCH_S,
    ) -> KeyRing:
        """Read what there is, and watch for changes.

        With the database away at the start the keys of the configuration are taken, and their budgets of the
        configuration counted; virtual keys, and budgets that were set elsewhere, are known once it is reached.
        """
        ring = cls(keys, master_key, directory, configured)
        try:
            await ring.refresh()
        except StoreUnavailable as error:
            _log.warning("serving without virtual keys until the database is there", why=error.message)
        for caller in (Caller(), MASTER, *(known.caller for known in ring._static)):
            await ring._with_budgets(caller)
        ring._watching = asyncio.create_task(ring._watch(watch_s), name="gearbox-keys")
        return ring

    @property
    def static_ids(self) -> frozenset[str]:
        """The ids of the keys of the configuration."""
        return frozenset(known.caller.key_id for known in self._static)

    @property
    def open_to_anyone(self) -> bool:
        """Whether anybody may call."""
        return not self._static and self._master is None and not self._any_virtual

    async def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller behind a request's headers.

        Raises:
            Unauthorized: no key, or one we do not know; the message never repeats it.
            StoreUnavailable: a key that is not remembered here, and the database is away.
        """
        key = _key(headers)
        if key is None:
            if self.open_to_anyone:
                return await self._with_budgets(Caller())
            raise Unauthorized("no API key given: send it as `Authorization: Bearer <key>`")
        digest = _digest(key)
        # Every key is compared, so that the time taken says nothing about which one came close.
        found = [known.caller for known in self._static if hmac.compare_digest(known.digest, digest)]
        if self._is_master(digest):
            return await self._with_budgets(MASTER)
        if found:
            return await self._with_budgets(found[0])
        if key.startswith(words.PREFIX):
            return await self._virtual_caller(words.digest(key))
        if self.open_to_anyone:
            return await self._with_budgets(Caller())
        raise _unknown()

    def require_master(self, headers: Mapping[str, str]) -> None:
        """Let nobody but the master key's holder pass.

        Raises:
            Unauthorized, Forbidden: no master key is configured, or this is not it.
        """
        key = _key(headers)
        if self._master is None:
            raise Forbidden("the admin API is closed: set master_key in gearbox.yaml (os.environ/NAME) to open it")
        if key is None:
            raise Unauthorized("the admin API needs the master key: send it as `Authorization: Bearer <key>`")
        if not self._is_master(_digest(key)):
            raise Forbidden("this is not the master key")

    async def refresh(self) -> None:
        """See whether keys or budgets have changed; whoever changes them here calls it."""
        try:
            revision = await self._asked(self._directory.revision())
            if revision != self._revision:
                self._any_virtual = await self._asked(self._directory.any_keys())
                self._revision = revision
        except Exception:
            self._reachable = False
            raise
        self._reachable = True

    async def aclose(self) -> None:
        """Stop watching."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _log.warning("keys cannot be looked at; those that are known go on working", why=error.message)
            except Exception:  # noqa: BLE001 - logged in full; a watcher that dies would be worse
                _log.exception("looking at the keys failed; it is tried again")

    def _is_master(self, digest: bytes) -> bool:
        return self._master is not None and hmac.compare_digest(self._master, digest)

    async def _virtual_caller(self, digest: str) -> Caller:
        known = self._virtual.get(digest)
        if known is None or known.revision != self._revision or time.monotonic() >= known.until:
            known = await self._looked_up(digest, known)
        if known.record is None or not known.record.usable(datetime.now(UTC)):
            raise _unknown()
        return known.caller

    async def _looked_up(self, digest: str, former: _Known | None) -> _Known:
        revision = self._revision
        try:
            self._require_reachable()
            record = await self._asked(self._directory.find(digest))
            caller = Caller() if record is None else await self._budgeted(virtual_caller(record))
        except StoreUnavailable:
            if former is None or former.record is None:
                raise
            return former
        if len(self._virtual) >= UNKNOWN_KEPT:
            self._virtual = {key: known for key, known in self._virtual.items() if known.record is not None}
        fresh_s = UNKNOWN_S if record is None else FRESH_S
        known = _Known(caller, record, revision, time.monotonic() + fresh_s)
        self._virtual[digest] = known
        return known

    async def _with_budgets(self, caller: Caller) -> Caller:
        """A caller of the configuration with its budgets, remembered like a key."""
        place = (caller.key_id, caller.team)
        known = self._budgets.get(place)
        if known is None or known.revision != self._revision:
            revision = self._revision
            try:
                self._require_reachable()
                self._budgets[place] = known = _Known(await self._budgeted(caller), None, revision, 0.0)
            except StoreUnavailable:
                if known is None:
                    bound = [each for each in self._configured if applies(each, caller.key_id, caller.team)]
                    return replace(caller, budgets=tuple(each.id for each in bound))
        return known.caller

    def _require_reachable(self) -> None:
        if not self._reachable:
            raise StoreUnavailable("keys cannot be looked up: the database is away; try again soon", retry_after_s=2.0)

    async def _asked(self, asked: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asked
        except TimeoutError as error:
            raise StoreUnavailable("keys cannot be looked up: the database does not answer") from error

    async def _budgeted(self, caller: Caller) -> Caller:
        terms = await self._asked(self._directory.budgets.of(caller.key_id, caller.team))
        return replace(caller, budgets=tuple(each.id for each in terms))


def static_caller(key: KeyConfig, place: int) -> Caller:
    """The caller of a static key, which stands at this place in the configuration, counted from 1."""
    return Caller(
        key_id=key.id or f"{key.team}-{place}",
        team=key.team,
        admin=key.admin,
        limits=RateLimits(**key.limits.model_dump()),
        policies=None if key.policies is None else frozenset(key.policies),
        tiers=None if key.tiers is None else frozenset(key.tiers),
        headers=key.headers,
    )


def virtual_caller(record: KeyRecord) -> Caller:
    """The caller of a virtual key, its budgets apart."""
    return Caller(
        record.id, record.team, record.admin, (), record.limits, record.policies, record.tiers, record.headers
    )


def _key(headers: Mapping[str, str]) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() or None if scheme.lower() == _SCHEME else None


def _unknown() -> Unauthorized:
    return Unauthorized("incorrect API key given: this Gearbox does not know it; ask its operator for one")


def _digest(key: str) -> bytes:
    return bytes.fromhex(words.digest(key))
