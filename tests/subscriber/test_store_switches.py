"""Switches of channels in the store: what waits is suppressed for good, and no CRITICAL falls between two chairs."""

from __future__ import annotations

import pytest

from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Handling,
    PlannedDelivery,
)
from subscriber.store import Store
from subscriber.store.channel_switches import Switch
from tests.support.clock import FakeClock
from tests.support.switch_books import CHANNELS, DISABLED, WAITS, Books


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


# --- the switch ---------------------------------------------------------------------------------------------


def test_switch_is_kept_with_who_set_it_and_recorded_as_a_change(store: Store, clock: FakeClock) -> None:
    assert store.channel_switches() == {}
    assert store.switch_channel("telegram", enabled=False, author="kim", via="page")
    assert store.channel_switches() == {"telegram": Switch(False, clock.now_us(), "kim", "page")}
    (change,) = store.changes(5)
    told = {name: change[name] for name in ("what", "author", "via", "detail")}
    assert told == {
        "what": "channel_switched",
        "author": "kim",
        "via": "page",
        "detail": {"channel": "telegram", "enabled": False},
    }


def test_switch_that_is_set_so_already_changes_nothing(store: Store, clock: FakeClock) -> None:
    assert not store.switch_channel("telegram", enabled=True, author="kim", via="api")
    assert store.channel_switches() == {}
    store.switch_channel("telegram", enabled=False, author="kim", via="api")
    then_us = clock.now_us()
    clock.advance(1)
    assert not store.switch_channel("telegram", enabled=False, author="alex", via="cli")
    assert store.channel_switches() == {"telegram": Switch(False, then_us, "kim", "api")}
    assert store.switch_channel("telegram", enabled=True, author="alex", via="cli")
    assert store.channel_switches() == {"telegram": Switch(True, clock.now_us(), "alex", "cli")}
    assert len(store.changes(5)) == 2


def test_channel_is_known_by_what_was_planned_for_it_or_by_its_switch(books: Books) -> None:
    books.add("whatsapp")
    books.off("telegram")
    assert [books.store.knows_channel(name) for name in ("whatsapp", "telegram", "desk")] == [True, True, False]


def test_claim_of_a_channel_that_is_switched_off_takes_nothing(books: Books) -> None:
    books.add("telegram", "whatsapp")
    books.off("telegram")
    assert books.store.claim("telegram", "worker", 60.0, 5) == []
    assert books.claim("whatsapp").channel == "whatsapp"
    books.on("telegram")
    assert books.claim("telegram").channel == "telegram"


# --- what waits ---------------------------------------------------------------------------------------------


def test_settling_suppresses_what_waits_for_a_channel_that_is_off(books: Books) -> None:
    warning, critical = books.add("telegram", severity="WARNING"), books.add("telegram", "whatsapp")
    assert books.settle() == ({}, {})
    books.off("telegram")
    assert books.settle() == ({"telegram": 2}, {})
    assert books.story(warning) == {("telegram", "first"): DISABLED}
    assert books.story(critical) == {("telegram", "first"): DISABLED, ("whatsapp", "first"): WAITS}
    assert books.settle() == ({}, {})
    books.balanced()


def test_switching_on_again_does_not_bring_back_what_was_suppressed(books: Books) -> None:
    warning = books.add("telegram", severity="WARNING")
    books.off("telegram")
    books.settle()
    books.on("telegram")
    assert books.settle() == ({}, {})
    assert books.story(warning) == {("telegram", "first"): DISABLED}
    assert books.store.claim("telegram", "worker", 60.0, 5) == []


def test_settling_hands_a_critical_that_nobody_else_tells_to_a_channel_that_is_on_once(books: Books) -> None:
    critical = books.add("telegram", "whatsapp")
    books.off("telegram", "whatsapp")
    assert books.settle() == ({"telegram": 1, "whatsapp": 1}, {"desk": 1})
    assert books.story(critical) == {
        ("telegram", "first"): DISABLED,
        ("whatsapp", "first"): DISABLED,
        ("desk", "fallback"): WAITS,
    }
    books.on("telegram")
    assert books.settle() == ({}, {})
    books.balanced()


def test_critical_for_which_no_channel_is_left_waits_and_goes_out_by_the_first_that_is_switched_on(
    books: Books,
) -> None:
    critical, warning = books.add("telegram"), books.add("telegram", severity="WARNING")
    books.off(*CHANNELS)
    assert books.settle() == ({"telegram": 1}, {})
    assert books.story(warning) == {("telegram", "first"): DISABLED}
    assert (books.story(critical), books.store.uncovered_critical()) == ({("telegram", "first"): WAITS}, 1)
    books.on("desk")
    assert books.settle() == ({"telegram": 1}, {"desk": 1})
    assert books.story(critical) == {("telegram", "first"): DISABLED, ("desk", "fallback"): WAITS}
    assert books.store.uncovered_critical() == 0
    assert books.claim("desk").alert.id == critical.id
    books.balanced()


