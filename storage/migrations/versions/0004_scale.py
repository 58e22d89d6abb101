"""What many rows need: sums by day and tag, early removal of text, additions that are made once.

Safe beside replicas that still run the older code: it only adds. On PostgreSQL the indexes of the large table are built
CONCURRENTLY and the tags are copied outside the transaction that makes their table, so that writers never wait for
either; what an earlier start left half done is found and done again.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MONEY = ["cost_nanousd", "late_cost_nanousd", "baseline_nanousd"]
TAGS = {
    "postgresql": "SELECT i.id, t.key, left(t.value, 200), i.created_at FROM inference i, jsonb_each_text(i.tags) t",
    "sqlite": "SELECT i.id, t.key, substr(t.value, 1, 200), i.created_at FROM inference i, json_each(i.tags) t",
}


def upgrade() -> None:
    op.create_table(
        "tag",
        sa.Column("inference_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="cut at 200 characters; whole in inference.tags"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, comment="the request's"),
        sa.ForeignKeyConstraint(["inference_id"], ["inference.id"], name="fk_tag_inference_id", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("inference_id", "name", name="pk_tag"),
        if_not_exists=True,
    )
    op.create_index("ix_tag_name", "tag", ["name", "value", "created_at", "inference_id"], if_not_exists=True)
    op.create_table(
        "applied",
        sa.Column(
            "op", sa.Text(), nullable=False, comment="the journal's id of an addition that must not be made twice"
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("op", name="pk_applied"),
        if_not_exists=True,
    )
    op.create_index("ix_applied_created_at", "applied", ["created_at"], if_not_exists=True)
    if op.get_bind().dialect.name != "postgresql":
        _fill()
        return
    with op.get_context().autocommit_block():  # the new foreign key's lock on inference ends here
        _fill(concurrently=True)


def _fill(*, concurrently: bool = False) -> None:
    tags = TAGS[op.get_bind().dialect.name]
    op.execute(f"INSERT INTO tag (inference_id, name, value, created_at) {tags} WHERE true ON CONFLICT DO NOTHING")
    some = sa.text("question_hash IS NOT NULL")
    for index, columns, where in (
        ("ix_inference_spend", ["created_at", *MONEY], None),
        ("ix_inference_text", ["created_at"], some),
    ):
        op.drop_index(index, "inference", if_exists=True, postgresql_concurrently=concurrently)
        op.create_index(
            index,
            "inference",
            columns,
            postgresql_concurrently=concurrently,
            sqlite_where=where,
            postgresql_where=where,
        )


def downgrade() -> None:
    for index in ("ix_inference_text", "ix_inference_spend"):
        op.drop_index(index, "inference")
    for table in ("applied", "tag"):
        op.drop_table(table)
