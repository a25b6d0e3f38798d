"""Attempts: written before the request, closed after it, and nothing is recorded by a worker that lost its lease."""

from __future__ import annotations

from typing import Any

import pytest

from subscriber.deliveries import (
    Decision,
    Delivery,
    DeliveryState,
    Done,
    GiveUp,
    Outcome,
    Reason,
    RetryAt,
    Why,
)
from subscriber.errors import LeaseLost
from subscriber.store import Store
from tests.support.alerts import incoming, risk_event
from tests.support.clock import START_US, FakeClock

ACCEPTED = Outcome(Reason.ACCEPTED, status=200, provider_message_id="42")
LIMITED = Outcome(Reason.RATE_LIMITED, "Too Many Requests", 429, "429", retry_after_seconds=35)
REFUSED = Outcome(Reason.NETWORK, "connection refused")
LATE = Outcome(Reason.TIMEOUT, "no answer\0 in 15 s", in_doubt=True)
REJECTED = Outcome(Reason.REJECTED, "message is too long", 400, "400")
SOON_US = START_US + 2_000_000


@pytest.fixture
def delivery(store: Store) -> Delivery:
    """A delivery that worker `a` holds."""
    store.accept([incoming(risk_event(), 1, "telegram")])
    return claimed(store)


def claimed(store: Store, lease_seconds: float = 60.0) -> Delivery:
    (found,) = store.claim("telegram", "a", lease_seconds, 1)
    return found


def attempted(store: Store, delivery: Delivery, outcome: Outcome, decision: Decision) -> int:
    attempt = store.open_attempt([delivery])
    store.close_attempt(attempt, [delivery], outcome, decision, 0.25)
    return attempt


def told(store: Store, delivery: Delivery) -> dict[str, Any]:
    """Return the delivery as the alert's story tells it."""
    story = store.story(delivery.alert.id)
    assert story is not None
    fields: dict[str, Any] = story["deliveries"][0]
    return fields


def test_open_attempt_is_on_disk_before_the_request(store: Store, delivery: Delivery, clock: FakeClock) -> None:
    """A crash in mid-request leaves an attempt without an answer."""
    number = store.open_attempt([delivery])
    assert told(store, delivery)["attempts"] == [
        {
            "id": number,
            "opened_us": clock.now_us(),
            "closed_us": None,
            "channel": "telegram",
            "reason": None,
            "status": None,
            "code": None,
            "detail": None,
            "provider_message_id": None,
            "in_doubt": False,
            "seconds": None,
            "possible_repeat": False,
            "receipt": None,
            "receipt_at": None,
            "by_template": False,
            "receipts": [],
        }
    ]


def test_close_attempt_accepted_ends_the_delivery(store: Store, delivery: Delivery, clock: FakeClock) -> None:
    """The provider took it: attempt and delivery say so in one transaction."""
    attempt = store.open_attempt([delivery])
    clock.advance(1)
    store.close_attempt(attempt, [delivery], ACCEPTED, Done(), 0.25)
    fields = told(store, delivery)
    assert (fields["status"], fields["finished_at"], fields["retries"], fields["last_reason"]) == (
        "accepted",
        clock.now_us(),
        0,
        "accepted",
    )
    (recorded,) = fields["attempts"]
    assert (recorded["reason"], recorded["status"], recorded["provider_message_id"], recorded["seconds"]) == (
        "accepted",
        200,
        "42",
        0.25,
    )
    assert recorded["closed_us"] == clock.now_us()


