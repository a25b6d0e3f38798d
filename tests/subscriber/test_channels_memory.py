"""What a channel remembers: changes are handed on until they are kept, times only move on, and follow a clock."""

from __future__ import annotations

import threading
from dataclasses import replace

from subscriber.channels.memory import Changes, ChannelMemory
from subscriber.deliveries import Remembered
from tests.support.notebook import Notebook


def test_change_is_known_at_once_and_handed_on() -> None:
    notebook = Notebook()
    memory = ChannelMemory(Remembered(outside_us=5), notebook)
    memory.change(moved_to="-100", moved_from="digest")
    assert memory.values == Remembered(outside_us=5, moved_to="-100", moved_from="digest")
    assert notebook.kept == [{"moved_to": "-100", "moved_from": "digest"}]


def test_latest_never_goes_back() -> None:
    """Receipts and webhooks come out of order."""
    notebook = Notebook()
    memory = ChannelMemory(keep=notebook)
    for moment in (10, 30, 20, 30):
        memory.latest("inbound_us", moment)
    assert memory.values.inbound_us == 30
    assert notebook.kept == [{"inbound_us": 10}, {"inbound_us": 30}]


def test_window_and_hold_of_another_target_are_forgotten() -> None:
    """They are about who writes to whom, not about a channel's name; what is known of a move has its own digest."""
    notebook = Notebook()
    learned = Remembered(held_until_us=3, inbound_us=1, outside_us=2, moved_from="digest", moved_to="7")
    memory = ChannelMemory(learned, notebook)
    memory.belong_to("a")  # an earlier version did not say whose it was
    assert memory.values == replace(learned, target="a")
    memory.belong_to("a")
    memory.belong_to("b")
    assert memory.values == Remembered(target="b", moved_from="digest", moved_to="7")
    forgotten = {"held_until_us": None, "inbound_us": None, "outside_us": None}
    assert notebook.kept == [{"target": "a"}, {"target": "b", **forgotten}]


def test_change_while_the_database_is_away_is_kept_later_with_its_newest_value() -> None:
    """A hold that is learned in an outage still holds after a restart."""
    notebook = Notebook()
    memory = ChannelMemory(keep=notebook)
    notebook.away = True
    memory.latest("held_until_us", 100)
    memory.latest("held_until_us", 200)
    memory.change(moved_to="7")
    assert memory.values == Remembered(held_until_us=200, moved_to="7")
    memory.moved(-20)
    notebook.away = False
    memory.keep_again()
    memory.keep_again()
    assert notebook.kept == [{"held_until_us": 180, "moved_to": "7"}]


def test_moved_moves_the_known_times_alone() -> None:
    """The database moves its own copy; what was on its way there meanwhile is put right by the next look."""
    notebook = Notebook()
    memory = ChannelMemory(Remembered(held_until_us=100, inbound_us=50, moved_to="7"), notebook)
    memory.moved(-20)
    assert memory.values == Remembered(held_until_us=80, inbound_us=30, moved_to="7")
    assert notebook.kept == []
    memory.keep_again()
    assert notebook.kept == [{"held_until_us": 80, "inbound_us": 30}]


def test_moved_waits_for_nobody_who_keeps() -> None:
    """The clock is followed while nobody may write to the database, for which a keeper may be waiting."""
    begun, may_end = threading.Event(), threading.Event()

    def keep(_changes: Changes) -> bool:
        begun.set()
        return may_end.wait(10)

    memory = ChannelMemory(Remembered(inbound_us=50), keep)
    keeping = threading.Thread(target=memory.change, kwargs={"moved_to": "7"})
    keeping.start()
    assert begun.wait(10)
    memory.moved(-20)
    assert memory.values == Remembered(inbound_us=30, moved_to="7")
    may_end.set()
    keeping.join(60)
