"""Policy: digests, windows of dedup and of groups, silences, escalations, acknowledgements, and changes by people."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_UNENDED = sa.text("ended_us IS NULL")
_UNTOLD_EXPIRED = sa.text("status = 'expired' AND told_by IS NULL")
_BATCHED = sa.text("batch IS NOT NULL")
_FOLDED = sa.text("digest IS NOT NULL")


def upgrade() -> None:
    """Add the tables and columns; what expired before is not told of now."""
    _tables()
    _queue()
    op.add_column(
        "channel_memory",
        sa.Column(
            "paused_by", sa.Text(), comment="the alert that told of its pause, until one tells that it works again"
        ),
    )
    queue = sa.table("notification_queue", sa.column("status", sa.Text()), sa.column("told_by", sa.LargeBinary()))
    op.execute(queue.update().where(queue.c.status == "expired").values(told_by=b""))


def _tables() -> None:
    op.create_table(
        "change",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False, comment="a word of ChangeKind"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False, comment="JSON, without secrets"),
        sa.PrimaryKeyConstraint("id", name=op.f("change_pkey")),
    )
    op.create_index("change_at", "change", ["at_us"])
    op.create_table(
        "dedup_window",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False, comment="16 bytes"),
        sa.Column("until_us", sa.BigInteger(), nullable=False),
        sa.Column("carrier", sa.LargeBinary(), comment="the newest alert of the window, which is told at its end"),
        sa.PrimaryKeyConstraint("channel", "fingerprint", name=op.f("dedup_window_pkey")),
    )
    op.create_index("dedup_window_until", "dedup_window", ["until_us"])
    op.create_table(
        "digest",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="a word of DigestKind"),
        sa.Column("state", sa.Text(), nullable=False, comment="a word of DigestState"),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("finished_us", sa.BigInteger()),
        sa.Column("members", sa.Integer(), nullable=False, comment="how many deliveries it tells"),
        sa.Column("message", sa.Text(), comment="JSON of the Message; NULL until its first attempt"),
        sa.Column("parent", sa.BigInteger(), comment="the digest of which it is a half"),
        sa.PrimaryKeyConstraint("id", name=op.f("digest_pkey")),
    )
    op.create_index("digest_channel_created", "digest", ["channel", "created_us"])
    op.create_table(
        "group_window",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("batch", sa.Text(), nullable=False),
        sa.Column("flush_us", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("channel", "batch", name=op.f("group_window_pkey")),
    )
    op.create_index("group_window_flush", "group_window", ["flush_us"])
    op.create_table(
        "silence",
        sa.Column("id", _NUMBER, nullable=False),
        sa.Column("matchers", sa.Text(), nullable=False, comment="JSON, as the match of a route"),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False, comment="api, cli, page or telegram"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("starts_us", sa.BigInteger(), nullable=False),
        sa.Column("ends_us", sa.BigInteger(), nullable=False),
        sa.Column("drops", sa.Boolean(), nullable=False, comment="what falls in it is not told at its end"),
        sa.Column("lets_critical", sa.Boolean(), nullable=False, comment="CRITICAL is told all the same"),
        sa.Column("ended_us", sa.BigInteger(), comment="when it ended, or was ended"),
        sa.Column("ended_by", sa.Text(), comment="who ended it before its time"),
        sa.PrimaryKeyConstraint("id", name=op.f("silence_pkey")),
    )
    op.create_index("silence_open", "silence", ["ends_us"], sqlite_where=_UNENDED, postgresql_where=_UNENDED)
    op.create_table(
        "acknowledgement",
        sa.Column("alert_id", sa.LargeBinary(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False, comment="api, cli, page or telegram"),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("acknowledgement_alert_id_fkey")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("acknowledgement_pkey")),
    )
    op.create_table(
        "escalation",
        sa.Column("alert_id", sa.LargeBinary(), nullable=False),
        sa.Column("ack_within_us", sa.BigInteger(), nullable=False),
        sa.Column("channels", sa.Text(), nullable=False, comment="JSON list: the channel of each turn"),
        sa.Column("turn", sa.Integer(), nullable=False, comment="the next one; the first is 1"),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("ended_us", sa.BigInteger()),
        sa.Column("ended_why", sa.Text(), comment="acknowledged, resolved or exhausted"),
        sa.ForeignKeyConstraint(["alert_id"], ["alert.id"], name=op.f("escalation_alert_id_fkey")),
        sa.PrimaryKeyConstraint("alert_id", name=op.f("escalation_pkey")),
    )
    op.create_index("escalation_due", "escalation", ["due_us"], sqlite_where=_UNENDED, postgresql_where=_UNENDED)


def _queue() -> None:
    for column in (
        sa.Column("handling", sa.Text(), comment="JSON of Handling; NULL for the defaults"),
        sa.Column("expires_at", sa.BigInteger(), comment="when it is too old to be sent; NULL means never"),
        sa.Column("batch", sa.Text(), comment="what is due with the same word is told in one message"),
        sa.Column("digest", sa.BigInteger(), comment="the digest that tells it"),
        sa.Column(
            "follows",
            sa.Boolean(),
            comment="true where another delivery of its digest is claimed for all; else NULL",
        ),
        sa.Column("more", sa.Integer(), comment="how many were counted instead of sent; NULL where it ends no window"),
        sa.Column("more_since", sa.BigInteger(), comment="when the first of these was published"),
        sa.Column("told_by", sa.LargeBinary(), comment="the alert that tells of it instead"),
        sa.Column("handed_over", sa.Boolean(), comment="true where a fallback tells it, too; else NULL"),
    ):
        op.add_column("notification_queue", column)
    op.create_index(
        "notification_queue_batch",
        "notification_queue",
        ["batch", "channel"],
        sqlite_where=_BATCHED,
        postgresql_where=_BATCHED,
    )
    op.create_index(
        "notification_queue_digest", "notification_queue", ["digest"], sqlite_where=_FOLDED, postgresql_where=_FOLDED
    )
    op.create_index(
        "notification_queue_expired",
        "notification_queue",
        ["channel"],
        sqlite_where=_UNTOLD_EXPIRED,
        postgresql_where=_UNTOLD_EXPIRED,
    )
