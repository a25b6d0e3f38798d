"""The first tables: alerts, the queue of deliveries, attempts, streams and settings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = sa.text("status IN ('pending', 'in_doubt')")
_UNREHEARSED = sa.text("status = 'suppressed' AND why = 'dry_run' AND retries = 0")
_HELD = sa.text("lease_owner IS NOT NULL")


def upgrade() -> None:
    """Make every table."""
    _alert()
    _notification_queue()
    _notification_queue_indexes()
    _attempt()
    _stream()
    op.create_table(
        "setting",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("changed_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("setting_pkey")),
    )


def _alert() -> None:
    op.create_table(
        "alert",
        sa.Column("number", _NUMBER, nullable=False, comment="order of storing; the cursor of the history"),
        sa.Column("id", sa.LargeBinary(), nullable=False, comment="the alert's UUID, 16 bytes"),
        sa.Column("stream", sa.LargeBinary(), comment="16 bytes; NULL for what a daemon itself has to say"),
        sa.Column("sequence", sa.BigInteger()),
        sa.Column("published_us", sa.BigInteger(), nullable=False),
        sa.Column("stored_us", sa.BigInteger(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False, comment="the event's type, or the action"),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("symbol", sa.Text()),
        sa.Column("agent_name", sa.Text()),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False, comment="msgpack, byte by byte as it came"),
        sa.Column("marks", sa.Text(), nullable=False, comment="words of Mark, separated by commas"),
        sa.Column("planned", sa.Text(), nullable=False, comment="JSON [[channel, step], ...], for the ledger"),
        sa.PrimaryKeyConstraint("number", name=op.f("alert_pkey")),
        sa.UniqueConstraint("id", name=op.f("alert_id_key")),
    )
    op.create_index("alert_stream_sequence", "alert", ["stream", "sequence"])


def _notification_queue() -> None:
    op.create_table(
        "notification_queue",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("payload", sa.Text(), nullable=False, comment="the alert as JSON, without the agent's state"),
        sa.Column("status", sa.Text(), nullable=False, comment="a word of DeliveryState"),
        sa.Column("retries", sa.Integer(), nullable=False, comment="attempts that count and ended without acceptance"),
        sa.Column("created_at", sa.BigInteger(), nullable=False, comment="microseconds"),
        sa.Column("alert_id", sa.LargeBinary(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), comment="why it is suppressed"),
        sa.Column("priority", sa.Integer(), nullable=False, comment="0 is served first"),
        sa.Column("due_at", sa.BigInteger(), nullable=False, comment="microseconds, by the daemon's clock"),
        sa.Column("published_us", sa.BigInteger(), nullable=False),
        sa.Column("lease", sa.Text(), comment="token of the claim that holds it"),
        sa.Column("lease_owner", sa.Text()),
        sa.Column("lease_until", sa.BigInteger(), comment="microseconds, by the database's clock"),
        sa.Column("lease_length", sa.BigInteger(), comment="microseconds; opening an attempt renews the lease by it"),
        sa.Column("open_attempt", sa.BigInteger(), comment="the attempt whose answer is not recorded yet"),
        sa.Column("possible_repeat", sa.Boolean(), nullable=False),
        sa.Column("finished_at", sa.BigInteger()),
        sa.Column("last_reason", sa.Text()),
        sa.Column("last_detail", sa.Text()),
        sa.Column("last_code", sa.Text()),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("notification_queue_alert_id_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("notification_queue_pkey")),
        sa.UniqueConstraint("alert_id", "channel", "step", name=op.f("notification_queue_alert_id_channel_step_key")),
    )


def _notification_queue_indexes() -> None:
    table = "notification_queue"
    op.create_index(f"{table}_channel_status", table, ["channel", "status"])
    for name, columns, condition in (
        ("claim", ["channel", "priority", "published_us", "id", "due_at"], _OPEN),
        ("rehearsal", ["channel", "priority", "published_us", "id"], _UNREHEARSED),
        ("lease_owner", ["lease_owner"], _HELD),
    ):
        op.create_index(f"{table}_{name}", table, columns, sqlite_where=condition, postgresql_where=condition)


def _attempt() -> None:
    op.create_table(
        "attempt",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("closed_us", sa.BigInteger(), comment="NULL while nobody knows the answer"),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), comment="a word of Reason"),
        sa.Column("status", sa.Integer(), comment="HTTP status"),
        sa.Column("code", sa.Text(), comment="the provider's own error code"),
        sa.Column("detail", sa.Text()),
        sa.Column("provider_message_id", sa.Text()),
        sa.Column("in_doubt", sa.Boolean(), nullable=False),
        sa.Column("seconds", sa.Float()),
        sa.Column("possible_repeat", sa.Boolean(), nullable=False, comment="its text said that it may be a repeat"),
        sa.PrimaryKeyConstraint("id", name=op.f("attempt_pkey")),
    )
    op.create_index("attempt_channel_reason_closed", "attempt", ["channel", "reason", "closed_us"])
    op.create_table(
        "attempt_delivery",
        sa.Column("attempt_id", _NUMBER, nullable=False),
        sa.Column("delivery_id", _NUMBER, nullable=False),
        sa.ForeignKeyConstraint(["attempt_id"], ["attempt.id"], name=op.f("attempt_delivery_attempt_id_fkey")),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["notification_queue.id"], name=op.f("attempt_delivery_delivery_id_fkey")
        ),
        sa.PrimaryKeyConstraint("attempt_id", "delivery_id", name=op.f("attempt_delivery_pkey")),
    )
    op.create_index("attempt_delivery_delivery", "attempt_delivery", ["delivery_id"])


def _stream() -> None:
    op.create_table(
        "stream",
        sa.Column("stream", sa.LargeBinary(), nullable=False, comment="16 bytes: one opening of a journal"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column(
            "up_to",
            sa.BigInteger(),
            comment="every number up to here is settled; NULL until the stream's start is known",
        ),
        sa.Column("last_seen", sa.BigInteger(), nullable=False, comment="the highest number that came"),
        sa.Column("first_seen_us", sa.BigInteger(), nullable=False),
        sa.Column("last_heard_us", sa.BigInteger(), comment="the newest heartbeat that any daemon heard"),
        sa.Column("goodbye", sa.Text(), comment="the reason it gave when it ended on purpose"),
        sa.PrimaryKeyConstraint("stream", name=op.f("stream_pkey")),
    )
    op.create_table(
        "stream_mark",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("stream", sa.LargeBinary(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column(
            "mark", sa.Text(), nullable=False, comment="lost, or duplicate: its alert is kept under another number"
        ),
        sa.Column("alert_id", sa.LargeBinary(), comment="the alert that a duplicate number carried"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("noted_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["stream"], ["stream.stream"], name=op.f("stream_mark_stream_fkey")),
        sa.PrimaryKeyConstraint("id", name=op.f("stream_mark_pkey")),
        sa.UniqueConstraint(
            "stream", "first", "mark", "alert_id", name=op.f("stream_mark_stream_first_mark_alert_id_key")
        ),
    )
    op.create_index("stream_mark_stream_last", "stream_mark", ["stream", "last"])
