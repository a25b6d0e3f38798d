"""What a daemon's SQLite file holds, read beside the daemon: ids, numbers of streams, and what it calls lost."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Kept:
    """The alerts of publishers in one store; what the daemon itself had to say is left out."""

    ids: Counter[bytes]
    numbers: Counter[tuple[bytes, int]]  #: how often each (stream, sequence) is there
    marks: tuple[tuple[str, int, int, str], ...]  #: (mark, first, last, reason) of what is lost or a duplicate

    def check(self, published: Iterable[bytes]) -> None:
        """Fail unless exactly these alerts are there, each once, under a number of its own, and nothing is lost."""
        wanted = Counter(published)
        missing, surplus = (wanted - self.ids).total(), (self.ids - wanted).total()
        twice = sum(count > 1 for count in self.numbers.values())
        told = (missing, surplus, twice, self.marks)
        assert told == (0, 0, 0, ()), f"missing {missing}, too many {surplus}, numbers twice {twice}, {self.marks}"

    def runs(self) -> list[tuple[int, int]]:
        """Return the first and the last number of each stream; fail where one is missing between them."""
        numbers: dict[bytes, list[int]] = {}
        for stream, number in self.numbers:
            numbers.setdefault(stream, []).append(number)
        for held in numbers.values():
            assert max(held) - min(held) + 1 == len(held)
        return sorted((min(held), max(held)) for held in numbers.values())


def kept_in(database: Path) -> Kept:
    """Read all of it."""
    with _reading(database) as connection:
        rows = connection.execute("SELECT id, stream, sequence FROM alert WHERE stream IS NOT NULL").fetchall()
        marks = connection.execute("SELECT mark, first, last, reason FROM stream_mark ORDER BY id").fetchall()
    return Kept(
        Counter(identity for identity, _, _ in rows),
        Counter((stream, sequence) for _, stream, sequence in rows),
        tuple(marks),
    )


def count_in(database: Path) -> int:
    """Return how many alerts of publishers are there."""
    with _reading(database) as connection:
        (count,) = connection.execute("SELECT count(*) FROM alert WHERE sequence IS NOT NULL").fetchone()
    return int(count)


class Watch:
    """A database that is asked often while its daemon works: costs next to nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Use an open connection; `watching` opens one."""
        self._connection = connection

    def newest(self) -> int:
        """Return the number of the alert stored last, the daemon's own included: how many there are in all."""
        (newest,) = self._connection.execute("SELECT max(number) FROM alert").fetchone()
        return int(newest or 0)

    def holds(self, identity: bytes) -> bool:
        """Whether an alert of this id is there."""
        return self._connection.execute("SELECT 1 FROM alert WHERE id = ?", (identity,)).fetchone() is not None


@contextmanager
def watching(database: Path) -> Iterator[Watch]:
    """Keep a database open for as long as the block lasts."""
    with _reading(database) as connection:
        yield Watch(connection)


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30.0)) as connection:
        yield connection
