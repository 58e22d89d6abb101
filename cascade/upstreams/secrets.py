"""What of an endpoint must never be told: its key, and the secrets among its vendor's own parameters.

The law of this file: pure; it shows a secret to the wire alone.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from router.endpoints import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router.endpoints import Endpoint

_MASK = b"***"
#: A token of Google's, which an account's key was exchanged for.
_TOKEN = re.compile(rb"ya29\.[\w.-]+")
#: A line of a key that is shorter gives nothing away, and cutting it out would make other words unreadable.
_SHORTEST = 8


def shown(value: Any) -> Any:
    """A parameter as the wire needs it."""
    return value.get_secret_value() if isinstance(value, Secret) else value


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """Every text that must be cut out of what others may see, the longest first."""
    found = [value.get_secret_value() for value in endpoint.params.values() if isinstance(value, Secret)]
    if endpoint.api_key is not None:
        found.append(endpoint.api_key.get_secret_value())
    return tuple(sorted({part for text in found for part in _parts(text)}, key=len, reverse=True))


def masked(content: bytes, secrets: Sequence[str]) -> bytes:
    """The bytes of a JSON document without these texts, however JSON wrote them."""
    for secret in secrets:
        for form in (secret, json.dumps(secret)[1:-1]):
            content = content.replace(form.encode(), _MASK)
    return _TOKEN.sub(_MASK, content)


def _parts(secret: str) -> Iterator[str]:
    """The text itself; of a service account's JSON the private key, too, whole and line by line."""
    yield secret
    try:
        account = json.loads(secret)
    except ValueError:
        return
    key = account.get("private_key") if isinstance(account, dict) else None
    if isinstance(key, str):
        yield from (
            part for part in (key, *key.splitlines()) if len(part) >= _SHORTEST and not part.startswith("-----")
        )
