"""Digests: fixed when their first attempt is opened, retried as they are, folded once, halved when they are refused."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from subscriber.deliveries import Button, DeliveryState, Dialect, DigestKind, GiveUp, Message, RetryAt
from subscriber.errors import LeaseLost
from subscriber.store import Closed, NewDigest, Store
from subscriber.store.digests import forget_members, forget_split, message_from, message_text
from tests.support.clock import FakeClock
from tests.support.folding import DEAD, GONE, LEASE, TEXT, Folder, routed
from tests.support.receipted import CHANNEL, NETWORK, TIMEOUT, UNDELIVERED, taken


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock)


# --- its message ------------------------------------------------------------------------------------------------


def test_message_comes_back_as_it_was_written() -> None:
    """Whatever is in it; the reference is an attempt's, and not part of it."""
    message = Message(
        "a\0b\ud83d", "ä", Dialect.PLAIN, silent=True, parameters=("1", "2"), buttons=(Button("Acknowledge", "ack:1"),)
    )
    assert message_from(message_text(message)) == message
    assert message_from(message_text(Message("a", "b", Dialect.PLAIN, reference="r"))) == Message(
        "a", "b", Dialect.PLAIN
    )


@pytest.mark.parametrize("said", [None, "", "null", "[]", "{}", '{"dialect": 1}', "{", '{"dialect": "plain"}'])
def test_message_that_can_not_be_read_is_none(said: str | None) -> None:
    assert message_from(said) is None


# --- opened and accepted ----------------------------------------------------------------------------------------


def test_digest_that_is_accepted_folds_its_members(folder: Folder) -> None:
    alerts = folder.add(3)
    flight = folder.begin()
    assert folder.digests() == [("open", 3, None)]
    assert [folder.row(alert)["follows"] for alert in alerts] == [None, True, True]
    assert folder.balanced()
    folder.clock.advance(1)
    assert folder.end(flight, taken()) == Closed(DeliveryState.FOLDED)
    assert folder.counts() == {"folded": 3}
    assert folder.digests() == [("told", 3, None)]
    row = folder.row(alerts[1])
    assert (row["follows"], row["lease"], row["finished_at"]) == (None, None, folder.clock.now_us())
    assert folder.balanced()


def test_digest_leaves_what_comes_after_it_alone(folder: Folder) -> None:
    folder.add(2)
    flight = folder.begin()
    (late,) = folder.add(1)
    assert folder.head("other").alert == late
    folder.end(flight, taken())
    assert folder.counts() == {"folded": 2, "pending": 1}


def test_digest_of_one_delivery_is_refused(folder: Folder) -> None:
    folder.add(1)
    with pytest.raises(ValueError, match="no digest"):
        folder.store.open_attempt([folder.head()], digest=NewDigest(DigestKind.STORM, TEXT))
    assert folder.digests() == []


def test_digest_of_members_of_another_one_is_refused(folder: Folder) -> None:
    folder.add(2)
    folder.end(folder.begin(), NETWORK)
    folder.add(1)
    both = [*folder.held().deliveries, folder.head()]
    with pytest.raises(ValueError, match="one digest"):
        folder.store.open_attempt(both, digest=NewDigest(DigestKind.STORM, TEXT))


def test_digest_of_which_a_member_was_lost_is_not_opened(folder: Folder) -> None:
    folder.add(2)
    members = folder.fold(GONE)
    folder.head("other")
    with pytest.raises(LeaseLost):
        folder.store.open_attempt(members, digest=NewDigest(DigestKind.STORM, TEXT))
    assert folder.digests() == []
    assert folder.balanced()


# --- tried again ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("outcome", "state"), [(NETWORK, "pending"), (TIMEOUT, "in_doubt")])
def test_digest_that_is_retried_is_the_same(folder: Folder, outcome: object, state: str) -> None:
    """The same members in the same order, the same text; what came meanwhile is no part of it."""
    alerts = folder.add(3)
    assert folder.end(folder.begin(), TIMEOUT if outcome is TIMEOUT else NETWORK).split is False
    assert folder.counts() == {state: 3}
    folder.add(2)
    held = folder.held("other")
    assert [delivery.alert for delivery in held.deliveries] == alerts
    assert (held.kind, held.message) == (DigestKind.STORM, TEXT)
    assert {delivery.possible_repeat for delivery in held.deliveries} == {outcome is TIMEOUT}
    assert folder.store.fold(held.deliveries[0], "other", LEASE, 10) == [held.deliveries[0]]
    assert folder.balanced()
    folder.end(folder.again(held), taken())
    assert folder.counts() == {"folded": 3, "pending": 2}
    assert folder.balanced()


