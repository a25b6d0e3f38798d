"""What is too old: ended without an attempt, told once by an event of the daemon's own."""

from __future__ import annotations

from threading import Barrier, Thread

import pytest
from sqlalchemy import text

from bus.alerts import SystemEvent
from subscriber.deliveries import DeliveryState, PlannedDelivery, RetryAt
from subscriber.store import Incoming, Store
from subscriber.store.ledger import FaultKind
from tests.support.alerts import incoming, system_event
from tests.support.books import spoil
from tests.support.clock import FakeClock
from tests.support.folding import GONE, Folder
from tests.support.receipted import CHANNEL, NETWORK, TIMEOUT

SECOND = 1_000_000


@pytest.fixture
def folder(store: Store, clock: FakeClock) -> Folder:
    return Folder(store, clock)


def event(folder: Folder, channel: str = CHANNEL) -> Incoming:
    told = SystemEvent(event_type="ALERTS_EXPIRED", severity="WARNING", source="alertbus")
    return incoming(told, None, stream=None, planned=(PlannedDelivery(channel, folder.clock.now_us()),))


def test_expire_ends_what_is_free_and_too_old(folder: Folder) -> None:
    """Not what somebody holds, nor what is of another channel, has no age, or is not too old yet."""
    old, doubtful, held, left = folder.add(4, max_age_us=SECOND)
    folder.add(1, max_age_us=2 * SECOND)
    folder.add(1)
    folder.add(1, channel="telegram", max_age_us=SECOND)
    claimed = {delivery.alert.id: delivery for delivery in folder.store.claim(CHANNEL, "a", 60, 10)}
    kept = [claimed.pop(held.id)]
    attempt = folder.store.open_attempt([claimed[doubtful.id]])
    again = RetryAt(folder.later(30), in_doubt=True)
    folder.store.close_attempt(attempt, [claimed.pop(doubtful.id)], TIMEOUT, again, 0.1)
    folder.store.release(list(claimed.values()))
    head = folder.head("b", GONE)
    assert head.alert == old
    folder.clock.advance(1)
    assert folder.store.expire(CHANNEL, folder.clock.now_us()) == 3
    assert folder.store.expire(CHANNEL, folder.clock.now_us()) == 0
    assert {folder.row(alert)["status"] for alert in (old, doubtful, left)} == {"expired"}
    assert folder.row(old)["finished_at"] == folder.clock.now_us()
    assert folder.counts() == {"expired": 3, "pending": 3}
    folder.store.release(kept)
    assert folder.store.expire(CHANNEL, folder.clock.now_us()) == 1
    assert folder.balanced()


def test_expire_leaves_what_was_left_in_mid_attempt_to_who_claims_it(folder: Folder) -> None:
    folder.add(1, max_age_us=SECOND)
    folder.store.open_attempt([folder.head(lease_seconds=GONE)])
    folder.clock.advance(1)
    assert folder.store.expire(CHANNEL, folder.clock.now_us()) == 0
    folder.store.finish(folder.head("b"), DeliveryState.EXPIRED)
    (untold,) = folder.store.untold_expired(CHANNEL, 10)
    assert untold.in_doubt


def test_untold_expired_tells_what_a_message_has_to_say(folder: Folder) -> None:
    first, second = folder.add(2, max_age_us=SECOND)
    folder.clock.advance(1)
    folder.store.expire(CHANNEL, folder.clock.now_us())
    found = folder.store.untold_expired(CHANNEL, 10)
    assert [each.alert_id for each in found] == [first.id, second.id]
    told = found[0]
    assert (told.event_type, told.severity, told.symbol) == ("DRAWDOWN_BREACHED", "WARNING", "TNA")
    assert (told.published_us, told.in_doubt) == (folder.clock.now_us() - SECOND, False)
    assert len(folder.store.untold_expired(CHANNEL, 1)) == 1
    assert folder.store.untold_expired("telegram", 10) == []


