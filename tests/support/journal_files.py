"""A publisher's journal as a file, written by hand: what it holds is what a test says, true or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from publisher.journal_file import FORMAT
from subscriber.store import Incoming
from tests.support.alerts import STREAM

SCHEMA = """
CREATE TABLE outbox (
    sequence INTEGER PRIMARY KEY, published_us INTEGER NOT NULL, topic TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE acknowledged (store_id TEXT PRIMARY KEY, up_to INTEGER NOT NULL, seen_us INTEGER NOT NULL);
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL);
"""


def write_journal(
    folder: Path,
    held: Mapping[int, Incoming],
    acknowledged: Mapping[str, int] | None = None,
    *,
    stream: bytes = STREAM,
    version: int = FORMAT,
) -> Path:
    """Write a journal that holds these alerts under these numbers, and return its path."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{stream.hex()}.journal"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(SCHEMA + f"PRAGMA user_version = {version};")
        connection.execute("INSERT INTO meta VALUES ('stream', ?), ('source', 'trader-1')", (stream,))
        connection.executemany(
            "INSERT INTO outbox VALUES (?, ?, ?, ?)",
            [(number, item.published_us, item.topic, item.body) for number, item in held.items()],
        )
        connection.executemany("INSERT INTO acknowledged VALUES (?, ?, 0)", list((acknowledged or {}).items()))
    return path