@pytest.mark.parametrize(
    ("outcome", "decision", "expected"),
    [
        (REFUSED, RetryAt(SOON_US), ("pending", 1, False)),
        (LIMITED, RetryAt(SOON_US, counts=False), ("pending", 0, False)),
        (LATE, RetryAt(SOON_US, in_doubt=True), ("in_doubt", 1, True)),
        (LATE, RetryAt(SOON_US), ("in_doubt", 1, True)),
        (REJECTED, GiveUp(DeliveryState.DEAD), ("dead", 1, False)),
        (LATE, GiveUp(DeliveryState.DEAD), ("dead", 1, True)),
        (LIMITED, GiveUp(DeliveryState.EXPIRED), ("expired", 0, False)),
    ],
)
def test_close_attempt_follows_the_decision(
    store: Store, delivery: Delivery, outcome: Outcome, decision: Decision, expected: tuple[str, int, bool]
) -> None:
    """State, count of retries and doubt follow from what happened and what was decided."""
    attempted(store, delivery, outcome, decision)
    fields = told(store, delivery)
    assert (fields["status"], fields["retries"], fields["possible_repeat"]) == expected
    assert (fields["last_reason"], fields["last_code"]) == (outcome.reason, outcome.code)
    assert fields["last_detail"] == outcome.detail.replace("\0", "�")
    assert fields["attempts"][0]["in_doubt"] == outcome.in_doubt
    assert fields["due_at"] == (SOON_US if isinstance(decision, RetryAt) else START_US)
    assert (fields["finished_at"] is None) == isinstance(decision, RetryAt)


def test_close_attempt_older_doubt_stays(store: Store, delivery: Delivery) -> None:
    """A rate limit says nothing about the attempt before: the delivery stays in doubt until an attempt ends it."""
    attempted(store, delivery, LATE, RetryAt(START_US, in_doubt=True))
    again = claimed(store)
    assert (again.state, again.possible_repeat) == (DeliveryState.IN_DOUBT, True)
    attempted(store, again, LIMITED, RetryAt(START_US, counts=False))
    assert told(store, delivery)["status"] == "in_doubt"
    attempted(store, claimed(store), ACCEPTED, Done())
    fields = told(store, delivery)
    assert (fields["status"], fields["possible_repeat"]) == ("accepted", True)
    assert [recorded["possible_repeat"] for recorded in fields["attempts"]] == [False, True, True]


def test_close_attempt_gives_the_delivery_back(store: Store, delivery: Delivery) -> None:
    """What is tried again is free for any worker, at its due time."""
    attempted(store, delivery, REFUSED, RetryAt(START_US))
    assert claimed(store).id == delivery.id


def test_digest_attempt_covers_all_of_its_deliveries(store: Store) -> None:
    """One request, one attempt, many deliveries."""
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2, 3)])
    members = store.claim("telegram", "a", 60, 3)
    attempt = store.open_attempt(members)
    store.close_attempt(attempt, members, ACCEPTED, GiveUp(DeliveryState.FOLDED), 0.1)
    assert store.channel_counts() == {"telegram": {"folded": 3}}
    assert {told(store, member)["attempts"][0]["id"] for member in members} == {attempt}


def test_open_attempt_after_loss_of_one_member_sends_nothing(store: Store) -> None:
    """A digest of which one member was taken over is not opened: no attempt is left behind."""
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2)])
    members = store.claim("telegram", "a", -1, 2)
    taken = claimed(store)
    with pytest.raises(LeaseLost, match="1 of 2"):
        store.open_attempt(members)
    for member in members:
        assert told(store, member)["attempts"] == []
    assert store.open_attempt([taken]) > 0


def test_close_attempt_after_loss_of_one_member_records_nothing(store: Store) -> None:
    """All or nothing; whoever took one over knows that the whole message is in doubt."""
    store.accept([incoming(risk_event(), number, "telegram") for number in (1, 2)])
    members = store.claim("telegram", "a", -1, 2)
    attempt = store.open_attempt(members)
    taken = claimed(store)
    with pytest.raises(LeaseLost):
        store.close_attempt(attempt, members, ACCEPTED, Done(), 0.1)
    assert store.channel_counts() == {"telegram": {"in_doubt": 2}}
    assert told(store, taken)["attempts"][0]["reason"] == "timeout"


def test_close_attempt_twice_is_refused(store: Store, delivery: Delivery) -> None:
    """An answer is recorded once."""
    attempt = attempted(store, delivery, ACCEPTED, Done())
    with pytest.raises(LeaseLost):
        store.close_attempt(attempt, [delivery], ACCEPTED, Done(), 0.1)


