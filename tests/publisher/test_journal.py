"""The journal's file: what is written, read, acknowledged, forgotten, and when the file goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from publisher.errors import JournalError
from publisher.journal import Journal
from publisher.locks import FileLock
from publisher.outbox import Outbox
from publisher.volatile import VolatileOutbox
from tests.publisher.builders import python, rows

PLENTY_BYTES = 2**40


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    with closing(Journal.create(folder, "trader", sync="normal")) as created:
        yield created


@pytest.fixture(params=["journal", "volatile"])
def outbox(request: pytest.FixtureRequest, folder: Path) -> Iterator[Outbox]:
    """Both kinds of outbox: they keep the same promises while the process lives."""
    if request.param == "journal":
        with closing(Journal.create(folder, "trader", sync="normal")) as created:
            yield created
    else:
        yield VolatileOutbox("trader")


def sequences(outbox: Outbox) -> list[int]:
    return [entry.sequence for entry in outbox.read(1, outbox.last, 100_000)]


def test_outbox_new_holds_nothing(outbox: Outbox) -> None:
    """A stream begins with the number 1 still to come."""
    assert (outbox.last, outbox.held(), outbox.first_held()) == (0, 0, 1)
    assert outbox.first_unacknowledged(None) == 1
    assert len(outbox.stream) == 16
    assert (outbox.source, outbox.own, outbox.goodbye) == ("trader", True, None)
    assert outbox.read(1, 10, 10) == []


@pytest.mark.parametrize("sizes", [[1, 1, 1], [1023, 1, 1025], [3000]])
def test_append_batches_of_any_size_numbers_without_a_gap(outbox: Outbox, sizes: list[int]) -> None:
    """Numbers go on across batches, whatever their sizes are."""
    firsts = [outbox.append(rows(size)) for size in sizes]

    assert firsts == [1 + sum(sizes[:position]) for position in range(len(sizes))]
    assert sequences(outbox) == list(range(1, sum(sizes) + 1))
    assert outbox.last == outbox.held() == sum(sizes)


def test_read_range_returns_entries_as_given(outbox: Outbox) -> None:
    """What comes back is what was kept: time, topic and bytes."""
    outbox.append(rows(5))

    entries = outbox.read(2, 3, 100)

    assert [(e.sequence, e.published_us, e.topic, e.body) for e in entries] == [
        (2, 1_002, "severity.INFO.", b"body 2"),
        (3, 1_003, "severity.INFO.", b"body 3"),
    ]


@pytest.mark.parametrize(
    ("first", "last", "limit", "expected"),
    [(4, 9, 3, [4, 5, 6]), (9, 99, 10, [9, 10]), (5, 4, 10, []), (11, 20, 10, []), (1, 10, 0, [])],
)
def test_read_odd_ranges_returns_what_there_is(
    outbox: Outbox, first: int, last: int, limit: int, expected: list[int]
) -> None:
    """A range may be longer than the limit, reach beyond the end, or be none."""
    outbox.append(rows(10))
    assert [entry.sequence for entry in outbox.read(first, last, limit)] == expected


def test_acknowledge_one_store_forgets_what_it_has(outbox: Outbox) -> None:
    """What the only store has is not needed any more."""
    outbox.append(rows(5))
    outbox.acknowledge("a", 3, 1)
    assert sequences(outbox) == [4, 5]
    assert (outbox.first_held(), outbox.held(), outbox.first_unacknowledged("a")) == (4, 2, 4)


def test_acknowledge_two_stores_keeps_what_one_still_needs(outbox: Outbox) -> None:
    """Two stores are two receivers: only what both have is forgotten."""
    outbox.append(rows(5))
    outbox.acknowledge("a", 2, 1)
    outbox.acknowledge("b", 4, 1)
    assert sequences(outbox) == [3, 4, 5]
    assert (outbox.first_unacknowledged("a"), outbox.first_unacknowledged("b")) == (3, 5)

    outbox.acknowledge("a", 5, 1)
    assert sequences(outbox) == [5]


def test_first_unacknowledged_new_store_starts_where_a_known_one_stands(outbox: Outbox) -> None:
    """A store that comes later is not offered what was settled before, nor told that it is lost."""
    outbox.append(rows(5))
    outbox.acknowledge("a", 4, 1)
    outbox.acknowledge("b", 3, 1)
    assert outbox.first_unacknowledged("new") == outbox.first_unacknowledged(None) == 4


@pytest.mark.parametrize("repeated", [5, 3, 0])
def test_acknowledge_repeated_or_lower_changes_nothing(outbox: Outbox, repeated: int) -> None:
    """Acks are repeated and can overtake each other."""
    outbox.append(rows(8))
    outbox.acknowledge("a", 5, 1)
    outbox.acknowledge("a", repeated, 2)
    assert (sequences(outbox), outbox.first_unacknowledged("a")) == ([6, 7, 8], 6)


def test_acknowledge_beyond_last_is_cut_to_it(outbox: Outbox) -> None:
    """A daemon that acknowledges what was never sent does not settle what comes next."""
    outbox.append(rows(2))
    outbox.acknowledge("a", 99, 1)
    outbox.append(rows(1, first=3))
    assert (sequences(outbox), outbox.first_unacknowledged("a")) == ([3], 3)


def test_create_new_folder_is_for_its_owner_only(journal: Journal, folder: Path) -> None:
    """Alerts tell of money: nobody else on the machine reads them."""
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.suffix for path in folder.iterdir()} >= {".journal", ".lock"}


@pytest.mark.parametrize(("sync", "level"), [("normal", 1), ("full", 2)])
def test_create_sync_setting_reaches_the_file(folder: Path, sync: str, level: int) -> None:
    """`full` is what survives power loss."""
    with closing(Journal.create(folder, "trader", sync=sync)) as journal:
        assert journal._file.connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert journal._file.connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_create_below_a_file_raises_journal_error(tmp_path: Path) -> None:
    """A folder that can't be made is told with its name."""
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="file/journal"):
        Journal.create(tmp_path / "file" / "journal", "trader", sync="normal")