def test_expired_after_an_attempt_is_told_like_the_rest(folder: Folder) -> None:
    folder.add(1)
    head = folder.head()
    attempt = folder.store.open_attempt([head])
    folder.store.close_attempt(attempt, [head], NETWORK, RetryAt(folder.clock.now_us()), 0.1)
    folder.store.finish(folder.head(), DeliveryState.EXPIRED)
    assert len(folder.store.untold_expired(CHANNEL, 10)) == 1


def expired(folder: Folder, count: int = 3) -> list[int]:
    folder.add(count, max_age_us=SECOND)
    folder.clock.advance(1)
    folder.store.expire(CHANNEL, folder.clock.now_us())
    return [each.delivery for each in folder.store.untold_expired(CHANNEL, 100)]


def test_tell_expired_stores_the_event_and_notes_it(folder: Folder) -> None:
    ids = expired(folder)
    told = event(folder)
    accepted = folder.store.tell_expired(CHANNEL, ids, told)
    assert accepted is not None
    assert (accepted.inserted, accepted.deliveries) == ((told.alert.id,), {CHANNEL: 1})
    rows = folder.rows("SELECT told_by FROM notification_queue WHERE status = 'expired'")
    assert {bytes(row["told_by"]) for row in rows} == {told.alert.id.bytes}
    assert folder.store.untold_expired(CHANNEL, 10) == []
    assert folder.head().alert == told.alert
    assert folder.balanced()


@pytest.mark.parametrize("which", ["told", "elsewhere", "open", "nothing"])
def test_tell_expired_of_what_is_not_untold_stores_nothing(folder: Folder, which: str) -> None:
    """Another daemon told of one of them, or a person wants it sent."""
    ids = expired(folder)
    channel = CHANNEL
    if which == "told":
        assert folder.store.tell_expired(CHANNEL, ids[:1], event(folder)) is not None
    elif which == "open":
        folder.store.mark_notification_sent(ids[0], "pending")
    elif which == "elsewhere":
        channel = "telegram"
    else:
        ids = []
    before = folder.rows("SELECT id FROM alert")
    assert folder.store.tell_expired(channel, ids, event(folder)) is None
    assert folder.rows("SELECT id FROM alert") == before
    assert folder.balanced()


def test_tell_expired_by_two_daemons_at_once_tells_once(folder: Folder, store_url: str, clock: FakeClock) -> None:
    ids = expired(folder, 50)
    barrier = Barrier(2)
    told: list[bool] = []

    def work() -> None:
        with Store(store_url, clock) as own:
            barrier.wait()
            told.append(own.tell_expired(CHANNEL, ids, event(folder)) is not None)

    threads = [Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [False, True]
    assert folder.balanced()


# --- the audit --------------------------------------------------------------------------------------------------


def faults(folder: Folder) -> list[FaultKind]:
    return [fault.kind for fault in folder.store.audit().faults]


@pytest.mark.parametrize("teller", ["nobody", "elsewhere"])
def test_audit_finds_an_expiry_of_which_nobody_was_told(folder: Folder, teller: str) -> None:
    (number, *_others) = expired(folder)
    other = system_event()
    folder.store.accept([incoming(other, None, "telegram", stream=None)])
    key = other.id.bytes if teller == "elsewhere" else b"\1" * 16
    spoil(folder.store, "UPDATE notification_queue SET told_by = :key WHERE id = :id", key=key, id=number)
    assert faults(folder) == [FaultKind.UNTOLD_EXPIRY]


def test_audit_leaves_what_expired_before_there_were_such_events(folder: Folder) -> None:
    expired(folder)
    spoil(folder.store, "UPDATE notification_queue SET told_by = :nobody", nobody=b"")
    assert folder.balanced()


def test_audit_leaves_an_expiry_whose_event_retention_may_have_removed(folder: Folder) -> None:
    (number, *_others) = expired(folder)
    spoil(folder.store, "UPDATE notification_queue SET told_by = :gone WHERE id = :id", gone=b"\1" * 16, id=number)
    with folder.store.database.writing() as connection:
        for word in ("planned", "accepted"):
            added = text("INSERT INTO ledger_total (scope, name, word, total) VALUES ('channel', :name, :word, 1)")
            connection.execute(added, {"name": CHANNEL, "word": word})
    assert folder.balanced()