def test_close_attempt_that_somebody_closed_is_refused(store: Store, delivery: Delivery) -> None:
    """The lease alone is not enough: an attempt that was closed in doubt stays closed."""
    other = store.open_attempt([delivery])
    store.close_attempt(other, [delivery], REFUSED, RetryAt(START_US), 0.1)
    with pytest.raises(LeaseLost, match="closed already"):
        store.close_attempt(other, [claimed(store)], ACCEPTED, Done(), 0.1)
    assert told(store, delivery)["status"] == "pending"


def test_open_attempt_renews_the_lease(store: Store, delivery: Delivery, clock: FakeClock) -> None:
    """The last of many claimed deliveries has the full lease for its request."""
    before = store.next_due_us("telegram") or 0
    clock.advance(50)
    store.open_attempt([delivery])
    assert (store.next_due_us("telegram") or 0) > before


def test_finish_ends_a_delivery_without_an_attempt(store: Store, delivery: Delivery, clock: FakeClock) -> None:
    """What is too old, or silenced, ends with its reason."""
    store.finish(delivery, DeliveryState.SUPPRESSED, Why.DISABLED)
    fields = told(store, delivery)
    assert (fields["status"], fields["why"], fields["finished_at"]) == ("suppressed", "disabled", clock.now_us())
    with pytest.raises(LeaseLost):
        store.finish(delivery, DeliveryState.EXPIRED)


def test_finish_as_open_state_is_refused(store: Store, delivery: Delivery) -> None:
    """Nothing ends as pending."""
    with pytest.raises(ValueError, match="does not end as pending"):
        store.finish(delivery, DeliveryState.PENDING)
    with pytest.raises(ValueError, match="does not end as in_doubt"):
        attempted(store, delivery, REJECTED, GiveUp(DeliveryState.IN_DOUBT))


@pytest.mark.parametrize(("status", "state"), [("sent", "accepted"), ("delivered", "delivered"), ("dead", "dead")])
def test_mark_notification_sent_ends_it(
    store: Store, delivery: Delivery, clock: FakeClock, status: str, state: str
) -> None:
    """The plan's helper sets the state; the worker that held it has lost its lease."""
    assert store.mark_notification_sent(delivery.id, status)
    fields = told(store, delivery)
    assert (fields["status"], fields["finished_at"]) == (state, clock.now_us())
    with pytest.raises(LeaseLost):
        store.open_attempt([delivery])


def test_mark_notification_sent_can_open_it_again(store: Store, delivery: Delivery) -> None:
    """A dead delivery that is set to pending is sent again."""
    attempted(store, delivery, REJECTED, GiveUp(DeliveryState.DEAD))
    assert store.mark_notification_sent(delivery.id, "pending")
    assert told(store, delivery)["finished_at"] is None
    assert claimed(store).id == delivery.id


def test_mark_notification_sent_closes_an_open_attempt(store: Store, delivery: Delivery) -> None:
    """No attempt stays open behind a delivery that has ended."""
    store.open_attempt([delivery])
    store.mark_notification_sent(delivery.id, "sent")
    fields = told(store, delivery)
    assert (fields["status"], fields["attempts"][0]["reason"]) == ("accepted", "timeout")


def test_mark_notification_sent_is_recorded(store: Store, delivery: Delivery) -> None:
    """Who looks for why a message never came finds that a person ended it."""
    store.mark_notification_sent(delivery.id, "sent")
    assert not store.mark_notification_sent(99, "sent")
    [change] = store.changes(10)
    assert (change["what"], change["via"]) == ("state_set", "store")
    assert change["detail"] == {"delivery": delivery.id, "state": "accepted"}


def test_mark_notification_sent_unknown_word_is_named(store: Store, delivery: Delivery) -> None:
    """The error says which words there are."""
    with pytest.raises(ValueError, match=r"'done' is no state of a delivery; write one of: pending, .*, sent\."):
        store.mark_notification_sent(delivery.id, "done")


def test_mark_notification_sent_unknown_id_says_so(store: Store) -> None:
    """There is nothing to mark."""
    assert not store.mark_notification_sent(99, "sent")
