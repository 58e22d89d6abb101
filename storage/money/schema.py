"""The tables of keys and money: `api_key`, `budget`, `reservation`, `worker`, `revision`, `rate`.

The law of this file: as `schema`: names, types, keys and indexes, and nothing else. It shares `schema`'s metadata.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, Table, Text

from storage.schema import Json, UtcTime
from storage.schema import metadata as metadata  # noqa: PLC0414 - exported: it holds the tables of both schemas here

api_key = Table(
    "api_key",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", Text, nullable=False, unique=True, comment="sha256 of the key, hex; the key itself is nowhere"),
    Column("former_digest", Text, unique=True, comment="of the key before the last rotation"),
    Column("former_until", UtcTime, comment="until when the former key is still taken"),
    Column("shown", Text, nullable=False, comment="the key's first and last letters, to recognise it by"),
    Column("name", Text, nullable=False),
    Column("team", Text, nullable=False, index=True),
    Column("admin", Boolean, nullable=False),
    Column("policies", Json, comment="names it may use; NULL: all"),
    Column("tiers", Json, comment="names it may use; NULL: all"),
    Column("headers", Json, nullable=False, comment="defaults for x-gearbox-* request headers"),
    Column("requests_per_minute", Integer),
    Column("tokens_per_minute", Integer),
    Column("concurrent_requests", Integer),
    Column("created_at", UtcTime, nullable=False),
    Column("changed_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime),
    Column("revoked_at", UtcTime),
)

budget = Table(
    "budget",
    metadata,
    Column("id", Text, primary_key=True, comment="scope:owner:period"),
    Column("scope", Text, nullable=False),
    Column("owner", Text, nullable=False, comment="the key's id, the team's name, or empty: global"),
    Column("period", Text, nullable=False),
    Column("limit_nanousd", BigInteger, comment="NULL: counted, never refused"),
    Column("soft_nanousd", BigInteger),
    Column("spent_nanousd", BigInteger, nullable=False, comment="settled in this window"),
    Column("reserved_nanousd", BigInteger, nullable=False, comment="the sum of its rows in `reservation`"),
    Column("window_start", UtcTime, nullable=False),
    Column("window_end", UtcTime, comment="NULL: it never starts anew"),
    Column("configured", Boolean, nullable=False, comment="stands in gearbox.yaml, which alone changes it"),
    Column("changed_at", UtcTime, nullable=False),
)

reservation = Table(
    "reservation",
    metadata,
    Column("worker", Text, primary_key=True, comment="who may spend it"),
    Column("budget_id", Text, primary_key=True),
    Column("amount_nanousd", BigInteger, nullable=False),
    Column("seq", BigInteger, nullable=False, comment="of the last settlement, so that a repeated one changes nothing"),
    Column("expires_at", UtcTime, nullable=False, index=True, comment="after that its worker counts as dead"),
)

worker = Table(
    "worker",
    metadata,
    Column("id", Text, primary_key=True),
    Column("host", Text, nullable=False),
    Column("config", Text, nullable=False, comment="digest of what workers that share a ledger must agree on"),
    Column("started_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
)

revision = Table(
    "revision",
    metadata,
    Column("name", Text, primary_key=True),
    Column("number", BigInteger, nullable=False, comment="grows with every change, so that caches know they are old"),
)

rate = Table(
    "rate",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("pace", Json, nullable=False, comment="its buckets and running requests, as `limits.Pace`"),
)
