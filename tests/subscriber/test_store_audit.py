"""The audit: what the store does by itself always balances, and it tells what there is."""

from __future__ import annotations

import random
from threading import Thread
from uuid import UUID

import pytest

from subscriber.deliveries import DeliveryState, Done, GiveUp, Outcome, RetryAt
from subscriber.store import Store, auditing_alerts, auditing_losses, auditing_streams
from subscriber.store.ledger import MOST_LISTED, Audit, AuditStopped, ChannelLedger, StreamLedger
from tests.support.alerts import OTHER_STREAM, STREAM, agent_action, incoming, risk_event
from tests.support.books import ACCEPTED, NETWORK, REJECTED, Books, lose
from tests.support.clock import FakeClock
from tests.support.running_intake import FaultyStore, Intake


@pytest.fixture
def books(store: Store, clock: FakeClock) -> Books:
    made = Books(store, clock)
    made.write()
    return made


def stream_of(audit: Audit, stream: bytes) -> StreamLedger:
    (found,) = [ledger for ledger in audit.streams if ledger.stream == stream.hex()]
    return found


def test_audit_of_an_empty_store_balances(store: Store) -> None:
    audit = store.audit()
    assert (audit.balanced, audit.alerts, audit.stream_count, audit.channels) == (True, 0, 0, ())


def test_audit_of_everything_that_can_happen_balances(books: Books) -> None:
    """Every state, taken over, set by hand, lost, come after all, twice, in collision, below the start, ahead."""
    audit = books.store.audit()
    assert audit.faults == ()
    assert (audit.balanced, audit.alerts, audit.deliveries, audit.stream_count) == (True, 20, 15, 2)
    assert {source.source: source.streams for source in audit.sources} == {"trader-1": 1, "trader-2": 1}


def test_audit_counts_a_streams_numbers(books: Books) -> None:
    """41 44 49 stored (49 twice), 42 43 45 46 50 lost, 47 48 duplicates; 40 is below, 52 53 stored ahead."""
    assert stream_of(books.store.audit(), OTHER_STREAM) == StreamLedger(
        stream=OTHER_STREAM.hex(),
        source="trader-2",
        first=41,
        up_to=50,
        stored=3,
        lost=5,
        duplicate=2,
        ahead=2,
        below=1,
    )


def test_audit_counts_a_channels_deliveries(books: Books) -> None:
    channels = {ledger.channel: ledger for ledger in books.store.audit().channels}
    states = {"accepted": 2, "dead": 1, "expired": 1, "pending": 3, "in_doubt": 2, "suppressed": 1}
    assert channels["telegram"] == ChannelLedger("telegram", 10, states)
    assert channels["telegram"].balanced


@pytest.mark.parametrize("state", ["pending", "in_doubt", "dead", "sent", "suppressed"])
def test_audit_of_what_was_accepted_and_then_set_by_hand_balances(books: Books, state: str) -> None:
    assert books.store.mark_notification_sent(books.row("accepted")["id"], state)
    assert books.store.audit().faults == ()


@pytest.mark.parametrize(
    ("outcome", "decision"),
    [(NETWORK, RetryAt(0)), (REJECTED, GiveUp(DeliveryState.DEAD)), (ACCEPTED, Done())],
    ids=["waits", "dead", "accepted"],
)
def test_audit_of_what_was_accepted_and_sent_again_by_hand_balances(
    books: Books, outcome: Outcome, decision: Done | RetryAt | GiveUp
) -> None:
    """Its record says nothing of the hand any more; its later attempts do."""
    assert books.store.mark_notification_sent(books.row("accepted")["id"], "pending")
    books.end("accepted", outcome, decision)
    assert books.store.audit().faults == ()


def test_audit_of_what_was_switched_off_in_doubt_or_after_an_acceptance_balances(books: Books) -> None:
    assert books.store.switch_off_others(["desk"])
    assert books.store.audit().faults == ()


def test_audit_of_losses_that_the_daemon_tells_balances(store_url: str, clock: FakeClock) -> None:
    """The real words, of two streams, where a number arrives after all."""
    with FaultyStore(store_url, clock) as store:
        intake = Intake(store, clock, ("", ""))
        for stream in (STREAM, OTHER_STREAM):
            store.begin(stream, "trader-1", 1)
            intake.notices.lose(stream, [(1, 5)], "trader-1", "not held any more")
        store.accept([incoming(agent_action(), 3)])
        assert len(intake.told(auditing_losses.TELLING)) == 2
        audit = store.audit()
        assert (audit.faults, [stream.lost for stream in audit.streams]) == ((), [4, 5])


