"""How far each store has a stream, and where a new one starts."""

from __future__ import annotations

from publisher.acknowledged import Acknowledged


def test_settled_is_what_the_slowest_store_has() -> None:
    """Two stores are two receivers."""
    acknowledged = Acknowledged({"a": 5, "b": 3})
    assert (acknowledged.settled(), acknowledged.settled_with("b", 9), acknowledged.settled_with("c", 1)) == (3, 5, 1)
    assert (acknowledged.first_missing("a"), acknowledged.first_missing("new"), acknowledged.first_missing(None)) == (
        6, 4, 4,
    )  # fmt: skip


def test_note_lower_number_takes_nothing_back() -> None:
    """Acks can overtake each other."""
    acknowledged = Acknowledged({"a": 5})
    acknowledged.note("a", 2)
    assert acknowledged.of("a") == 5


def test_forget_the_slowest_settles_what_the_others_have() -> None:
    """And a new store starts above that: it must not take for lost what was acknowledged."""
    acknowledged = Acknowledged({"a": 50, "gone": 3})
    assert acknowledged.settled_without(["gone"]) == 50
    acknowledged.forget(["gone"])
    assert ("gone" in acknowledged, acknowledged.stores, acknowledged.settled()) == (False, ("a",), 50)
    assert acknowledged.first_missing("gone") == 51


def test_forget_the_only_store_keeps_where_it_stood() -> None:
    """The floor outlives the store: a later one is not told that 1 to 7 are lost."""
    acknowledged = Acknowledged({"a": 7})
    acknowledged.forget(["a"])
    assert (acknowledged.settled(), acknowledged.floor, acknowledged.first_missing("a")) == (7, 7, 8)
    acknowledged.note("b", 7)
    assert acknowledged.settled_with("b", 9) == 9


def test_new_nobody_has_anything() -> None:
    """The first number is the first that is missing."""
    acknowledged = Acknowledged()
    assert (acknowledged.settled(), acknowledged.of("a"), acknowledged.first_missing("a")) == (0, -1, 1)