def test_digest_whose_worker_died_in_mid_attempt_is_in_doubt_as_a_whole(folder: Folder) -> None:
    """Whoever takes over has the same members and the same message, as a possible repeat."""
    alerts = folder.add(3)
    flight = folder.begin(GONE)
    head = folder.head("other")
    assert (head.alert, head.state, head.possible_repeat, head.retries) == (alerts[0], DeliveryState.IN_DOUBT, True, 1)
    assert folder.counts() == {"in_doubt": 3}
    assert folder.balanced()
    held = folder.store.claim_digest(head, "other", LEASE)
    assert held is not None
    assert (held.message, [delivery.alert for delivery in held.deliveries]) == (TEXT, alerts)
    assert {(delivery.possible_repeat, delivery.retries) for delivery in held.deliveries} == {(True, 1)}
    with pytest.raises(LeaseLost):
        folder.end(flight, taken())
    again = folder.again(held)
    (opened,) = folder.rows("SELECT possible_repeat FROM attempt WHERE id = :id", id=again.attempt)
    assert opened["possible_repeat"]
    folder.end(again, taken())
    assert folder.counts() == {"folded": 3}
    assert folder.balanced()


def test_digest_whose_worker_died_after_taking_it_again_is_taken_over(folder: Folder) -> None:
    folder.add(3)
    folder.end(folder.begin(), NETWORK)
    folder.held("a", GONE)
    held = folder.held("b")
    assert {delivery.possible_repeat for delivery in held.deliveries} == {False}
    folder.end(folder.again(held), taken())
    assert folder.balanced()


def test_digest_whose_member_another_worker_holds_is_left(folder: Folder) -> None:
    alerts = folder.add(3)
    folder.end(folder.begin(), NETWORK)
    folder.held("a")
    with folder.store.database.writing() as connection:
        free = text("UPDATE notification_queue SET lease = NULL, lease_until = NULL WHERE id = :id")
        connection.execute(free, {"id": folder.row(alerts[0])["id"]})
    head = folder.head("b")
    assert folder.store.claim_digest(head, "b", LEASE) is None
    folder.store.release([head])
    assert folder.row(alerts[1])["lease_owner"] == "a"


def test_claim_digest_without_the_lease_of_its_head_is_refused(folder: Folder) -> None:
    folder.add(2)
    folder.end(folder.begin(), NETWORK)
    head = folder.head("a", GONE)
    folder.held("b")
    with pytest.raises(LeaseLost):
        folder.store.claim_digest(head, "a", LEASE)


def test_claim_digest_of_a_single_delivery_is_refused(folder: Folder) -> None:
    folder.add(1)
    with pytest.raises(ValueError, match="no digest"):
        folder.store.claim_digest(folder.head(), "worker", LEASE)


def test_digest_whose_row_is_gone_frees_its_members(folder: Folder) -> None:
    """A damaged database must not silence a channel."""
    folder.add(2)
    folder.end(folder.begin(), NETWORK)
    with folder.store.database.writing() as connection:
        connection.execute(text("DELETE FROM digest"))
    assert folder.store.claim_digest(folder.head(), "worker", LEASE) is None
    assert [delivery.digest for delivery in folder.store.claim(CHANNEL, "worker", LEASE, 10)] == [None, None]


def test_digest_never_expires(folder: Folder) -> None:
    folder.add(2, max_age_us=1_000_000)
    flight = folder.begin()
    with pytest.raises(ValueError, match="expired"):
        folder.end(flight, NETWORK, GiveUp(DeliveryState.EXPIRED))
    folder.end(flight, NETWORK)
    folder.clock.advance(60)
    assert folder.store.expire(CHANNEL, folder.clock.now_us()) == 0
    held = folder.held()
    with pytest.raises(ValueError, match="ends with it"):
        folder.store.finish(held.deliveries[0], DeliveryState.EXPIRED)
    folder.end(folder.again(held), taken())
    assert folder.counts() == {"folded": 2}


# --- channels that are no more, fallbacks, retention ------------------------------------------------------------


def test_switch_off_of_a_channel_with_an_open_digest_suppresses_its_members(folder: Folder) -> None:
    folder.add(3)
    folder.begin()
    folder.add(2, severity="CRITICAL")
    assert folder.store.switch_off_others(["telegram"]) == {CHANNEL: 5}
    assert folder.counts() == {"suppressed": 5}
    assert folder.counts("telegram") == {"pending": 2}
    assert folder.digests() == [("split", 0, None)]
    assert folder.balanced()


