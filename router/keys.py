"""Virtual keys: what an operator says about one, and how a key is made and recognised.

The law of this file: a key itself is seen once, by whoever made it; everything else knows its sha256. A key holds 256
random bits, so a plain digest is as good as a slow one: there is nothing to guess.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from router.domain import RateLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

#: Every virtual key begins with this, so that secret scanners and people recognise it.
PREFIX = "sk-gbx-"
_BYTES = 32
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One virtual key, without the key.

    `shown` are its first and last letters; `policies` and `tiers` the only ones it may use, None = all; `headers` its
    defaults for `x-gearbox-*` request headers.
    """

    id: str
    shown: str
    team: str
    created_at: datetime
    name: str = ""
    admin: bool = False
    policies: frozenset[str] | None = None
    tiers: frozenset[str] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    limits: RateLimits = field(default_factory=RateLimits)
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def usable(self, now: datetime) -> bool:
        """Whether it opens anything at that time."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def new_key() -> str:
    """A new secret."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def new_key_id() -> str:
    """An id for a key; it is no secret."""
    return f"key-{secrets.token_hex(6)}"


def digest(key: str) -> str:
    """What is kept of a key: its sha256, hex."""
    return hashlib.sha256(key.encode()).hexdigest()


def shown(key: str) -> str:
    """Enough of a key to recognise it by."""
    return f"{PREFIX}...{key[-_SHOWN:]}"
