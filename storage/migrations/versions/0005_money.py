"""Keys and money: api_key, budget, reservation, worker."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False, comment="sha256 of the key, hex; the key itself is nowhere"),
        sa.Column("former_digest", sa.Text(), comment="of the key before the last rotation"),
        sa.Column("former_until", TIME, comment="until when the former key is still taken"),
        sa.Column("shown", sa.Text(), nullable=False, comment="the key's first and last letters, to recognise it by"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("team", sa.Text(), nullable=False),
        sa.Column("admin", sa.Boolean(), nullable=False),
        sa.Column("policies", JSON, comment="names it may use; NULL: all"),
        sa.Column("tiers", JSON, comment="names it may use; NULL: all"),
        sa.Column("headers", JSON, nullable=False, comment="defaults for x-gearbox-* request headers"),
        sa.Column("requests_per_minute", sa.Integer()),
        sa.Column("tokens_per_minute", sa.Integer()),
        sa.Column("concurrent_requests", sa.Integer()),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("changed_at", TIME, nullable=False),
        sa.Column("expires_at", TIME),
        sa.Column("revoked_at", TIME),
        sa.PrimaryKeyConstraint("id", name="pk_api_key"),
        sa.UniqueConstraint("digest", name="uq_api_key_digest"),
        sa.UniqueConstraint("former_digest", name="uq_api_key_former_digest"),
    )
    op.create_index("ix_api_key_team", "api_key", ["team"])
    op.create_table(
        "budget",
        sa.Column("id", sa.Text(), nullable=False, comment="scope:owner:period"),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False, comment="the key's id, the team's name, or empty: global"),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("limit_nanousd", sa.BigInteger(), comment="NULL: counted, never refused"),
        sa.Column("soft_nanousd", sa.BigInteger()),
        sa.Column("spent_nanousd", sa.BigInteger(), nullable=False, comment="settled in this window"),
        sa.Column("reserved_nanousd", sa.BigInteger(), nullable=False, comment="the sum of its rows in `reservation`"),
        sa.Column("window_start", TIME, nullable=False),
        sa.Column("window_end", TIME, comment="NULL: it never starts anew"),
        sa.Column("configured", sa.Boolean(), nullable=False, comment="stands in gearbox.yaml, which alone changes it"),
        sa.Column("changed_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_budget"),
    )
    op.create_table(
        "reservation",
        sa.Column("worker", sa.Text(), nullable=False, comment="who may spend it"),
        sa.Column("budget_id", sa.Text(), nullable=False),
        sa.Column("amount_nanousd", sa.BigInteger(), nullable=False),
        sa.Column(
            "seq",
            sa.BigInteger(),
            nullable=False,
            comment="of the last settlement, so that a repeated one changes nothing",
        ),
        sa.Column("expires_at", TIME, nullable=False, comment="after that its worker counts as dead"),
        sa.PrimaryKeyConstraint("worker", "budget_id", name="pk_reservation"),
    )
    op.create_index("ix_reservation_expires_at", "reservation", ["expires_at"])
    op.create_table(
        "worker",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column(
            "config", sa.Text(), nullable=False, comment="digest of what workers that share a ledger must agree on"
        ),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_worker"),
    )
    op.create_table(
        "revision",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "number",
            sa.BigInteger(),
            nullable=False,
            comment="grows with every change, so that caches know they are old",
        ),
        sa.PrimaryKeyConstraint("name", name="pk_revision"),
    )


def downgrade() -> None:
    for table in ("revision", "worker", "reservation", "budget", "api_key"):
        op.drop_table(table)
