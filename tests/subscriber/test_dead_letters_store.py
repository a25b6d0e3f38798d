"""Dead letters in the store: which there are, and how a person has them sent again without a gap in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import (
    Dedup,
    Delivery,
    DeliveryState,
    Dialect,
    DigestKind,
    Done,
    Escalation,
    GiveUp,
    Message,
    Outcome,
    PlannedDelivery,
    Reason,
    RetryAt,
)
from subscriber.store import Store
from subscriber.store.digests import NewDigest
from subscriber.store.retrying import Retried
from tests.support.alerts import STREAM, incoming, risk_event
from tests.support.clock import FakeClock

CHANNEL: Final = "telegram"
REJECTED: Final = Outcome(Reason.REJECTED, "message is too long", status=400, code="400")
NETWORK: Final = Outcome(Reason.NETWORK, "connection refused")
TIMEOUT: Final = Outcome(Reason.TIMEOUT, "no answer in 15 s", in_doubt=True)
ACCEPTED: Final = Outcome(Reason.ACCEPTED, status=200)
DEAD: Final = GiveUp(DeliveryState.DEAD, fallback=True)
DAY_US: Final = 86_400 * MICROSECONDS


class Desk:
    """Stores alerts, lets attempts of them end, and checks the ledger when the test is over."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def add(self, *channels: str, planned: tuple[PlannedDelivery, ...] = (), **fields: Any) -> Alert:
        self.numbers += 1
        alert = risk_event(**fields)
        now_us = self.clock.now_us()
        plan = planned or tuple(PlannedDelivery(name, now_us) for name in channels or (CHANNEL,))
        self.store.accept([incoming(alert, self.numbers, planned=plan, published_us=now_us)], {STREAM: self.numbers})
        return alert

    def claim(self, channel: str = CHANNEL) -> Delivery:
        (delivery,) = self.store.claim(channel, "worker", 60.0, 1)
        return delivery

    def end(
        self,
        outcome: Outcome = REJECTED,
        decision: Done | RetryAt | GiveUp = DEAD,
        *fallbacks: str,
        channel: str = CHANNEL,
    ) -> Delivery:
        """Let one attempt of what is next end."""
        delivery = self.claim(channel)
        attempt = self.store.open_attempt([delivery])
        self.clock.advance(0.2)
        self.store.close_attempt(attempt, [delivery], outcome, decision, 0.2, fallbacks=fallbacks)
        return delivery

    def died(self, *fallbacks: str, **fields: Any) -> tuple[Alert, int]:
        """Store an alert and let its delivery die; return it and the delivery."""
        alert = self.add(**fields)
        return alert, self.end(REJECTED, DEAD, *fallbacks).id

    def retry(self, *deliveries: int, unsendable: Any = lambda _channel: None) -> Retried:
        return self.store.retry_dead_letters(deliveries, unsendable, "Kim", "page")

    def row(self, alert: Alert, channel: str = CHANNEL) -> dict[str, Any]:
        story = self.store.story(alert.id)
        assert story is not None
        (row,) = [each for each in story["deliveries"] if each["channel"] == channel]
        return row  # type: ignore[no-any-return]


@pytest.fixture
def desk(store: Store, clock: FakeClock) -> Iterator[Desk]:
    """A desk whose books balance at the end of each test."""
    made = Desk(store, clock)
    yield made
    found = store.audit()
    assert (found.faults, found.balanced) == ((), True)


def test_dead_letters_are_listed_newest_first_with_why_they_died(desk: Desk) -> None:
    alert, older = desk.died()
    _, newer = desk.died()
    desk.add()
    assert [letter.delivery.id for letter in desk.store.dead_letters(10)] == [newer, older]
    letter = desk.store.dead_letter(older)
    assert letter is not None
    assert (letter.delivery.alert.id, letter.reason, letter.status, letter.code) == (alert.id, "rejected", 400, "400")
    assert (letter.detail, letter.attempts, letter.told_elsewhere) == ("message is too long", 1, ())
    assert (letter.delivery.possible_repeat, letter.why_not) == (False, None)


