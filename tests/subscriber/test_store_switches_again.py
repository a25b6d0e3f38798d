"""Channels that are switched on again: what they missed while they were off counts as never asked of them."""

from __future__ import annotations

from typing import Final

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, GiveUp, Handling, Outcome, PlannedDelivery, Reason, Why
from subscriber.store import Store
from subscriber.store.receipts import Closed
from tests.support.clock import FakeClock
from tests.support.switch_books import DISABLED, WAITS, Books

REJECTED: Final = Outcome(Reason.REJECTED, "too long", status=400)
GIVEN_UP: Final = GiveUp(DeliveryState.DEAD, fallback=True)
DEAD: Final = ("dead", None)
TWO: Final = ("whatsapp", "telegram")


@pytest.fixture
def books(store: Store) -> Books:
    return Books(store)


def refused(books: Books, channel: str, *others: str) -> Closed:
    """Let a channel refuse for good what it is to tell next; the others are on."""
    held = [books.claim(channel)]
    attempt = books.store.open_attempt(held)
    return books.store.close_attempt(attempt, held, REJECTED, GIVEN_UP, 0.1, fallbacks=others)


def overdue(books: Books, clock: FakeClock, channel: str, *others: str) -> dict[str, int]:
    """Hand over what has waited too long for a channel that is down."""
    clock.advance(300)
    return books.store.hand_over_overdue(channel, clock.now_us() - 120 * MICROSECONDS, others, 100)


def planned_while_off(books: Books, off: str, on: str) -> Alert:
    """Store a CRITICAL for two channels, one of which is switched off."""
    return books.add(
        planned=[PlannedDelivery(off, 0, DeliveryState.SUPPRESSED, Why.DISABLED), PlannedDelivery(on, 0)],
    )


# --- what waits ---------------------------------------------------------------------------------------------


def test_critical_goes_out_by_the_first_switched_on_though_it_was_suppressed_there(books: Books) -> None:
    critical = books.add(*TWO)
    books.off("whatsapp")
    assert books.settle(TWO) == ({"whatsapp": 1}, {})
    books.off("telegram")
    assert books.settle(TWO) == ({}, {})
    assert books.store.uncovered_critical() == 1
    books.on("whatsapp")
    assert books.settle(TWO) == ({"telegram": 1}, {"whatsapp": 1})
    assert books.store.uncovered_critical() == 0
    assert books.story(critical)["whatsapp", "fallback"] == WAITS
    assert books.claim("whatsapp").alert.id == critical.id
    books.balanced()


def test_critical_of_channels_that_are_swapped_is_told_by_the_one_that_was_off(books: Books) -> None:
    books.off("whatsapp")
    critical = planned_while_off(books, "whatsapp", "telegram")
    books.on("whatsapp")
    books.off("telegram")
    assert books.settle(TWO) == ({"telegram": 1}, {"whatsapp": 1})
    assert books.claim("whatsapp").alert.id == critical.id
    books.balanced()


def test_channels_that_are_swapped_to_and_fro_open_a_fallback_again_and_the_ledger_balances(books: Books) -> None:
    critical = books.add(*TWO)
    books.off("whatsapp")
    books.settle(TWO)
    for off, on in (("telegram", "whatsapp"), ("whatsapp", "telegram")) * 3:
        books.off(off)
        books.settle(TWO)
        assert books.store.uncovered_critical() == 1
        books.on(on)
        assert books.settle(TWO) == ({off: 1}, {on: 1})
        assert books.story(critical)[on, "fallback"] == WAITS
        books.balanced()
    assert len(books.rows(critical.id)) == 4
    assert books.claim("telegram").alert.id == critical.id
    assert books.store.claim("whatsapp", "worker", 60.0, 1) == []


def test_fallback_that_is_opened_again_keeps_its_doubt(books: Books) -> None:
    critical = books.add("telegram")
    books.off("telegram")
    books.settle(TWO)
    held = [books.claim("whatsapp")]
    attempt = books.store.open_attempt(held)
    books.off("whatsapp")
    timeout = Outcome(Reason.TIMEOUT, "no answer", in_doubt=True)
    books.store.close_attempt(attempt, held, timeout, GiveUp(DeliveryState.SUPPRESSED), 0.1)
    books.on("telegram")
    books.store.mark_notification_sent(held[0].id, "in_doubt")
    assert books.settle(TWO) == ({"whatsapp": 1}, {"telegram": 1})
    books.off("telegram")
    books.on("whatsapp")
    assert books.settle(TWO) == ({"telegram": 1}, {"whatsapp": 1})
    again = books.claim("whatsapp")
    assert (again.alert.id, again.possible_repeat) == (critical.id, True)


