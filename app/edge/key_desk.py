"""What an operator does with keys and budgets, for the admin API and the command line alike.

The law of this file: a key is shown once, by `create` and `rotate`, and nowhere else. What comes in is checked here;
what goes out is JSON.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, ValidationError

from app.config.settings import BudgetConfig, KeyLimitsConfig, Seconds, Section, SharedBudgetConfig, Text
from app.edge.headers import DEFAULTABLE, wishes
from router.budgets import BudgetTerms, Period, Scope
from router.domain import RateLimits
from router.errors import NotFound, RequestError
from router.keys import KeyRecord, digest, new_key, new_key_id, shown
from router.pricing import nanousd_to_usd, usd_to_nanousd

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

    from router.budgets import Standing
    from router.ports import Bank, Directory


class KeySpec(Section):
    """What may be said of a key; what is left out stays as it is, or is not limited."""

    name: str = ""
    team: Text = "default"
    admin: bool = False
    policies: tuple[Text, ...] | None = None
    tiers: tuple[Text, ...] | None = None
    headers: dict[str, str] = Field(default_factory=dict)
    limits: KeyLimitsConfig = KeyLimitsConfig()
    budgets: tuple[BudgetConfig, ...] = ()
    expires_in_s: Seconds | None = Field(default=None, le=10 * 366 * 86_400)


class BudgetSpec(SharedBudgetConfig):
    """A budget for itself: a team's, everybody's, or a key's by its id."""

    key: Text | None = None


class RotateSpec(Section):
    """For how long the former key is still taken."""

    grace_s: float = Field(default=0.0, ge=0, le=30 * 86_400)


