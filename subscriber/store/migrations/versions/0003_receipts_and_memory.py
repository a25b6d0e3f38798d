"""What providers tell of messages after they took them, and what each channel remembers of its provider."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_EXPECTED = sa.text("receipt IS NOT NULL")
_UNTOLD = sa.text("receipt IN ('queued', 'sent')")
_KNOWN = sa.text("attempt_id IS NOT NULL")
_UNSETTLED = sa.text("settled_us IS NULL AND attempt_id IS NOT NULL")
_STRAY = sa.text("attempt_id IS NULL")


def upgrade() -> None:
    """Add the tables and columns; of attempts that are there already no receipt is expected."""
    for column in (
        sa.Column("receipt", sa.Text(), comment="the newest word of ReceiptState; NULL where none is expected"),
        sa.Column("receipt_us", sa.BigInteger(), comment="since when, by the provider's clock where it says so"),
        sa.Column("receipt_due", sa.BigInteger(), comment="when to ask the provider next; NULL for not at all"),
        sa.Column("receipt_until", sa.BigInteger(), comment="how long to wait for one: a day from the acceptance"),
        sa.Column(
            "by_template", sa.Boolean(), comment="sent in an approved template; NULL while nobody knows the answer"
        ),
    ):
        op.add_column("attempt", column)
    _index("attempt", "provider_message_id", ["provider_message_id"], _EXPECTED)
    _index("attempt", "untold", ["channel", "receipt_due"], _UNTOLD)
    _receipt()
    op.create_table(
        "channel_memory",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("held_until", sa.BigInteger(), comment="microseconds, by the daemon's clock, as the next two"),
        sa.Column("inbound", sa.BigInteger(), comment="when the person last wrote to us"),
        sa.Column(
            "outside",
            sa.BigInteger(),
            comment="when a text was last refused for being outside of the 24-hour window",
        ),
        sa.Column("moved_from", sa.Text(), comment="a digest of the configured target that has moved"),
        sa.Column("moved_to", sa.Text()),
        sa.Column("target", sa.Text(), comment="a digest of the configured target that all of this is about"),
        sa.PrimaryKeyConstraint("channel", name=op.f("channel_memory_pkey")),
    )


def _receipt() -> None:
    op.create_table(
        "receipt",
        sa.Column("id", _NUMBER, nullable=False, comment="order of coming"),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False, comment="the provider's own id of the message"),
        sa.Column("reference", sa.Text(), nullable=False, comment="of the attempt, where the provider told it back"),
        sa.Column("state", sa.Text(), nullable=False, comment="a word of ReceiptState"),
        sa.Column("code", sa.Text(), comment="why it failed, by the provider's own code"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), comment="when it happened, by the provider's clock"),
        sa.Column("received_us", sa.BigInteger(), nullable=False),
        sa.Column("attempt_id", _NUMBER, comment="NULL until it is known"),
        sa.Column("settled_us", sa.BigInteger(), comment="when all that follows from it was done"),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("receipt_attempt_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("receipt_pkey")),
        sa.UniqueConstraint("message_id", "provider", "state", name=op.f("receipt_message_id_provider_state_key")),
    )
    _index("receipt", "attempt_id", ["attempt_id"], _KNOWN)
    _index("receipt", "unsettled", ["id"], _UNSETTLED)
    _index("receipt", "stray", ["received_us"], _STRAY)


def _index(table: str, name: str, columns: list[str], condition: sa.TextClause) -> None:
    op.create_index(f"{table}_{name}", table, columns, sqlite_where=condition, postgresql_where=condition)