def test_critical_whose_escalation_was_suppressed_goes_out_by_that_channel(books: Books) -> None:
    critical = books.add("telegram", "desk")
    books.off("desk")
    books.settle()
    with books.store.database.writing() as connection:
        connection.exec_driver_sql("UPDATE notification_queue SET step = 'escalation 1' WHERE channel = 'desk'")
    books.off("telegram", "whatsapp")
    books.on("desk")
    assert books.settle() == ({"telegram": 1}, {"desk": 1})
    assert books.claim("desk").alert.id == critical.id


@pytest.mark.parametrize("other", ["none", "refused"])
def test_critical_of_a_channel_that_is_no_more_waits_for_one_that_is_off(books: Books, other: str) -> None:
    critical = books.add("old", "telegram", *([] if other == "none" else ["whatsapp"]))
    books.off("telegram")
    books.settle(("old", *TWO))
    if other == "none":
        books.off("whatsapp")
        channels: tuple[str, ...] = ("telegram",)
    else:
        refused(books, "whatsapp")
        channels = TWO
    assert books.store.switch_off_others(channels) == {"old": 1}
    assert books.story(critical)["telegram", "fallback"] == WAITS
    assert books.store.uncovered_critical() == 1
    books.balanced()


# --- what is refused for good -------------------------------------------------------------------------------


def test_fallback_is_a_channel_that_was_off_when_the_alert_came(books: Books) -> None:
    critical = planned_while_off(books, "telegram", "whatsapp")
    assert refused(books, "whatsapp", "telegram").fallback == "telegram"
    assert books.story(critical)["telegram", "fallback"] == WAITS
    books.balanced()


def test_fallback_is_no_channel_that_refused_it_and_was_switched_off_then(books: Books) -> None:
    critical = books.add("telegram")
    assert refused(books, "telegram", "whatsapp").fallback == "whatsapp"
    books.off("telegram")
    books.on("telegram")
    assert refused(books, "whatsapp", "telegram").fallback is None
    assert books.story(critical) == {("telegram", "first"): DEAD, ("whatsapp", "fallback"): DEAD}


# --- what is overdue ----------------------------------------------------------------------------------------


def test_overdue_is_handed_over_again_where_its_fallback_is_switched_off(books: Books, clock: FakeClock) -> None:
    critical = books.add("telegram")
    assert overdue(books, clock, "telegram", "whatsapp", "desk") == {"whatsapp": 1}
    books.off("whatsapp")
    assert books.settle() == ({"whatsapp": 1}, {})
    assert overdue(books, clock, "telegram", "desk") == {"desk": 1}
    assert overdue(books, clock, "telegram", "desk") == {}
    assert books.story(critical) == {
        ("telegram", "first"): WAITS,
        ("whatsapp", "fallback"): DISABLED,
        ("desk", "fallback"): WAITS,
    }
    books.balanced()


def test_refused_whose_fallback_was_switched_off_is_told_by_another(books: Books, clock: FakeClock) -> None:
    books.add("telegram")
    overdue(books, clock, "telegram", "whatsapp", "desk")
    books.off("whatsapp")
    books.settle()
    assert refused(books, "telegram", "desk").fallback == "desk"


def test_refused_whose_fallback_was_refused_is_told_by_a_channel_switched_on_since(
    books: Books, clock: FakeClock
) -> None:
    books.add("telegram")
    overdue(books, clock, "telegram", "whatsapp")
    assert refused(books, "whatsapp").fallback is None
    assert refused(books, "telegram", "desk").fallback == "desk"


@pytest.mark.parametrize("fallbacks", [None, ("whatsapp",)], ids=["any", "route"])
def test_overdue_that_nobody_could_take_is_looked_at_again_when_a_channel_is_switched_on(
    books: Books, clock: FakeClock, fallbacks: tuple[str, ...] | None
) -> None:
    books.add(planned=[PlannedDelivery("telegram", 0, handling=Handling(fallbacks=fallbacks))])
    books.off("whatsapp")
    others = () if fallbacks is None else ("desk",)
    assert overdue(books, clock, "telegram", *others) == {}
    books.on("whatsapp")
    assert overdue(books, clock, "telegram", "whatsapp", *others) == {"whatsapp": 1}


def test_overdue_that_nobody_could_take_is_looked_at_again_by_a_daemon_with_more_channels(
    books: Books, clock: FakeClock
) -> None:
    books.add("telegram")
    assert overdue(books, clock, "telegram") == {}
    assert overdue(books, clock, "telegram", "desk") == {}
    books.store.switch_off_others(("telegram", "desk"))
    assert overdue(books, clock, "telegram", "desk") == {"desk": 1}
