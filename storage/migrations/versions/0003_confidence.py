"""By which measure a confidence was taken: margins of different measures cannot be compared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempt", sa.Column("confidence_by", sa.Text(), comment="first:probability, agreement:5, ..."))
    op.create_index("ix_inference_policy", "inference", ["policy", "created_at", "id"])


def downgrade() -> None:
    op.drop_index("ix_inference_policy", "inference")
    op.drop_column("attempt", "confidence_by")
