"""By which measure a confidence was taken: margins of different measures cannot be compared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("confidence_by", sa.Text(), comment="first:probability, agreement:5, ...")
    op.add_column("attempt", column, if_not_exists=op.get_bind().dialect.name == "postgresql")
    if op.get_bind().dialect.name != "postgresql":
        op.create_index("ix_inference_policy", "inference", ["policy", "created_at", "id"])
        return
    with op.get_context().autocommit_block():  # writers do not wait for it; a half-made one is made anew
        op.drop_index("ix_inference_policy", "inference", if_exists=True, postgresql_concurrently=True)
        op.create_index(
            "ix_inference_policy", "inference", ["policy", "created_at", "id"], postgresql_concurrently=True
        )


def downgrade() -> None:
    op.drop_index("ix_inference_policy", "inference")
    op.drop_column("attempt", "confidence_by")
