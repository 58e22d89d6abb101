"""What workers share without Redis: claims of runs, rates of keys. Only new tables: nobody waits for them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(JSONB(), "postgresql")


def upgrade() -> None:
    op.create_table(
        "claim",
        sa.Column("id", sa.Text(), nullable=False, comment="digest of caller and key"),
        sa.Column("body", sa.Text(), nullable=False, comment="digest of the request"),
        sa.Column("owner", sa.Text(), nullable=False, comment="the request that runs it"),
        sa.Column("answer", sa.LargeBinary(), comment="what a joining client is told; NULL: it runs"),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_claim"),
    )
    op.create_index("ix_claim_expires_at", "claim", ["expires_at"])
    op.create_table(
        "rate",
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("pace", JSON, nullable=False, comment="its buckets and running requests, as `limits.Pace`"),
        sa.PrimaryKeyConstraint("key_id", name="pk_rate"),
    )


def downgrade() -> None:
    for table in ("rate", "claim"):
        op.drop_table(table)
