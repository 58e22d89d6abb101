"""The first tables: inference, attempt, label."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "inference",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("session", sa.Text()),
        sa.Column("tags", JSON, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("settings", JSON, nullable=False),
        sa.Column("asked_model", sa.Text(), nullable=False),
        sa.Column("stream_mode", sa.Text(), comment="NULL: the client did not stream"),
        sa.Column("stored", sa.Boolean(), nullable=False),
        sa.Column("question_hash", sa.Text(), comment="sha256 of the UTF-8 text, hex"),
        sa.Column("question", sa.Text()),
        sa.Column("embedding", sa.LargeBinary(), comment="float32, little-endian"),
        sa.Column("embedding_model", sa.Text()),
        sa.Column("evidence", JSON, nullable=False),
        sa.Column("start_tier", sa.Text()),
        sa.Column("served_tier", sa.Text(), comment="NULL: only an error went to the client"),
        sa.Column("served_model", sa.Text()),
        sa.Column("p_valid", sa.Float(), comment="the estimate for the served tier before it was asked"),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("stopped", sa.Text()),
        sa.Column("prompt_tokens", sa.BigInteger(), comment="of the served answer"),
        sa.Column("completion_tokens", sa.BigInteger(), comment="of the served answer"),
        sa.Column("cost_nanousd", sa.BigInteger(), comment="up to the answer; NULL: an unpriced model took part"),
        sa.Column("late_cost_nanousd", sa.BigInteger(), nullable=False, comment="spent after the answer, for learning"),
        sa.Column("baseline_nanousd", sa.BigInteger()),
        sa.Column("latency_s", sa.Float(), nullable=False),
        sa.Column("overhead_s", sa.Float(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("http_status", sa.Integer()),
        sa.Column("error_type", sa.Text()),
        sa.Column("error_code", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_inference"),
    )
    op.create_index("ix_inference_embedding", "inference", ["embedding_model", "created_at", "id"])
    op.create_index(
        "ix_inference_key_spend",
        "inference",
        ["key_id", "created_at", "cost_nanousd", "late_cost_nanousd", "baseline_nanousd"],
    )
    op.create_index(
        "ix_inference_team_spend",
        "inference",
        ["team", "created_at", "cost_nanousd", "late_cost_nanousd", "baseline_nanousd"],
    )
    op.create_table(
        "attempt",
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column(
            "position", sa.Integer(), autoincrement=False, nullable=False, comment="0 = the request's first call"
        ),
        sa.Column("rung", sa.Integer(), comment="index of the rung it belongs to; NULL: to none (embedding, audit)"),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("deployment", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("prices", JSON, comment="the price list used, nano-dollars per million tokens; NULL: unpriced"),
        sa.Column("prompt_tokens", sa.BigInteger()),
        sa.Column("completion_tokens", sa.BigInteger()),
        sa.Column("cached_tokens", sa.BigInteger()),
        sa.Column("cache_write_tokens", sa.BigInteger()),
        sa.Column("reasoning_tokens", sa.BigInteger()),
        sa.Column("cost_nanousd", sa.BigInteger()),
        sa.Column("cost_source", sa.Text(), nullable=False),
        sa.Column("latency_s", sa.Float(), nullable=False),
        sa.Column("ttft_s", sa.Float()),
        sa.Column("finish_reason", sa.Text()),
        sa.Column("verdict", sa.Text(), comment="the rung's, the one a judge gave, or error for a failed try"),
        sa.Column("verdict_by", sa.Text()),
        sa.Column("why", sa.Text(), comment="why this tier was asked"),
        sa.Column("p_valid", sa.Float()),
        sa.Column("reason", sa.Text(), comment="of the verdict"),
        sa.Column("confidence", sa.Float()),
        sa.Column("final_answer", sa.Text()),
        sa.Column("answer", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("dropped", JSON, nullable=False),
        sa.ForeignKeyConstraint(["inference_id"], ["inference.id"], name="fk_attempt_inference_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inference_id", "position", name="pk_attempt"),
    )
    op.create_table(
        "label",
        sa.Column("id", ROW_ID, autoincrement=True, nullable=False),
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("correct", sa.Float(), nullable=False, comment="0..1"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("weight", sa.Float(), nullable=False),
        sa.Column("given_by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["inference_id"], ["inference.id"], name="fk_label_inference_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
    )
    op.create_index("ix_label_inference_id", "label", ["inference_id"])


def downgrade() -> None:
    for table in ("label", "attempt", "inference"):
        op.drop_table(table)