def test_audit_of_losses_whose_alert_was_pruned_balances(store: Store, clock: FakeClock) -> None:
    """Whether something younger is kept, or something older that was not settled when the alert went."""
    store.begin(STREAM, "trader-1", 1)
    store.begin(OTHER_STREAM, "trader-2", 1)
    store.accept([incoming(risk_event(), 1, "telegram")], {STREAM: 1})
    store.accept([incoming(agent_action(), 2, stream=OTHER_STREAM)])
    clock.advance(1)
    lose(store, STREAM, 2, 3)
    clock.advance(1)
    assert store.prune(clock.now_us(), 100).alerts == 1
    assert store.audit().faults == ()
    store.accept([incoming(agent_action(), 1, stream=OTHER_STREAM)], {OTHER_STREAM: 2})
    assert store.audit().faults == ()
    store.accept([incoming(agent_action(), 4)], {STREAM: 4})
    assert store.audit().faults == ()


def test_audit_as_plain_data_has_every_state(books: Books) -> None:
    fields = books.store.audit().fields()
    assert (fields["balanced"], fields["fault_count"], fields["faults"]) == (True, 0, [])
    telegram = next(channel for channel in fields["channels"] if channel["channel"] == "telegram")
    assert telegram["states"].keys() == {state.value for state in DeliveryState}


def test_audit_of_a_stream_without_a_start_balances(store: Store) -> None:
    """Its numbers wait for somebody to say where it begins; nothing of it is acknowledged."""
    store.accept([incoming(risk_event(), 7, "telegram")])
    ledger = stream_of(store.audit(), STREAM)
    assert (ledger.balanced, ledger.up_to, ledger.ahead, ledger.stored) == (True, None, 1, 0)


@pytest.mark.parametrize("mark", [False, True])
def test_audit_over_several_groups_counts_everything_once(
    store: Store, monkeypatch: pytest.MonkeyPatch, mark: bool
) -> None:
    """Groups and pages begin where the one before ended."""
    monkeypatch.setattr(auditing_streams, "_GROUP_NUMBERS", 30)
    monkeypatch.setattr(auditing_alerts, "_alerts", auditing_alerts._alerts.limit(7))
    monkeypatch.setattr(auditing_streams, "_numbers_after", auditing_streams._numbers_after.limit(3))
    streams = [bytes([number]) * 16 for number in range(10)]
    for stream in streams:
        store.begin(stream, f"trader-{stream[0] % 2}", 1)
        store.accept([incoming(risk_event(), n, "telegram", stream=stream) for n in range(1, 13)], {stream: 12})
        if mark:
            lose(store, stream, 13, 14)
            store.accept([], {stream: 14})
    audit = store.audit()
    assert (audit.balanced, audit.alerts, audit.deliveries, audit.stream_count) == (
        True,
        120 + 10 * mark,
        120 + 10 * mark,
        10,
    )
    assert [(source.streams, source.stored, source.lost) for source in audit.sources] == [(5, 60, 10 * mark)] * 2


def test_audit_lists_some_streams_and_sums_up_all(store: Store) -> None:
    """A script that is run every minute makes a stream each time."""
    for number in range(MOST_LISTED + 20):
        store.begin(number.to_bytes(16, "big"), "cron", 1)
    audit = store.audit()
    assert (audit.stream_count, len(audit.streams)) == (MOST_LISTED + 20, MOST_LISTED)
    assert [(source.source, source.streams) for source in audit.sources] == [("cron", MOST_LISTED + 20)]


def test_audit_that_is_told_to_stop_says_nothing(books: Books) -> None:
    """A daemon that ends does not wait for it; a part of the ledger proves nothing."""
    rests: list[float] = []

    def rest(seconds: float) -> bool:
        rests.append(seconds)
        return len(rests) == 3

    with pytest.raises(AuditStopped):
        books.store.audit(rest=rest)
    assert len(rests) == 3


def test_audit_beside_a_living_daemon_raises_no_false_alarm(store: Store, store_url: str, clock: FakeClock) -> None:
    """Alerts come, are claimed, tried, accepted and pruned while it reads."""
    store.begin(STREAM, "trader-1", 1)
    faults: list[object] = []
    ended: list[UUID] = []

    def live() -> None:
        rng = random.Random(1)
        with Store(store_url, clock) as daemon:
            number = 0
            for _ in range(40):
                batch = [incoming(risk_event(), number + n, "telegram", "desk") for n in range(1, rng.randint(2, 30))]
                number += len(batch)
                daemon.accept(batch, {STREAM: number})
                for channel in ("telegram", "desk"):
                    for delivery in daemon.claim(channel, "worker", 60, 6):
                        attempt = daemon.open_attempt([delivery])
                        daemon.close_attempt(attempt, [delivery], ACCEPTED, Done(), 0.1)
                        ended.append(delivery.alert.id)
                daemon.prune(clock.now_us() + 1, 20)

    thread = Thread(target=live)
    thread.start()
    audits = 0
    while thread.is_alive() or not audits:
        faults.extend(store.audit().faults)
        audits += 1
    thread.join()
    assert faults == []
    assert ended
    last = store.audit()
    assert last.balanced
    assert stream_of(last, STREAM).pruned