class KeyDesk:
    """Keys and budgets.

    Args:
        directory: where they are.
        bank: how budgets stand.
        changed: called after each change, so that this process knows it at once.
        static_ids: of the keys of the configuration; they may have budgets here, too.
    """

    def __init__(
        self,
        directory: Directory,
        bank: Bank,
        changed: Callable[[], Awaitable[None]],
        static_ids: Collection[str] = (),
    ) -> None:
        self._directory = directory
        self._bank = bank
        self._changed = changed
        self._static_ids = frozenset(static_ids)

    async def create(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new key; its secret stands in the answer, this once.

        Raises:
            RequestError: naming what is wrong.
        """
        spec = _read(KeySpec, given)
        secret, now = new_key(), datetime.now(UTC)
        record = _specified(KeyRecord(new_key_id(), shown(secret), spec.team, now), spec, spec.model_fields_set, now)
        # The budgets first: a key that exists without them could spend without limit for a moment.
        await self._set_budgets(_key_terms(record.id, spec))
        await self._directory.create(record, digest(secret))
        await self._changed()
        return {**await self.show(record.id), "key": secret}

    async def change(self, key_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Change what is given, and nothing else; `budgets` adds or changes those periods."""
        spec = _read(KeySpec, given)
        record = await self._known(key_id)
        changed = _specified(record, spec, spec.model_fields_set, datetime.now(UTC))
        terms = _key_terms(key_id, spec)
        if not await self._directory.change(changed):
            raise _revoked(key_id)
        await self._set_budgets(terms)
        await self._changed()
        return await self.show(key_id)

    async def rotate(self, key_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """A new secret for the same key, in the answer, this once."""
        grace_s = _read(RotateSpec, given).grace_s
        await self._known(key_id)
        secret = new_key()
        if not await self._directory.rotate(key_id, digest(secret), shown(secret), grace_s):
            raise _revoked(key_id)
        await self._changed()
        return {**await self.show(key_id), "key": secret}

    async def revoke(self, key_id: str) -> dict[str, Any]:
        """End a key for good."""
        await self._known(key_id)
        await self._directory.revoke(key_id)
        await self._changed()
        return await self.show(key_id)

    async def show(self, key_id: str) -> dict[str, Any]:
        """One key and how its budgets stand."""
        record = await self._known(key_id)
        terms = await self._directory.budgets.of(record.id, record.team)
        return {**_key_json(record), "budgets": await self._standings(terms)}

    async def all(self, team: str | None = None) -> list[dict[str, Any]]:
        """Every key, without budgets."""
        return [_key_json(record) for record in await self._directory.all() if team in (None, record.team)]

    async def budgets(self) -> list[dict[str, Any]]:
        """Every budget and how it stands."""
        return await self._standings(await self._directory.budgets.all())

    async def put_budget(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Add a budget or change its limits."""
        spec = _read(BudgetSpec, given)
        if spec.key is not None and spec.team is not None:
            raise RequestError("a budget is a key's, a team's or (with neither) everybody's", param="key")
        if spec.key is not None:
            if spec.key not in self._static_ids:
                await self._known(spec.key)  # one of a mistyped key would bound nobody
            terms = _terms(Scope.KEY, spec.key, spec)
        else:
            terms = _terms(Scope.GLOBAL if spec.team is None else Scope.TEAM, spec.team or "", spec)
        await self._directory.budgets.put(terms)
        await self._changed()
        return (await self._standings([terms]))[0]

    async def remove_budget(self, budget: str) -> dict[str, Any]:
        """Forget a budget."""
        if not await self._directory.budgets.remove(budget):
            raise NotFound(f"there is no budget {budget[:200]!r}", param="budget")
        await self._changed()
        return {"id": budget, "object": "gearbox.budget", "removed": True}

    async def _known(self, key_id: str) -> KeyRecord:
        record = await self._directory.get(key_id)
        if record is None:
            raise NotFound(f"there is no key with the id {key_id[:80]!r}", param="id")
        return record

    async def _set_budgets(self, terms: Sequence[BudgetTerms]) -> None:
        for each in terms:
            await self._directory.budgets.put(each)

    async def _standings(self, terms: Sequence[BudgetTerms]) -> list[dict[str, Any]]:
        return [_standing_json(each) for each in await self._bank.standings([each.id for each in terms])]


def _read(kind: type[Any], given: Mapping[str, Any]) -> Any:
    """A body in its shape; JSON has no tuples, so that is not held against it."""
    try:
        return kind.model_validate(given, strict=False)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        param = ".".join(str(part) for part in first["loc"])
        raise RequestError(f"{param}: {first['msg']}", param=param) from error


def _specified(record: KeyRecord, spec: KeySpec, given: set[str], now: datetime) -> KeyRecord:
    unknown = sorted(set(spec.headers) - set(DEFAULTABLE))
    if unknown:
        known = ", ".join(DEFAULTABLE)
        raise RequestError(f"{unknown[0]} is no header with a default; those are {known}", param="headers")
    wishes(spec.headers)
    values: dict[str, Any] = {name: getattr(spec, name) for name in given & {"name", "team", "admin", "headers"}}
    for name in given & {"policies", "tiers"}:
        chosen = getattr(spec, name)
        values[name] = None if chosen is None else frozenset(chosen)
    if "limits" in given:
        values["limits"] = RateLimits(**spec.limits.model_dump())
    if "expires_in_s" in given:
        values["expires_at"] = None if spec.expires_in_s is None else now + timedelta(seconds=spec.expires_in_s)
    return replace(record, **values)


def _key_terms(key_id: str, spec: KeySpec) -> list[BudgetTerms]:
    """All of a key's budgets, checked before anything is written: what is wrong with one changes nothing."""
    return [_terms(Scope.KEY, key_id, each) for each in spec.budgets]


def _terms(scope: Scope, owner: str, each: BudgetConfig) -> BudgetTerms:
    if each.usd is None and each.soft_usd is None:
        raise RequestError("a budget needs usd, soft_usd or both", param="budgets")
    limit = None if each.usd is None else usd_to_nanousd(each.usd)
    soft = None if each.soft_usd is None else usd_to_nanousd(each.soft_usd)
    return BudgetTerms(scope, owner, Period(each.per), limit, soft)


def _revoked(key_id: str) -> RequestError:
    return RequestError(f"the key {key_id[:80]!r} is revoked for good; create another", param="id")


def _key_json(record: KeyRecord) -> dict[str, Any]:
    status: Literal["active", "revoked", "expired"] = "active"
    if record.revoked_at is not None:
        status = "revoked"
    elif not record.usable(datetime.now(UTC)):
        status = "expired"
    return {
        "id": record.id,
        "object": "gearbox.key",
        "name": record.name,
        "team": record.team,
        "shown": record.shown,
        "status": status,
        "admin": record.admin,
        "policies": None if record.policies is None else sorted(record.policies),
        "tiers": None if record.tiers is None else sorted(record.tiers),
        "headers": dict(record.headers),
        "limits": {
            "requests_per_minute": record.limits.requests_per_minute,
            "tokens_per_minute": record.limits.tokens_per_minute,
            "concurrent_requests": record.limits.concurrent_requests,
        },
        "created_at": record.created_at.isoformat(),
        "expires_at": None if record.expires_at is None else record.expires_at.isoformat(),
        "revoked_at": None if record.revoked_at is None else record.revoked_at.isoformat(),
    }


def _standing_json(standing: Standing) -> dict[str, Any]:
    terms = standing.terms
    return {
        "id": terms.id,
        "object": "gearbox.budget",
        "scope": terms.scope,
        "owner": terms.owner,
        "per": terms.period,
        "usd": _usd(terms.limit_nanousd),
        "soft_usd": _usd(terms.soft_nanousd),
        "spent_usd": _usd(standing.spent_nanousd),
        "reserved_usd": _usd(standing.reserved_nanousd),
        "left_usd": _usd(standing.unspent_nanousd),
        "resets_at": None if standing.resets_at is None else standing.resets_at.isoformat(),
    }


def _usd(nanousd: int | None) -> float | None:
    return None if nanousd is None else nanousd_to_usd(nanousd)