def test_dead_letters_are_paged_counted_and_told_by_channel(desk: Desk) -> None:
    ids = []
    for _ in range(3):
        desk.add(CHANNEL, "desk")
        ids.append(desk.end().id)
        desk.end(channel="desk")
    assert (desk.store.dead_letter_count(), desk.store.dead_letter_count(CHANNEL)) == (6, 3)
    page = desk.store.dead_letters(2, channel=CHANNEL)
    assert [letter.delivery.id for letter in page] == ids[:0:-1]
    rest = desk.store.dead_letters(2, before=page[-1].delivery.id, channel=CHANNEL)
    assert [letter.delivery.id for letter in rest] == ids[:1]
    assert desk.store.dead_letters(10, channel="gone") == []
    assert desk.store.dead_letter_count("gone") == 0
    both = [letter.delivery.id for letter in desk.store.dead_letters(10)]
    assert both == sorted(both, reverse=True)
    assert len(both) == 6
    assert desk.store.dead_letter_ids(4) == sorted(both)[:4]
    assert desk.store.dead_letter_ids(4, after=sorted(both)[3]) == sorted(both)[4:]


def test_dead_letter_that_is_none_is_not_found(desk: Desk) -> None:
    desk.add()
    waiting = desk.claim()
    assert desk.store.dead_letter(waiting.id) is None
    assert desk.store.dead_letter(10**9) is None


def test_retry_makes_a_dead_letter_wait_due_now_and_it_is_told(desk: Desk) -> None:
    alert, number = desk.died()
    desk.clock.advance(3600)
    assert desk.retry(number).retried == {number: CHANNEL}
    row = desk.row(alert)
    assert (row["status"], row["due_at"], row["finished_at"]) == ("pending", desk.clock.now_us(), None)
    assert (row["retries"], row["last_reason"], row["possible_repeat"]) == (1, "rejected", False)
    assert desk.store.audit().faults == ()
    desk.end(ACCEPTED, Done())
    row = desk.row(alert)
    assert (row["status"], [each["reason"] for each in row["attempts"]]) == ("accepted", ["rejected", "accepted"])


def test_retry_of_what_was_refused_again_is_dead_again_and_can_be_retried(desk: Desk) -> None:
    alert, number = desk.died()
    desk.retry(number)
    desk.end()
    assert desk.row(alert)["status"] == "dead"
    assert desk.retry(number).retried == {number: CHANNEL}


def test_retry_is_recorded_with_who_wanted_it(desk: Desk) -> None:
    _, number = desk.died()
    desk.retry(number)
    change = desk.store.changes(1)[0]
    assert (change["what"], change["author"], change["via"]) == ("dead_letters_retried", "Kim", "page")
    assert change["detail"] == {"count": 1, "channels": {CHANNEL: 1}, "deliveries": [number]}


def test_retry_of_what_is_dead_no_more_is_skipped_and_changes_nothing(desk: Desk) -> None:
    alert, number = desk.died()
    desk.retry(number)
    before, changes = desk.row(alert), desk.store.changes(10)
    again = desk.retry(number, 10**9)
    assert again.retried == {}
    assert again.skipped == {
        number: "it is pending, and not dead (any more)",
        10**9: "there is no such dead letter (any more)",
    }
    assert again.unknown == {10**9}
    assert (desk.row(alert), desk.store.changes(10)) == (before, changes)


def test_retry_of_what_may_have_arrived_says_so(desk: Desk) -> None:
    """An attempt that nobody heard the answer of, and then one that was refused for good."""
    alert = desk.add()
    desk.end(TIMEOUT, RetryAt(desk.clock.now_us(), in_doubt=True))
    number = desk.end().id
    letter = desk.store.dead_letter(number)
    assert letter is not None
    assert letter.delivery.possible_repeat
    desk.retry(number)
    assert desk.row(alert)["possible_repeat"] is True
    assert desk.claim().possible_repeat


