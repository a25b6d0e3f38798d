"""Digests that lose members: halved when they are refused for good, and left by what a person set by hand."""

from __future__ import annotations

import pytest

from subscriber.deliveries import DeliveryState, DigestKind
from subscriber.errors import LeaseLost
from subscriber.store import Closed, Store
from tests.support.clock import FakeClock
from tests.support.folding import DEAD, TEXT, Folder
from tests.support.receipted import NETWORK, TIMEOUT, UNDELIVERED, taken


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock)


# --- refused for good -------------------------------------------------------------------------------------------


def test_digest_that_is_refused_is_split_in_two_that_wait(folder: Folder) -> None:
    alerts = folder.add(5)
    flight = folder.begin()
    folder.clock.advance(1)
    assert folder.end(flight, UNDELIVERED, DEAD, "telegram") == Closed(None, None, split=True)
    assert folder.counts() == {"pending": 5}
    assert folder.digests() == [("split", 5, None), ("open", 3, 1), ("open", 2, 1)]
    assert [folder.row(alert)["follows"] for alert in alerts] == [None, True, True, None, True]
    assert {folder.row(alert)["due_at"] for alert in alerts} == {folder.clock.now_us()}
    assert "telegram" not in folder.store.channel_counts()
    assert folder.balanced()
    held = folder.held()
    assert (held.message, [delivery.alert for delivery in held.deliveries]) == (None, alerts[:3])
    folder.end(folder.again(held), taken("SM2"))
    assert folder.counts() == {"folded": 3, "pending": 2}
    assert folder.balanced()


def test_digest_that_is_refused_again_and_again_ends_with_single_deliveries(folder: Folder) -> None:
    """Only a delivery that is alone is dead, and another channel tells it."""
    folder.add(5)
    folder.begin()
    folder.store.release_worker("worker")
    for _ in range(4 + 5):  # 5 -> 3 + 2 -> 2 + 1 -> 1 + 1, and 1 + 1: four digests in all
        folder.refuse()
        assert folder.balanced()
    assert [state for state, _members, _parent in folder.digests()] == ["split"] * 4
    assert folder.counts() == {"dead": 5}
    assert folder.counts("telegram") == {"pending": 5}
    assert folder.balanced()


def test_single_delivery_of_a_split_digest_is_never_folded_again(folder: Folder) -> None:
    """It would take the others of its batch with it, once more."""
    folder.add(2, batch="group:desk:TNA")
    folder.end(folder.begin(kind=DigestKind.GROUP), UNDELIVERED)
    folder.add(2, batch="group:desk:TNA")
    assert [len(folder.fold()) for _ in range(3)] == [1, 1, 2]


def test_half_that_may_have_arrived_says_so(folder: Folder) -> None:
    folder.add(4)
    folder.end(folder.begin(), TIMEOUT)
    folder.end(folder.again(folder.held()), UNDELIVERED)
    assert {delivery.possible_repeat for delivery in folder.held().deliveries} == {True}
    assert folder.counts() == {"in_doubt": 4}


# --- set by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("index", [0, 1, 2])
@pytest.mark.parametrize("word", ["dead", "sent", "pending"])
def test_member_that_is_set_by_hand_in_mid_attempt_leaves_the_others_alone(
    folder: Folder, index: int, word: str
) -> None:
    alerts = folder.add(3)
    flight = folder.begin()
    assert folder.store.mark_notification_sent(folder.row(alerts[index])["id"], word)
    assert folder.balanced()
    assert folder.end(flight, taken()) == Closed(DeliveryState.FOLDED)
    state = {"sent": "accepted"}.get(word, word)
    assert folder.counts() == {"folded": 2, state: 1}
    assert folder.row(alerts[index])["digest"] is None
    assert folder.digests() == [("told", 2, None)]
    assert folder.balanced()


@pytest.mark.parametrize("index", [0, 2])
def test_member_that_is_set_by_hand_while_its_digest_waits_lets_another_one_lead(folder: Folder, index: int) -> None:
    alerts = folder.add(3)
    folder.end(folder.begin(), NETWORK)
    folder.store.mark_notification_sent(folder.row(alerts[index])["id"], "dead")
    assert folder.balanced()
    held = folder.held()
    assert [delivery.alert for delivery in held.deliveries] == [alert for alert in alerts if alert != alerts[index]]
    assert held.message == TEXT
    folder.end(folder.again(held), taken())
    assert folder.counts() == {"dead": 1, "folded": 2}
    assert folder.balanced()


def test_digest_of_which_all_are_set_by_hand_is_no_more(folder: Folder) -> None:
    alerts = folder.add(2)
    flight = folder.begin()
    for alert in alerts:
        folder.store.mark_notification_sent(folder.row(alert)["id"], "dead")
    with pytest.raises(LeaseLost):
        folder.end(flight, taken())
    assert folder.digests() == [("split", 0, None)]
    assert folder.balanced()


def test_digest_of_which_one_is_left_can_be_dead(folder: Folder) -> None:
    alerts = folder.add(2)
    folder.end(folder.begin(), NETWORK)
    folder.store.mark_notification_sent(folder.row(alerts[0])["id"], "dead")
    flight = folder.again(folder.held())
    assert folder.end(flight, UNDELIVERED, DEAD, "telegram") == Closed(DeliveryState.DEAD, "telegram")
    assert folder.counts() == {"dead": 2}
    assert folder.balanced()


def test_member_that_was_told_and_is_set_to_be_sent_again_goes_alone(folder: Folder) -> None:
    told = folder.told()
    alert = told.deliveries[1].alert
    folder.store.mark_notification_sent(folder.row(alert)["id"], "pending")
    assert folder.digests() == [("told", 2, None)]
    assert folder.fold()[0].alert == alert
    assert folder.balanced()
