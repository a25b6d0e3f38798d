"""Channels that people switch off and on, the end of what is over, and indexes for those who follow the store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table, in which every channel is on, the column and the indexes."""
    op.create_table(
        "channel_switch",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="when it was set to this"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False, comment="api, cli or page"),
        sa.PrimaryKeyConstraint("channel", name=op.f("channel_switch_pkey")),
    )
    op.add_column(
        "alert", sa.Column("resolved_by", sa.LargeBinary(), comment="the alert that told of its end, 16 bytes")
    )
    critical, finished = sa.text("severity = 'CRITICAL'"), sa.text("finished_at IS NOT NULL")
    op.create_index("alert_critical", "alert", ["published_us"], sqlite_where=critical, postgresql_where=critical)
    op.create_index(
        "notification_queue_finished",
        "notification_queue",
        ["finished_at"],
        sqlite_where=finished,
        postgresql_where=finished,
    )
