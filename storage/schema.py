"""The tables: one row per request (`inference`), one per call (`attempt`), one per `label`, one per `tag`.

One per name by which a conversation's turn is found (`turn`). And one per journalled addition that has been made
(`applied`), so that it is made once, and one per run that others may join (`claim`).

The law of this file: it names columns, types, keys and indexes, and nothing else; no statement is built here and no
connection is opened. Columns ending in `_nanousd` are integers in nano-dollars, in `_s` seconds, times are UTC. A
change here needs a revision in `migrations/versions/`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy.engine import Dialect


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in UTC: `timestamptz` on PostgreSQL; SQLite, which knows no zone, keeps naive UTC text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Aware datetime -> UTC; naive ones are refused, for their zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} has no time zone: pass an aware datetime")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Whatever the database gave -> aware, in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


#: JSONB where it exists, so that tags can be indexed later; text on SQLite.
Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")
#: SQLite counts rows by itself only in a column that is declared exactly INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

inference = Table(
    "inference",
    metadata,
    Column("id", Text, primary_key=True),
    Column("created_at", UtcTime, nullable=False),
    # who asked, and for what
    Column("key_id", Text, nullable=False),
    Column("team", Text, nullable=False),
    Column("session", Text),
    Column("tags", Json, nullable=False),
    Column("policy", Text, nullable=False),
    Column("settings", Json, nullable=False),
    Column("asked_model", Text, nullable=False),
    Column("stream_mode", Text, comment="NULL: the client did not stream"),
    # the question; all of it NULL where `stored` is false
    Column("stored", Boolean, nullable=False),
    Column("question_hash", Text, comment="sha256 of the UTF-8 text, hex"),
    Column("question", Text),
    Column("embedding", LargeBinary, comment="float32, little-endian"),
    Column("embedding_model", Text),
    # the decision
    Column("evidence", Json, nullable=False),
    Column("start_tier", Text),
    Column("served_tier", Text, comment="NULL: only an error went to the client"),
    Column("served_model", Text),
    Column("p_valid", Float, comment="the estimate for the served tier before it was asked"),
    Column("why", Text, nullable=False),
    Column("stopped", Text),
    # what it took
    Column("prompt_tokens", BigInteger, comment="of the served answer"),
    Column("completion_tokens", BigInteger, comment="of the served answer"),
    Column("cost_nanousd", BigInteger, comment="up to the answer; NULL: an unpriced model took part"),
    Column("late_cost_nanousd", BigInteger, nullable=False, comment="spent after the answer, for learning"),
    Column("baseline_nanousd", BigInteger),
    Column("latency_s", Float, nullable=False),
    Column("overhead_s", Float, nullable=False),
    # how it ended
    Column("client", Text, nullable=False),
    Column("http_status", Integer),
    Column("error_type", Text),
    Column("error_code", Text),
    Column("error", Text),
)

attempt = Table(
    "attempt",
    metadata,
    Column("inference_id", Text, ForeignKey("inference.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False, comment="0 = the request's first call"),
    Column("rung", Integer, comment="index of the rung it belongs to; NULL: to none (embedding, audit)"),
    Column("purpose", Text, nullable=False),
    Column("tier", Text, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("prices", Json, comment="the price list used, nano-dollars per million tokens; NULL: unpriced"),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("cached_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("cost_nanousd", BigInteger),
    Column("cost_source", Text, nullable=False),
    Column("latency_s", Float, nullable=False),
    Column("ttft_s", Float),
    Column("finish_reason", Text),
    # the rung's story stands on its last generate row
    Column("verdict", Text, comment="the rung's, the one a judge gave, or error for a failed try"),
    Column("verdict_by", Text),
    Column("why", Text, comment="why this tier was asked"),
    Column("p_valid", Float),
    Column("reason", Text, comment="of the verdict"),
    Column("confidence", Float),
    Column("confidence_by", Text, comment="first:probability, agreement:5, ..."),
    Column("final_answer", Text),
    Column("answer", Text),
    Column("error", Text),
    Column("dropped", Json, nullable=False),
)

label = Table(
    "label",
    metadata,
    Column("id", RowId, primary_key=True, autoincrement=True),
    Column("inference_id", Text, ForeignKey("inference.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tier", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("correct", Float, nullable=False, comment="0..1"),
    Column("source", Text, nullable=False),
    Column("weight", Float, nullable=False),
    Column("given_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
)

tag = Table(
    "tag",
    metadata,
    Column("inference_id", Text, ForeignKey("inference.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="cut at 200 characters; whole in inference.tags"),
    Column("created_at", UtcTime, nullable=False, comment="the request's"),
)

turn = Table(
    "turn",
    metadata,
    Column("inference_id", Text, ForeignKey("inference.id", ondelete="CASCADE"), primary_key=True),
    Column("name", Text, primary_key=True, comment="session:<the client's> or call:<a tool call's id>"),
    Column("key_id", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False, comment="the request's"),
)

applied = Table(
    "applied",
    metadata,
    Column("op", Text, primary_key=True, comment="the journal's id of an addition that must not be made twice"),
    Column("created_at", UtcTime, nullable=False),
)

claim = Table(
    "claim",
    metadata,
    Column("id", Text, primary_key=True, comment="digest of caller and key"),
    Column("body", Text, nullable=False, comment="digest of the request"),
    Column("owner", Text, nullable=False, comment="the request that runs it"),
    Column("answer", LargeBinary, comment="what a joining client is told; NULL: it runs"),
    Column("expires_at", UtcTime, nullable=False, index=True),
)

# Sums of money by key or team over any span of days are answered from these indexes alone.
_MONEY = (inference.c.cost_nanousd, inference.c.late_cost_nanousd, inference.c.baseline_nanousd)
Index("ix_inference_key_spend", inference.c.key_id, inference.c.created_at, *_MONEY)
Index("ix_inference_team_spend", inference.c.team, inference.c.created_at, *_MONEY)
# Loading margins at start walks one policy, oldest first.
Index("ix_inference_policy", inference.c.policy, inference.c.created_at, inference.c.id)
# Loading the index at start walks one embedding model, oldest first.
Index("ix_inference_embedding", inference.c.embedding_model, inference.c.created_at, inference.c.id)
# Sums over everyone, and retention, which walks from the oldest row on.
Index("ix_inference_spend", inference.c.created_at, *_MONEY)
# Dropping text early: only the rows that still have some, oldest first.
_HAS_TEXT = inference.c.question_hash.is_not(None)
Index("ix_inference_text", inference.c.created_at, sqlite_where=_HAS_TEXT, postgresql_where=_HAS_TEXT)
# Sums by tag find their requests here.
Index("ix_tag_name", tag.c.name, tag.c.value, tag.c.created_at, tag.c.inference_id)
# The last turn of a conversation, for the worker that gets the next one.
Index("ix_turn_name", turn.c.key_id, turn.c.name, turn.c.created_at)
Index("ix_applied_created_at", applied.c.created_at)
