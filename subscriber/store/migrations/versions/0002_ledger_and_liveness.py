"""What the ledger proves and what liveness remembers: digests, where streams start, who was accused, pruned totals."""

from __future__ import annotations

from hashlib import blake2b

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_BATCH = 1000
_WATCHED = sa.text(
    "(goodbye IS NULL AND silent_us IS NULL) OR silence IS NOT NULL OR hang IS NOT NULL OR announced > up_to"
)


def upgrade() -> None:
    """Add the columns and the table, and fill in what can be told of the rows that are there."""
    op.add_column(
        "alert", sa.Column("digest", sa.LargeBinary(), comment="BLAKE2b of the body, 16 bytes, for the ledger")
    )
    for column in (
        sa.Column(
            "first", sa.BigInteger(), comment="where it starts for this store; what is below was acknowledged to others"
        ),
        sa.Column("announced", sa.BigInteger(), comment="the highest number that its publisher told of"),
        sa.Column("volatile", sa.Boolean(), comment="its publisher held it in memory only"),
        sa.Column("silent_us", sa.BigInteger(), comment="when people were told that it is silent"),
        sa.Column("silence", sa.LargeBinary(), comment="the alert that told them, until they are told of its end"),
        sa.Column(
            "hang", sa.LargeBinary(), comment="the alert that told of a hung loop, until people are told of its end"
        ),
    ):
        op.add_column("stream", column)
    op.create_index("stream_watched", "stream", ["first_seen_us"], sqlite_where=_WATCHED, postgresql_where=_WATCHED)
    op.create_index("stream_source", "stream", ["source", "first_seen_us"])
    op.create_table(
        "ledger_total",
        sa.Column("scope", sa.Text(), nullable=False, comment="stream or channel"),
        sa.Column("name", sa.Text(), nullable=False, comment="the stream in hex, or the channel"),
        sa.Column(
            "word",
            sa.Text(),
            nullable=False,
            comment="stored, duplicate, highest; planned, or a word of DeliveryState",
        ),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "name", "word", name=op.f("ledger_total_pkey")),
    )
    op.create_index("stream_mark_alert_id", "stream_mark", ["alert_id"])
    _fill_digests()
    _fill_starts()


def _fill_digests() -> None:
    connection = op.get_bind()
    alert = sa.table("alert", sa.column("number"), sa.column("body"), sa.column("digest"))
    after = 0
    wanted = sa.select(alert.c.number, alert.c.body).order_by(alert.c.number).limit(_BATCH)
    fill = sa.update(alert).where(alert.c.number == sa.bindparam("which")).values(digest=sa.bindparam("found"))
    while rows := connection.execute(wanted.where(alert.c.number > after)).all():
        found = [{"which": row.number, "found": blake2b(row.body, digest_size=16).digest()} for row in rows]
        connection.execute(fill, found)
        after = rows[-1].number


def _fill_starts() -> None:
    """A stream's start was not kept before: it is the lowest number that is stored or marked, if any is."""
    connection = op.get_bind()
    stream = sa.table("stream", sa.column("stream"), sa.column("up_to"), sa.column("first"))
    alert = sa.table("alert", sa.column("stream"), sa.column("sequence"))
    mark = sa.table("stream_mark", sa.column("stream"), sa.column("first"))
    for row in connection.execute(sa.select(stream.c.stream, stream.c.up_to).where(stream.c.up_to.is_not(None))).all():
        lowest = [
            connection.scalar(sa.select(sa.func.min(alert.c.sequence)).where(alert.c.stream == row.stream)),
            connection.scalar(sa.select(sa.func.min(mark.c.first)).where(mark.c.stream == row.stream)),
            row.up_to + 1,
        ]
        first = min(number for number in lowest if number is not None)
        up_to = _settled_to(connection, row.stream, row.up_to)
        connection.execute(sa.update(stream).where(stream.c.stream == row.stream).values(first=first, up_to=up_to))


def _settled_to(connection: sa.Connection, stream: bytes, up_to: int) -> int:
    """A position was not moved by what had come before the stream's start was known."""
    alert = sa.table("alert", sa.column("stream"), sa.column("sequence"))
    mark = sa.table("stream_mark", sa.column("stream"), sa.column("first"), sa.column("last"))
    stored = sa.select(alert.c.sequence, alert.c.sequence).where(alert.c.stream == stream, alert.c.sequence > up_to)
    marked = sa.select(mark.c.first, mark.c.last).where(mark.c.stream == stream, mark.c.last > up_to)
    for first, last in connection.execute(sa.union_all(stored, marked).order_by(sa.literal_column("1"))):
        if first > up_to + 1:
            break
        up_to = max(up_to, last)
    return up_to
