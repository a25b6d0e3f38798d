"""The tables. Times are integer microseconds of UTC in both databases; states and reasons are the words of
`subscriber.deliveries`, as text. A change here needs a migration beside it: a test compares the two. Pure.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from subscriber.store.schema_base import Number, metadata
from subscriber.store.schema_policy import (
    UNENDED,
    acknowledgement,
    change,
    channel_switch,
    dedup_window,
    digest,
    escalation,
    group_window,
    silence,
)

__all__ = [
    "CRITICAL",
    "FINISHED",
    "OPEN",
    "STRAY",
    "UNENDED",
    "UNREHEARSED",
    "UNSETTLED",
    "UNTOLD",
    "UNTOLD_EXPIRED",
    "WATCHED",
    "Number",
    "acknowledgement",
    "alert",
    "attempt",
    "attempt_delivery",
    "change",
    "channel_memory",
    "channel_switch",
    "dedup_window",
    "digest",
    "escalation",
    "group_window",
    "ledger_total",
    "metadata",
    "notification_queue",
    "receipt",
    "setting",
    "silence",
    "stream",
    "stream_mark",
]

#: The rows a worker has something to do with. Literal, and the same text in the index and in each statement: SQLite
#: uses a partial index only where the statement repeats the index's condition word by word.
OPEN: Final = text("status IN ('pending', 'in_doubt')")
#: What expired, and nobody was told of yet.
UNTOLD_EXPIRED: Final = text("status = 'expired' AND told_by IS NULL")
#: Alerts that a person is to acknowledge.
CRITICAL: Final = text("severity = 'CRITICAL'")
#: Deliveries that have ended.
FINISHED: Final = text("finished_at IS NOT NULL")
#: What a dry run shows once and never sends.
UNREHEARSED: Final = text("status = 'suppressed' AND why = 'dry_run' AND retries = 0")

#: Attempts whose message was taken and of which nothing final was told yet.
UNTOLD: Final = text("receipt IN ('queued', 'sent')")
#: Receipts that nobody is done with: a failed one is to be judged, one that arrived waits for the end of an attempt.
UNSETTLED: Final = text("settled_us IS NULL AND attempt_id IS NOT NULL")
#: Receipts of messages that nobody knows, or does not know yet.
STRAY: Final = text("attempt_id IS NULL")

#: The streams of which people may still have to be told.
WATCHED: Final = text(
    "(goodbye IS NULL AND silent_us IS NULL) OR silence IS NOT NULL OR hang IS NOT NULL OR announced > up_to"
)

alert: Final = Table(
    "alert",
    metadata,
    Column("number", Number, primary_key=True, comment="order of storing; the cursor of the history"),
    # The 16 bytes of the UUID as they stand on the wire: half the index of its text, and nothing to convert.
    Column("id", LargeBinary, nullable=False, unique=True, comment="the alert's UUID, 16 bytes"),
    Column("stream", LargeBinary, comment="16 bytes; NULL for what a daemon itself has to say"),
    Column("sequence", BigInteger),
    Column("published_us", BigInteger, nullable=False),
    Column("stored_us", BigInteger, nullable=False),
    Column("topic", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("event_type", Text, nullable=False, comment="the event's type, or the action"),
    Column("severity", Text, nullable=False),
    Column("symbol", Text),
    Column("agent_name", Text),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary, nullable=False, comment="msgpack, byte by byte as it came"),
    Column("marks", Text, nullable=False, comment="words of Mark, separated by commas"),
    Column("planned", Text, nullable=False, comment="JSON [[channel, step], ...], for the ledger"),
    Column("digest", LargeBinary, comment="BLAKE2b of the body, 16 bytes, for the ledger"),
    Column("resolved_by", LargeBinary, comment="the alert that told of its end, 16 bytes"),
    # Not unique: the same number with another alert id is kept, and told.
    Index("alert_stream_sequence", "stream", "sequence"),
    Index("alert_critical", "published_us", sqlite_where=CRITICAL, postgresql_where=CRITICAL),
)

notification_queue: Final = Table(
    "notification_queue",
    metadata,
    Column("id", Number, primary_key=True),
    Column("payload", Text, nullable=False, comment="the alert as JSON, without the agent's state"),
    Column("status", Text, nullable=False, comment="a word of DeliveryState"),
    Column("retries", Integer, nullable=False, comment="attempts that count and ended without acceptance"),
    Column("created_at", BigInteger, nullable=False, comment="microseconds"),
    Column("alert_id", LargeBinary, ForeignKey(alert.c.id), nullable=False),
    Column("channel", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("why", Text, comment="why it is suppressed"),
    Column("priority", Integer, nullable=False, comment="0 is served first"),
    Column("due_at", BigInteger, nullable=False, comment="microseconds, by the daemon's clock"),
    Column("published_us", BigInteger, nullable=False),
    Column("lease", Text, comment="token of the claim that holds it"),
    Column("lease_owner", Text),
    Column("lease_until", BigInteger, comment="microseconds, by the database's clock"),
    Column("lease_length", BigInteger, comment="microseconds; opening an attempt renews the lease by it"),
    Column("open_attempt", BigInteger, comment="the attempt whose answer is not recorded yet"),
    Column("possible_repeat", Boolean, nullable=False),
    Column("finished_at", BigInteger),
    Column("last_reason", Text),
    Column("last_detail", Text),
    Column("last_code", Text),
    Column("handling", Text, comment="JSON of Handling; NULL for the defaults"),
    Column("expires_at", BigInteger, comment="when it is too old to be sent; NULL means never"),
    Column("batch", Text, comment="what is due with the same word is told in one message"),
    Column("digest", BigInteger, comment="the digest that tells it"),
    Column("follows", Boolean, comment="true where another delivery of its digest is claimed for all; else NULL"),
    Column("more", Integer, comment="how many were counted instead of sent; NULL where it ends no window"),
    Column("more_since", BigInteger, comment="when the first of these was published"),
    Column("told_by", LargeBinary, comment="the alert that tells of it instead"),
    Column("handed_over", Boolean, comment="true where a fallback tells it, too; else NULL"),
    UniqueConstraint("alert_id", "channel", "step"),
    # In the order in which a channel serves; due_at at the end lets a claim pass over what is not due.
    Index(
        "notification_queue_claim",
        "channel",
        "priority",
        "published_us",
        "id",
        "due_at",
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    ),
    Index(
        "notification_queue_batch",
        "batch",
        "channel",
        sqlite_where=text("batch IS NOT NULL"),
        postgresql_where=text("batch IS NOT NULL"),
    ),
    Index(
        "notification_queue_digest",
        "digest",
        sqlite_where=text("digest IS NOT NULL"),
        postgresql_where=text("digest IS NOT NULL"),
    ),
    Index("notification_queue_expired", "channel", sqlite_where=UNTOLD_EXPIRED, postgresql_where=UNTOLD_EXPIRED),
    Index(
        "notification_queue_rehearsal",
        "channel",
        "priority",
        "published_us",
        "id",
        sqlite_where=UNREHEARSED,
        postgresql_where=UNREHEARSED,
    ),
    Index("notification_queue_channel_status", "channel", "status"),
    # What ends without an attempt is found by when it ended, for those who follow the store.
    Index("notification_queue_finished", "finished_at", sqlite_where=FINISHED, postgresql_where=FINISHED),
    Index(
        "notification_queue_lease_owner",
        "lease_owner",
        sqlite_where=text("lease_owner IS NOT NULL"),
        postgresql_where=text("lease_owner IS NOT NULL"),
    ),
)

attempt: Final = Table(
    "attempt",
    metadata,
    Column("id", Number, primary_key=True),
    Column("opened_us", BigInteger, nullable=False),
    Column("closed_us", BigInteger, comment="NULL while nobody knows the answer"),
    Column("channel", Text, nullable=False),
    Column("reason", Text, comment="a word of Reason"),
    Column("status", Integer, comment="HTTP status"),
    Column("code", Text, comment="the provider's own error code"),
    Column("detail", Text),
    Column("provider_message_id", Text),
    Column("in_doubt", Boolean, nullable=False),
    Column("seconds", Float),
    Column("possible_repeat", Boolean, nullable=False, comment="its text said that it may be a repeat"),
    Column("receipt", Text, comment="the newest word of ReceiptState; NULL where none is expected"),
    Column("receipt_us", BigInteger, comment="since when, by the provider's clock where it says so"),
    Column("receipt_due", BigInteger, comment="when to ask the provider next; NULL for not at all"),
    Column("receipt_until", BigInteger, comment="how long to wait for one: a day from the acceptance"),
    Column("by_template", Boolean, comment="sent in an approved template; NULL while nobody knows the answer"),
    Index("attempt_channel_reason_closed", "channel", "reason", "closed_us"),
    Index(
        "attempt_provider_message_id",
        "provider_message_id",
        sqlite_where=text("receipt IS NOT NULL"),
        postgresql_where=text("receipt IS NOT NULL"),
    ),
    Index("attempt_untold", "channel", "receipt_due", sqlite_where=UNTOLD, postgresql_where=UNTOLD),
)

#: A digest's attempt covers many deliveries.
attempt_delivery: Final = Table(
    "attempt_delivery",
    metadata,
    Column("attempt_id", Number, ForeignKey(attempt.c.id), primary_key=True),
    Column("delivery_id", Number, ForeignKey(notification_queue.c.id), primary_key=True),
    Index("attempt_delivery_delivery", "delivery_id"),
)

#: What providers told of messages, one row for each state of each message.
receipt: Final = Table(
    "receipt",
    metadata,
    Column("id", Number, primary_key=True, comment="order of coming"),
    Column("provider", Text, nullable=False),
    Column("message_id", Text, nullable=False, comment="the provider's own id of the message"),
    Column("reference", Text, nullable=False, comment="of the attempt, where the provider told it back"),
    Column("state", Text, nullable=False, comment="a word of ReceiptState"),
    Column("code", Text, comment="why it failed, by the provider's own code"),
    Column("detail", Text, nullable=False),
    Column("at_us", BigInteger, comment="when it happened, by the provider's clock"),
    Column("received_us", BigInteger, nullable=False),
    Column("attempt_id", Number, ForeignKey(attempt.c.id), comment="NULL until it is known"),
    Column("settled_us", BigInteger, comment="when all that follows from it was done"),
    # In this order: who closes an attempt knows the message, and not the provider.
    UniqueConstraint("message_id", "provider", "state"),
    Index(
        "receipt_attempt_id",
        "attempt_id",
        sqlite_where=text("attempt_id IS NOT NULL"),
        postgresql_where=text("attempt_id IS NOT NULL"),
    ),
    Index("receipt_unsettled", "id", sqlite_where=UNSETTLED, postgresql_where=UNSETTLED),
    Index("receipt_stray", "received_us", sqlite_where=STRAY, postgresql_where=STRAY),
)

#: What each channel knows of its provider and target: `subscriber.deliveries.Remembered`.
channel_memory: Final = Table(
    "channel_memory",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("held_until", BigInteger, comment="microseconds, by the daemon's clock, as the next two"),
    Column("inbound", BigInteger, comment="when the person last wrote to us"),
    Column("outside", BigInteger, comment="when a text was last refused for being outside of the 24-hour window"),
    Column("moved_from", Text, comment="a digest of the configured target that has moved"),
    Column("moved_to", Text),
    Column("target", Text, comment="a digest of the configured target that all of this is about"),
    Column("paused_by", Text, comment="the alert that told of its pause, until one tells that it works again"),
)

stream: Final = Table(
    "stream",
    metadata,
    Column("stream", LargeBinary, primary_key=True, comment="16 bytes: one opening of a journal"),
    Column("source", Text, nullable=False),
    Column("up_to", BigInteger, comment="every number up to here is settled; NULL until the stream's start is known"),
    Column("last_seen", BigInteger, nullable=False, comment="the highest number that came"),
    Column("first_seen_us", BigInteger, nullable=False),
    Column("last_heard_us", BigInteger, comment="the newest heartbeat that any daemon heard"),
    Column("goodbye", Text, comment="the reason it gave when it ended on purpose"),
    Column("first", BigInteger, comment="where it starts for this store; what is below was acknowledged to others"),
    Column("announced", BigInteger, comment="the highest number that its publisher told of"),
    Column("volatile", Boolean, comment="its publisher held it in memory only"),
    Column("silent_us", BigInteger, comment="when people were told that it is silent"),
    Column("silence", LargeBinary, comment="the alert that told them, until they are told of its end"),
    Column("hang", LargeBinary, comment="the alert that told of a hung loop, until people are told of its end"),
    Index("stream_watched", "first_seen_us", sqlite_where=WATCHED, postgresql_where=WATCHED),
    Index("stream_source", "source", "first_seen_us"),
)

#: What stood in rows that retention removed, so that the ledger still balances.
ledger_total: Final = Table(
    "ledger_total",
    metadata,
    Column("scope", Text, primary_key=True, comment="stream or channel"),
    Column("name", Text, primary_key=True, comment="the stream in hex, or the channel"),
    Column("word", Text, primary_key=True, comment="stored, duplicate, highest; planned, or a word of DeliveryState"),
    Column("total", BigInteger, nullable=False),
)

stream_mark: Final = Table(
    "stream_mark",
    metadata,
    Column("id", Number, primary_key=True),
    Column("stream", LargeBinary, ForeignKey(stream.c.stream), nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("mark", Text, nullable=False, comment="lost, or duplicate: its alert is kept under another number"),
    Column("alert_id", LargeBinary, comment="the alert that a duplicate number carried"),
    Column("reason", Text, nullable=False),
    Column("noted_us", BigInteger, nullable=False),
    UniqueConstraint("stream", "first", "mark", "alert_id"),
    Index("stream_mark_stream_last", "stream", "last"),
    Index("stream_mark_alert_id", "alert_id"),
)

setting: Final = Table(
    "setting",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("changed_us", BigInteger, nullable=False),
)
