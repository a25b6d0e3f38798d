"""A journal remembers what the clocks said when it began, so that an adopter can tell in which time it was stamped."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.clock import MICROSECONDS, Moment, SystemClock
from publisher.journal import Journal
from publisher.journal_folder import left_behind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


def adopted(folder: Path) -> Journal:
    (path,) = left_behind(folder)
    journal = Journal.adopt(path, sync="normal")
    assert journal is not None
    return journal


def test_adopt_knows_what_the_clock_of_the_stream_would_say(folder: Path) -> None:
    """The dead publisher's clock was an hour behind, and was set right since."""
    now = Moment.now(SystemClock(), "this start")
    behind = Moment(now.wall_us - 3600 * MICROSECONDS, now.monotonic_us, now.boot)
    journal = Journal.create(folder, "trader", sync="normal", began=behind)
    journal.append([(behind.wall_us, "severity.INFO.", b"x")])
    journal.close()
    again = adopted(folder)
    assert again.began is not None
    assert again.began.unset_us(now) == now.wall_us - 3600 * MICROSECONDS
    again.close()


@pytest.mark.parametrize("text", [None, "nonsense", 7])
def test_adopt_without_a_readable_moment_says_nothing_of_it(folder: Path, text: object) -> None:
    """As an earlier version wrote it."""
    journal = Journal.create(folder, "trader", sync="normal")
    journal.append([(1, "severity.INFO.", b"x")])
    if text is not None:
        journal._file.connection.execute("INSERT INTO meta VALUES ('began', ?)", (text,))
    journal.close()
    again = adopted(folder)
    assert again.began is None
    again.close()
