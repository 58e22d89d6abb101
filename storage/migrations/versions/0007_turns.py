"""By which names a conversation's turn is found again on another worker. Only a new table: nobody waits for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turn",
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False, comment="session:<the client's> or call:<a tool call's id>"),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="the request's"),
        sa.ForeignKeyConstraint(["inference_id"], ["inference.id"], name="fk_turn_inference_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inference_id", "name", name="pk_turn"),
    )
    op.create_index("ix_turn_name", "turn", ["key_id", "name", "created_at"])


def downgrade() -> None:
    op.drop_table("turn")