def test_retry_of_what_a_person_called_dead_after_its_acceptance_says_that_it_may_be_a_repeat(desk: Desk) -> None:
    desk.add()
    number = desk.end(ACCEPTED, Done()).id
    desk.clock.advance(1)
    desk.store.mark_notification_sent(number, "dead")
    letter = desk.store.dead_letter(number)
    assert letter is not None
    assert (letter.reason, letter.detail, letter.delivery.possible_repeat) == (None, "set by hand", True)
    desk.retry(number)
    assert desk.store.audit().faults == ()
    assert desk.claim().possible_repeat


@pytest.mark.parametrize("retries", [1, 3])
def test_retry_grows_too_old_no_more(desk: Desk, retries: int) -> None:
    """A person wants it told, and knows how old it is; so also the second time."""
    alert = desk.add(planned=(PlannedDelivery(CHANNEL, desk.clock.now_us(), max_age_us=DAY_US),), severity="WARNING")
    for _ in range(retries):
        number = desk.end().id
        desk.clock.advance(3 * 86_400)
        desk.retry(number)
        assert desk.row(alert)["expires_at"] is None
        assert desk.store.expire(CHANNEL, desk.clock.now_us()) == 0
    assert desk.claim().id == number


def test_retry_of_what_a_fallback_told_chooses_no_further_channel(desk: Desk) -> None:
    """The alert was told by the desk; a third channel is not woken for it when the second try is refused, too."""
    alert, number = desk.died("desk", "mail")
    desk.end(ACCEPTED, Done(), channel="desk")
    letter = desk.store.dead_letter(number)
    assert letter is not None
    assert letter.told_elsewhere == ("desk",)
    desk.retry(number)
    assert desk.row(alert)["handed_over"]
    desk.end(REJECTED, DEAD, "desk", "mail")
    story = desk.store.story(alert.id)
    assert story is not None
    assert [each["channel"] for each in story["deliveries"]] == [CHANNEL, "desk"]


def test_retry_of_what_no_fallback_could_tell_chooses_one_when_it_is_refused_again(desk: Desk) -> None:
    alert, number = desk.died("desk")
    desk.end(channel="desk")
    desk.retry(number)
    desk.end(REJECTED, DEAD, "desk", "mail")
    assert desk.row(alert, "mail")["status"] == "pending"


def test_retry_of_the_last_of_a_digest_is_told_alone(desk: Desk) -> None:
    """A digest that is refused for good is halved until one is alone; that one belongs to no digest any more."""
    alerts = [desk.add(severity="WARNING") for _ in range(2)]
    head = desk.claim()
    both = desk.store.fold(head, "worker", 60.0, 10)
    message = Message("two", "two", Dialect.PLAIN)
    attempt = desk.store.open_attempt(both, digest=NewDigest(DigestKind.STORM, message))
    desk.clock.advance(0.2)
    desk.store.close_attempt(attempt, both, REJECTED, DEAD, 0.2)
    number = desk.end().id
    desk.end(ACCEPTED, Done())
    desk.retry(number)
    again = desk.claim()
    assert (again.id, again.digest) == (number, None)
    assert len(desk.row(alerts[0])["attempts"]) == 2


def test_retry_of_a_channel_that_is_off_or_gone_is_skipped_and_says_so(desk: Desk) -> None:
    _, number = desk.died()
    why = "its channel telegram is not configured"
    assert desk.retry(number, unsendable=lambda channel: f"its channel {channel} is not configured").skipped == {
        number: why
    }
    desk.store.switch_channel(CHANNEL, enabled=False, author="Kim", via="page")
    assert desk.retry(number).skipped == {number: "its channel telegram is switched off"}
    desk.store.switch_channel(CHANNEL, enabled=True, author="Kim", via="page")
    assert desk.retry(number).retried == {number: CHANNEL}


