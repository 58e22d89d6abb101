"""One digest for equal values, in every process: what workers and caches compare.

The law of this file: pure, and never over `repr`: a set's order differs from one process to the next.
"""

from __future__ import annotations

import hashlib
from typing import Any

import orjson
from pydantic import BaseModel

from router.endpoints import Secret


def digest(value: Any) -> str:
    """SHA-256, as hex, of records, models, mappings, sets and plain values; one secret is as good as another."""
    options = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS
    return hashlib.sha256(orjson.dumps(value, default=_plain, option=options)).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, Secret):
        return "***"
    raise TypeError(f"no digest of a {type(value).__name__}")