NO_ROOM = """
import resource, sys
from pathlib import Path
from publisher.errors import JournalError
from publisher.journal import Journal
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    Journal.create(Path(sys.argv[1]), "trader", sync="normal")
except JournalError as error:
    print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_create_full_disk_raises_journal_error_and_leaves_nothing(folder: Path) -> None:
    """Half a file would be found by every publisher that comes later."""
    with python(NO_ROOM, str(folder)) as child:
        out, errors = child.communicate(timeout=60)
    assert out.startswith(str(folder)), errors
    assert list(folder.iterdir()) == []


def test_create_name_locked_by_somebody_raises_journal_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't happen by chance: a file system without locks says so of every file."""
    monkeypatch.setattr(FileLock, "acquire", lambda path: None)
    with pytest.raises(JournalError, match="locked by another process although its name is new"):
        Journal.create(folder, "trader", sync="normal")


def test_append_full_disk_writes_nothing_and_goes_on_when_there_is_room(journal: Journal) -> None:
    """A batch is written whole or not at all, and its numbers are given out again."""
    journal.append(rows(3))
    (pages,) = journal._file.connection.execute("PRAGMA page_count").fetchone()
    journal._file.connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalError, match="full"):
        journal.append(rows(5000, first=4))
    assert (journal.last, journal.held()) == (3, 3)

    journal._file.connection.execute("PRAGMA max_page_count = 100000")
    assert journal.append(rows(1, first=4)) == 4
    assert sequences(journal) == [1, 2, 3, 4]


def test_prune_old_alerts_forgets_them_and_says_how_many(journal: Journal) -> None:
    """What is older than the limit goes, oldest first."""
    journal.append(rows(10))
    assert journal.prune(PLENTY_BYTES, published_before_us=1_005) == 4
    assert (sequences(journal), journal.first_held()) == ([5, 6, 7, 8, 9, 10], 5)
    assert journal.prune(PLENTY_BYTES, published_before_us=1_005, old_up_to=4) == 0
    assert journal.prune(PLENTY_BYTES, old_up_to=6) == 2
    assert sequences(journal) == [7, 8, 9, 10]


def test_prune_everything_old_keeps_the_newest(journal: Journal) -> None:
    """The last one says how many there were: without it, the loss itself would be lost."""
    journal.append(rows(10))
    assert journal.prune(PLENTY_BYTES, published_before_us=9_999) == 9
    assert (sequences(journal), journal.last, journal.held()) == ([10], 10, 1)


def test_prune_clock_set_back_leaves_no_gap(journal: Journal) -> None:
    """An old time behind a young one stays: a gap in what is held would be asked for again for ever."""
    journal.append([*rows(3), *rows(3, first=4, published_us=10), *rows(3, first=7)])
    journal.prune(PLENTY_BYTES, published_before_us=1_003)
    assert sequences(journal) == [3, 4, 5, 6, 7, 8, 9]


def test_prune_too_large_brings_it_below_the_limit(journal: Journal) -> None:
    """However far a journal grew between two looks, one look is enough."""
    journal.append([(1_000, "severity.INFO.", b"x" * 2_000)] * 5_000)
    limit = 2**20

    removed = journal.prune(limit)

    (pages, free) = journal._file.connection.execute(
        "SELECT page_count, freelist_count FROM pragma_page_count, pragma_freelist_count"
    ).fetchone()
    assert (pages - free) * 4096 <= limit
    assert sequences(journal) == list(range(removed + 1, 5_001))
    assert journal.prune(limit) == 0


def test_close_settled_removes_its_files(journal: Journal, folder: Path) -> None:
    """A stream that everybody has leaves nothing behind."""
    journal.append(rows(2))
    journal.acknowledge("a", 2, 1)
    journal.close()
    assert list(folder.iterdir()) == []


def test_close_unsettled_keeps_the_file(journal: Journal, folder: Path) -> None:
    """What nobody has yet waits for an adopter."""
    journal.append(rows(2))
    journal.close()
    assert [path.suffix for path in folder.iterdir() if path.suffix != ".lock"] == [".journal"]


@pytest.mark.parametrize(("heard", "left"), [(False, 1), (True, 0)])
def test_close_goodbye_unheard_keeps_the_file(folder: Path, heard: bool, left: int) -> None:
    """A store that knows the stream would accuse it of silence, unless somebody repeats the goodbye."""
    journal = Journal.create(folder, "trader", sync="normal")
    journal.append(rows(2))
    journal.acknowledge("a", 2, 1)
    journal.say_goodbye("closed")
    if heard:
        journal.goodbye_heard_by.add("a")
    journal.close()
    assert len(list(folder.glob("*.journal"))) == left


def test_close_goodbye_that_no_store_waits_for_removes_the_file(journal: Journal, folder: Path) -> None:
    """Where no daemon ever was, a publisher that said nothing leaves no litter."""
    journal.say_goodbye("closed")
    journal.close()
    assert list(folder.iterdir()) == []