def test_release_of_a_digest_in_mid_attempt_makes_it_in_doubt(folder: Folder) -> None:
    folder.add(3)
    flight = folder.begin()
    folder.store.release(flight.deliveries)
    assert folder.counts() == {"in_doubt": 3}
    assert folder.held().message == TEXT
    assert folder.balanced()


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [(None, "telegram"), (("mail", "desk"), "desk"), (("desk", "mail"), "desk"), (("mail",), None), ((), None)],
)
def test_fallback_is_the_one_that_the_route_names_first(
    folder: Folder, wanted: tuple[str, ...] | None, chosen: str | None
) -> None:
    """Of the channels that there are; and nobody where it names nobody."""
    (alert,) = folder.add(1, handling=routed(fallbacks=wanted, template="short", silent=True), max_age_us=9_000_000)
    head = folder.head()
    attempt = folder.store.open_attempt([head])
    closed = folder.store.close_attempt(attempt, [head], UNDELIVERED, DEAD, 0.1, fallbacks=["telegram", "desk"])
    assert closed == Closed(DeliveryState.DEAD, chosen)
    if chosen is not None:
        row, new = folder.row(alert), folder.head(channel=chosen)
        assert new.handling == routed(fallbacks=wanted, silent=True)
        assert (new.expires_at_us, new.batch, new.step) == (row["expires_at"], None, "fallback")
    assert folder.balanced()


def test_fallback_of_what_was_handed_over_while_it_waited_is_not_planned_twice(folder: Folder) -> None:
    (alert,) = folder.add(1)
    due_us = folder.row(alert)["due_at"]
    assert folder.store.hand_over_overdue(CHANNEL, due_us, ["telegram"], 10) == {"telegram": 1}
    head = folder.head()
    attempt = folder.store.open_attempt([head])
    closed = folder.store.close_attempt(attempt, [head], UNDELIVERED, DEAD, 0.1, fallbacks=["telegram", "desk"])
    assert closed == Closed(DeliveryState.DEAD)
    assert folder.store.channels_of(alert.id) == (CHANNEL, "telegram")


def test_fallback_of_an_escalation_is_a_channel_that_does_not_have_the_alert(folder: Folder) -> None:
    """Whatever the step by which it has it."""
    (alert,) = folder.add(1, severity="CRITICAL")
    with folder.store.database.writing() as connection:
        connection.execute(text("UPDATE notification_queue SET channel = 'desk', step = 'escalation 1'"))
        planned = '[["desk","escalation 1"],["telegram","escalation 2"]]'
        connection.execute(text("UPDATE alert SET planned = :planned"), {"planned": planned})
    head = folder.head(channel="desk")
    assert head.step == "escalation 1"
    attempt = folder.store.open_attempt([head])
    order = ["desk", "telegram", CHANNEL]
    closed = folder.store.close_attempt(attempt, [head], UNDELIVERED, DEAD, 0.1, fallbacks=order)
    assert closed.fallback == CHANNEL
    assert folder.row(alert, CHANNEL)["step"] == "fallback"


def test_forget_members_removes_a_digest_with_its_last_one(folder: Folder) -> None:
    told = folder.told(3)
    ids = [delivery.id for delivery in told.deliveries]
    for gone, left in ((ids[:2], [("told", 1, None)]), (ids[2:], [])):
        with folder.store.database.writing() as connection:
            forget_members(connection, gone)
            for number in gone:
                connection.execute(text("UPDATE notification_queue SET digest = NULL WHERE id = :id"), {"id": number})
        assert folder.digests() == left


def test_forget_split_removes_what_was_split_before(folder: Folder) -> None:
    folder.add(4)
    folder.end(folder.begin(), UNDELIVERED)
    folder.clock.advance(10)
    folder.end(folder.again(folder.held()), UNDELIVERED)
    before_us = folder.clock.now_us()
    with folder.store.database.writing() as connection:
        assert forget_split(connection, before_us, 10) == 1
        assert forget_split(connection, before_us + 1, 0) == 0
        assert forget_split(connection, before_us + 1, 10) == 1
    assert folder.digests() == [("open", 2, 1)]
    assert folder.balanced()


def test_retry_of_a_digest_follows_a_clock_that_was_set(folder: Folder) -> None:
    """As for one delivery: everything of it is due by the clock as it is now."""
    folder.add(2)
    flight = folder.begin()
    decision = RetryAt(folder.later(5))
    folder.store.close_attempt(flight.attempt, flight.deliveries, NETWORK, decision, 0.1, None)
    assert folder.store.next_due_us(CHANNEL) == decision.due_at_us
