"""Who is calling: `authorization: Bearer <key>` -> `Caller`. Keys are compared as digests, in constant time."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from router.domain import Caller
from router.errors import Unauthorized

if TYPE_CHECKING:
    from collections.abc import Mapping

    from app.settings import KeyConfig

_SCHEME = "bearer"


@dataclass(frozen=True, slots=True)
class _Known:
    digest: bytes
    caller: Caller


class StaticKeys:
    """The keys of the configuration. Without any, every caller with any key or none is the team `default`."""

    def __init__(self, keys: tuple[KeyConfig, ...]) -> None:
        self._known = tuple(
            _Known(
                _digest(key.key.get_secret_value()),
                Caller(key_id=key.id or f"{key.team}-{place}", team=key.team, admin=key.admin),
            )
            for place, key in enumerate(keys, start=1)
        )

    @property
    def open(self) -> bool:
        """Whether anybody may call."""
        return not self._known

    def identify(self, headers: Mapping[str, str]) -> Caller:
        """The caller behind a request's headers.

        Raises:
            Unauthorized: no key, or one we do not know; the message never repeats it.
        """
        if self.open:
            return Caller()
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != _SCHEME or not key.strip():
            raise Unauthorized("no API key given: send it as `Authorization: Bearer <key>`")
        digest = _digest(key.strip())
        # Every key is compared, so that the time taken says nothing about which one came close.
        found = [known.caller for known in self._known if hmac.compare_digest(known.digest, digest)]
        if not found:
            raise Unauthorized("incorrect API key given: this Gearbox does not know it; ask its operator for one")
        return found[0]


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
