"""Which requests are the same: who may join whose run (wire.md, Clients and `idempotency-key`). Pure.

The law of this file: a join never crosses callers, and only two things ask for one: an idempotency key, and OpenAI's
own count of retries. Whoever sends neither gets a run of their own: five samples stay five.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING

import orjson

from app.config.digest import digest
from router.errors import RequestError

if TYPE_CHECKING:
    from router.domain import Request


def fingerprint(request: Request) -> str:
    """A digest of everything that a request asks for."""
    # Not how often it is asked for, and under which name.
    wishes = replace(request.wishes, idempotency_key=None, retry_count=0)
    return digest({"body": request.body, "policy": request.policy, "wishes": wishes})


def idempotency_key(request: Request) -> str | None:
    """The caller's idempotency key under a name that no other caller shares."""
    key = request.wishes.idempotency_key
    return None if key is None else _scoped(request, "idempotency", key)


def retry_key(request: Request, body: str) -> str:
    """The name under which a run whose client has left can be found by that client's next try."""
    return _scoped(request, "retry", body)


def other_body() -> RequestError:
    """What is said where a key comes back with another request."""
    return RequestError(
        "this idempotency-key was used for another request within the last 24 hours; send the same body and headers, "
        "or another key",
        param="idempotency-key",
        code="idempotency_key_reused",
    )


def _scoped(request: Request, kind: str, key: str) -> str:
    parts = [kind, request.caller.team, request.caller.key_id, key]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()
