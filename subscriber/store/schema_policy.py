"""The tables of the delivery policy: digests, windows, silences, escalations, and what people changed. Pure."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, text

from subscriber.store.schema_base import Number, metadata

#: Silences and escalations that go on.
UNENDED: Final = text("ended_us IS NULL")

#: Messages that tell many deliveries; what one says, and of whom, is fixed when its first attempt is opened.
digest: Final = Table(
    "digest",
    metadata,
    Column("id", Number, primary_key=True),
    Column("channel", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="a word of DigestKind"),
    Column("state", Text, nullable=False, comment="a word of DigestState"),
    Column("created_us", BigInteger, nullable=False),
    Column("finished_us", BigInteger),
    Column("members", Integer, nullable=False, comment="how many deliveries it tells"),
    Column("message", Text, comment="JSON of the Message; NULL until its first attempt"),
    Column("parent", BigInteger, comment="the digest of which it is a half"),
    Index("digest_channel_created", "channel", "created_us"),
)

#: For each channel and fingerprint, how long what is like it is counted instead of sent.
dedup_window: Final = Table(
    "dedup_window",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("fingerprint", LargeBinary, primary_key=True, comment="16 bytes"),
    Column("until_us", BigInteger, nullable=False),
    Column("carrier", LargeBinary, comment="the newest alert of the window, which is told at its end"),
    Index("dedup_window_until", "until_us"),
)

#: For each channel and batch, when it is told next, or was told last.
group_window: Final = Table(
    "group_window",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("batch", Text, primary_key=True),
    Column("flush_us", BigInteger, nullable=False),
    Index("group_window_flush", "flush_us"),
)

silence: Final = Table(
    "silence",
    metadata,
    Column("id", Number, primary_key=True),
    Column("matchers", Text, nullable=False, comment="JSON, as the match of a route"),
    Column("author", Text, nullable=False),
    Column("via", Text, nullable=False, comment="api, cli, page or telegram"),
    Column("reason", Text, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("starts_us", BigInteger, nullable=False),
    Column("ends_us", BigInteger, nullable=False),
    Column("drops", Boolean, nullable=False, comment="what falls in it is not told at its end"),
    Column("lets_critical", Boolean, nullable=False, comment="CRITICAL is told all the same"),
    Column("ended_us", BigInteger, comment="when it ended, or was ended"),
    Column("ended_by", Text, comment="who ended it before its time"),
    Index("silence_open", "ends_us", sqlite_where=UNENDED, postgresql_where=UNENDED),
)

#: Alerts that go to the next channel when nobody acknowledges them.
escalation: Final = Table(
    "escalation",
    metadata,
    Column("alert_id", LargeBinary, ForeignKey("alert.id"), primary_key=True),
    Column("ack_within_us", BigInteger, nullable=False),
    Column("channels", Text, nullable=False, comment="JSON list: the channel of each turn"),
    Column("turn", Integer, nullable=False, comment="the next one; the first is 1"),
    Column("due_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),
    Column("ended_why", Text, comment="acknowledged, resolved or exhausted"),
    Index("escalation_due", "due_us", sqlite_where=UNENDED, postgresql_where=UNENDED),
)

acknowledgement: Final = Table(
    "acknowledgement",
    metadata,
    Column("alert_id", LargeBinary, ForeignKey("alert.id"), primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("author", Text, nullable=False),
    Column("via", Text, nullable=False, comment="api, cli, page or telegram"),
    Column("note", Text, nullable=False),
)

#: Which channels people switched off and on; one without a row is on.
channel_switch: Final = Table(
    "channel_switch",
    metadata,
    Column("channel", Text, primary_key=True),
    Column("enabled", Boolean, nullable=False),
    Column("at_us", BigInteger, nullable=False, comment="when it was set to this"),
    Column("author", Text, nullable=False),
    Column("via", Text, nullable=False, comment="api, cli or page"),
)

#: What people changed: settings, silences, channels.
change: Final = Table(
    "change",
    metadata,
    Column("id", Number, primary_key=True),
    Column("at_us", BigInteger, nullable=False),
    Column("what", Text, nullable=False, comment="a word of ChangeKind"),
    Column("author", Text, nullable=False),
    Column("via", Text, nullable=False),
    Column("detail", Text, nullable=False, comment="JSON, without secrets"),
    Index("change_at", "at_us"),
)