def test_critical_that_waited_goes_out_by_its_own_channel_where_that_is_the_first_switched_on(books: Books) -> None:
    critical = books.add("telegram", "whatsapp")
    books.off(*CHANNELS)
    assert books.settle() == ({}, {})
    assert (books.store.uncovered_critical(), books.store.waiting_critical("telegram")) == (2, 1)
    books.on("telegram")
    assert books.settle() == ({"whatsapp": 1}, {})
    assert books.story(critical) == {("telegram", "first"): WAITS, ("whatsapp", "first"): DISABLED}
    assert books.claim().alert.id == critical.id


@pytest.mark.parametrize("told", ["accepted", "delivered", "folded"])
def test_critical_that_a_person_was_told_is_not_told_again(books: Books, told: str) -> None:
    """Whoever told it may be switched off by now: a person knows."""
    critical = books.add("telegram", "whatsapp")
    books.store.mark_notification_sent(books.claim("whatsapp").id, told)
    books.off("whatsapp", "telegram")
    assert books.settle() == ({"telegram": 1}, {})
    assert books.story(critical)["telegram", "first"] == DISABLED


@pytest.mark.parametrize("state", ["dead", "expired", "suppressed"])
def test_critical_that_others_had_and_nobody_told_goes_to_a_channel_that_has_it_not(books: Books, state: str) -> None:
    critical = books.add("telegram", "whatsapp")
    books.store.mark_notification_sent(books.claim("whatsapp").id, state)
    books.off("telegram")
    assert books.settle(("telegram", "whatsapp")) == ({}, {})
    assert books.store.uncovered_critical() == 1
    assert books.settle() == ({"telegram": 1}, {"desk": 1})
    assert books.story(critical)["desk", "fallback"] == WAITS


def test_handed_over_goes_where_its_route_says_if_that_is_on(books: Books) -> None:
    handling = Handling(fallbacks=("desk",))
    books.add(planned=[PlannedDelivery("telegram", 0, handling=handling)])
    books.off("telegram")
    assert books.settle() == ({"telegram": 1}, {"desk": 1})
    books.add(planned=[PlannedDelivery("telegram", 0, handling=handling)])
    books.off("desk")
    assert books.settle() == ({"telegram": 1, "desk": 1}, {"whatsapp": 2})
    books.balanced()


def test_critical_that_a_silence_holds_stays_held_where_it_is_handed_over(books: Books, clock: FakeClock) -> None:
    until_us = clock.now_us() + 600 * MICROSECONDS
    critical = books.add(planned=[PlannedDelivery("telegram", until_us, batch="silence:1")])
    books.off("telegram")
    assert books.settle() == ({"telegram": 1}, {"whatsapp": 1})
    assert books.store.claim("whatsapp", "worker", 60.0, 1) == []
    clock.advance(600)
    assert books.claim("whatsapp").alert.id == critical.id


def test_settling_takes_no_more_than_its_limit(books: Books) -> None:
    for _ in range(5):
        books.add("telegram", severity="WARNING")
    books.off("telegram")
    counts = [sum(books.store.settle_switched_off(CHANNELS, 2).suppressed.values()) for _ in range(4)]
    assert counts == [2, 2, 1, 0]


def test_what_is_planned_by_who_did_not_know_of_the_switch_is_settled_by_the_next_look(books: Books) -> None:
    books.off("telegram")
    warning = books.add("telegram", severity="WARNING")
    assert books.settle() == ({"telegram": 1}, {})
    assert books.story(warning) == {("telegram", "first"): DISABLED}


# --- channels that are no more, and what is opened again ------------------------------------------------------


def test_channel_that_is_no_more_is_handed_over_to_one_that_is_on(books: Books) -> None:
    critical = books.add("old")
    books.off("telegram")
    assert books.store.switch_off_others(CHANNELS) == {"old": 1}
    assert books.story(critical) == {("old", "first"): DISABLED, ("whatsapp", "fallback"): WAITS}


def test_channel_that_is_no_more_is_handed_over_where_all_are_off_and_waits_there(books: Books) -> None:
    critical = books.add("old")
    books.off(*CHANNELS)
    assert books.store.switch_off_others(CHANNELS) == {"old": 1}
    assert books.settle() == ({}, {})
    assert (books.story(critical)["telegram", "fallback"], books.store.uncovered_critical()) == (WAITS, 1)


def test_what_was_set_by_hand_to_wait_is_settled(books: Books) -> None:
    warning = books.add("telegram", severity="WARNING")
    books.off("telegram")
    books.settle()
    (row,) = books.rows(warning.id)
    books.store.mark_notification_sent(row["id"], "pending")
    assert books.settle() == ({"telegram": 1}, {})
    books.balanced()