def test_retry_of_an_escalation_of_what_somebody_knows_is_skipped(desk: Desk) -> None:
    """Nobody further is to be woken for it; the first delivery may still be sent again."""
    now_us = desk.clock.now_us()
    escalation = Escalation(60 * MICROSECONDS, ("boss",))
    alert = desk.add(planned=(PlannedDelivery(CHANNEL, now_us, escalation=escalation),))
    first = desk.end().id
    desk.clock.advance(61)
    (due,) = desk.store.due_escalations(1)
    desk.store.escalate(due, [CHANNEL, "boss"])
    turn = desk.end(channel="boss").id
    assert desk.retry(turn).retried == {turn: "boss"}
    desk.end(channel="boss")
    desk.store.acknowledge(alert.id, "Kim", "cli")
    result = desk.retry(first, turn)
    assert result.retried == {first: CHANNEL}
    assert "acknowledged" in result.skipped[turn]
    letter = desk.store.dead_letter(turn)
    assert letter is not None
    assert letter.why_not == result.skipped[turn]


def test_retry_by_two_people_at_once_retries_each_once(desk: Desk, store_url: str) -> None:
    ids = [desk.died()[1] for _ in range(40)]
    with Store(store_url, desk.clock) as other, ThreadPoolExecutor(4) as pool:
        asked = [
            pool.submit(store.retry_dead_letters, ids, lambda _channel: None, f"person {number}", "api")
            for number, store in enumerate((desk.store, other, desk.store, other))
        ]
        results = [each.result(60) for each in asked]
    retried = [number for result in results for number in result.retried]
    assert sorted(retried) == ids
    noted = [change["detail"]["deliveries"] for change in desk.store.changes(10)]
    assert sorted(number for numbers in noted for number in numbers) == ids


def test_retry_at_once_with_retention_loses_nothing(desk: Desk, store_url: str) -> None:
    """What is retried first stays; what is removed first is told to be unknown. The books balance either way."""
    ids = [desk.died()[1] for _ in range(30)]
    desk.clock.advance(100)
    before_us = desk.clock.now_us()
    with Store(store_url, desk.clock) as other, ThreadPoolExecutor(2) as pool:
        pruning = pool.submit(other.prune, before_us, 1000)
        results = [desk.retry(number) for number in reversed(ids)]
        pruning.result(60)
    retried = {number for result in results for number in result.retried}
    unknown = {number for result in results for number in result.unknown}
    assert retried | unknown == set(ids)
    assert desk.store.open_counts().get(CHANNEL, 0) == len(retried)


def test_retry_is_spared_by_retention_until_it_ends(desk: Desk) -> None:
    _, number = desk.died()
    desk.clock.advance(100)
    desk.retry(number)
    assert desk.store.prune(desk.clock.now_us(), 100).alerts == 0
    desk.end(ACCEPTED, Done())
    desk.clock.advance(100)
    assert desk.store.prune(desk.clock.now_us(), 100).alerts == 1
    assert desk.retry(number).unknown == {number}


def test_retry_of_what_was_counted_keeps_the_count_right(desk: Desk) -> None:
    """A person may call dead what another alert told of: told by itself now, it is still counted there."""
    now_us = desk.clock.now_us()
    dedup = Dedup(b"0123456789abcdef", 60 * MICROSECONDS)
    plan = (PlannedDelivery(CHANNEL, now_us, dedup=dedup),)
    alerts = [desk.add(planned=plan, severity="WARNING") for _ in range(3)]
    counted = desk.row(alerts[1])
    assert counted["why"] == "dedup"
    desk.store.mark_notification_sent(counted["id"], "dead")
    desk.retry(counted["id"])
    assert desk.row(alerts[1])["status"] == "pending"
