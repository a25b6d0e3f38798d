"""Channels that people switch off and on while the daemon runs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the table; every channel is on."""
    op.create_table(
        "channel_switch",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False, comment="when it was set to this"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False, comment="api, cli or page"),
        sa.PrimaryKeyConstraint("channel", name=op.f("channel_switch_pkey")),
    )
