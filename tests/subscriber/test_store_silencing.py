"""Silences: what they hold waits for their end, what they dropped and still holds is told then; once, by one daemon."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from bus.alerts import Alert
from bus.clock import MICROSECONDS
from subscriber.deliveries import DeliveryState, PlannedDelivery, Why, condition_of, system_event_id
from subscriber.errors import StoreError
from subscriber.store import Store, conditions
from subscriber.store.changes import ChangeKind
from subscriber.store.held import Freed
from subscriber.store.silences import Finished, NewSilence, Silence, silence_of_batch
from tests.support.alerts import STREAM, agent_action, incoming, risk_event, system_event
from tests.support.books import own, spoil
from tests.support.clock import START_US, FakeClock
from tests.support.holding import FREE, MORNING, holding

HOUR = 3600
HOUR_US = HOUR * MICROSECONDS
NOTHING = Freed({}, {})


def silence(store: Store, **changes: Any) -> Silence:
    """Add a silence that begins now and lasts for an hour."""
    now_us = store.database.clock.now_us()
    new = NewSilence({"symbol": "TNA"}, "kim", "expected", now_us, now_us + HOUR_US)
    return store.add_silence(replace(new, **changes), "cli")


class Intake:
    """Stores alerts as the planner of a running silence does."""

    def __init__(self, store: Store, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self._numbers = 0
        store.begin(STREAM, "trader-1", 1)

    def add(self, alert: Alert, planned: PlannedDelivery, *, own_event: bool = False) -> Alert:
        """Store an alert that was published now."""
        if own_event:
            item = replace(own(alert), planned=(planned,))
            self.store.accept([replace(item, published_us=self.clock.now_us())])
            return alert
        self._numbers += 1
        item = incoming(alert, self._numbers, published_us=self.clock.now_us(), planned=(planned,))
        self.store.accept([item], {STREAM: self._numbers})
        return alert

    def held(self, alert: Alert, by: Silence, channel: str = "telegram", until_us: int | None = None) -> Alert:
        """Store an alert that a silence holds."""
        due_us = by.ends_us if until_us is None else until_us
        self.add(alert, PlannedDelivery(channel, due_us))
        return self._marked(alert, by)

    def dropped(self, alert: Alert, by: Silence, channel: str = "telegram", *, own_event: bool = False) -> Alert:
        """Store an alert that a silence drops."""
        planned = PlannedDelivery(channel, self.clock.now_us(), DeliveryState.SUPPRESSED, Why.SILENCE)
        self.add(alert, planned, own_event=own_event)
        return self._marked(alert, by)

    def _marked(self, alert: Alert, by: Silence) -> Alert:
        spoil(
            self.store,
            "UPDATE notification_queue SET batch = :batch WHERE alert_id = :key",
            batch=by.batch,
            key=alert.id.bytes,
        )
        return alert


@pytest.fixture
def intake(store: Store, clock: FakeClock) -> Intake:
    return Intake(store, clock)


def told(store: Store, channel: str = "telegram") -> list[Alert]:
    """Claim all that a channel has to tell now."""
    return [delivery.alert for delivery in store.claim(channel, "worker", 60, 100)]


def balanced(store: Store) -> bool:
    audit = store.audit()
    assert audit.faults == ()
    return audit.balanced


def test_add_silence_is_kept_with_who_asked_for_it(store: Store, clock: FakeClock) -> None:
    added = silence(store, reason="a \0 test", drops=True)
    assert added == Silence(
        1, {"symbol": "TNA"}, "kim", "cli", "a \ufffd test", START_US, START_US, START_US + HOUR_US, True, True
    )  # fmt: skip
    assert store.open_silences() == store.silences() == [added]
    (change,) = store.changes(10)
    assert (change["what"], change["author"], change["via"], change["at_us"]) == (
        ChangeKind.SILENCE_ADDED.value, "kim", "cli", START_US
    )  # fmt: skip
    assert (change["detail"]["id"], change["detail"]["matchers"]) == (added.id, {"symbol": "TNA"})
    assert silence_of_batch(added.batch) == added.id


@pytest.mark.parametrize("batch", [None, "", "silence:", "silence:x", "silence:-1", "quiet:night", "7"])
def test_silence_of_batch_of_something_else_is_none(batch: str | None) -> None:
    assert silence_of_batch(batch) is None


def test_add_silence_that_ends_before_its_start_is_refused(store: Store) -> None:
    with pytest.raises(ValueError, match="ends after its start"):
        silence(store, ends_us=START_US)
    assert store.silences(ended=True) == []


def test_silences_are_paged_with_and_without_those_that_ended(store: Store) -> None:
    first, second, third = silence(store), silence(store), silence(store)
    finished = store.end_silence(second.id, "jo", "api", FREE)
    assert finished == Finished(replace(second, ended_us=START_US, ended_by="jo"))
    assert [each.id for each in store.silences()] == [third.id, first.id]
    assert [each.id for each in store.silences(ended=True)] == [third.id, second.id, first.id]
    assert [each.id for each in store.silences(ended=True, limit=1, before=third.id)] == [second.id]
    assert [each.id for each in store.open_silences()] == [first.id, third.id]


def test_end_silence_makes_what_it_held_due_now(store: Store, clock: FakeClock, intake: Intake) -> None:
    held = silence(store)
    other = silence(store)
    alert = intake.held(risk_event(), held)
    intake.held(risk_event(), other)
    clock.advance(60)
    assert told(store) == []
    assert store.end_silence(held.id, "jo", "telegram", FREE) is not None
    assert told(store) == [alert]
    assert [(change["what"], change["author"], change["via"]) for change in store.changes(1)] == [
        ("silence_ended", "jo", "telegram")
    ]
    assert balanced(store)


def test_end_silence_that_is_not_open_changes_nothing(store: Store, clock: FakeClock) -> None:
    assert store.end_silence(1, "jo", "api", FREE) is None
    ended = silence(store)
    assert store.end_silence(ended.id, "jo", "api", FREE) is not None
    clock.advance(1)
    assert store.end_silence(ended.id, "kim", "api", FREE) is None
    (kept,) = store.silences(ended=True)
    assert (kept.ended_by, kept.ended_us) == ("jo", START_US)
    assert len(store.changes(10)) == 2


def test_end_silence_after_its_time_ended_at_its_time(store: Store, clock: FakeClock) -> None:
    late = silence(store)
    clock.advance(HOUR + 5)
    ended = store.end_silence(late.id, "jo", "api", FREE)
    assert ended is not None
    assert ended.silence.ended_us == late.ends_us


def test_finish_silence_is_done_once_and_only_when_it_is_over(store: Store, clock: FakeClock) -> None:
    """By whichever daemon comes first; its own end counts, and not when somebody noticed."""
    kept = silence(store)
    clock.advance(HOUR - 1)
    assert store.over_silences() == []
    assert store.finish_silence(kept.id, FREE) is None
    clock.advance(11)
    assert store.over_silences() == [kept]
    finished = store.finish_silence(kept.id, FREE)
    assert finished is not None
    assert finished.silence == replace(kept, ended_us=kept.ends_us)
    assert store.finish_silence(kept.id, FREE) is None
    assert store.over_silences() == store.open_silences() == []
    assert [change["what"] for change in store.changes(10)] == ["silence_added"]  # nobody changed anything


def test_finish_silence_lets_what_it_held_be_told_by_its_own_time(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    held = silence(store)
    alert = intake.held(risk_event(), held)
    clock.advance(HOUR)
    finished = store.finish_silence(held.id, FREE)
    assert finished is not None
    assert finished.told_again == {}
    assert told(store) == [alert]


def test_finish_silence_tells_each_condition_that_still_holds_once(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    """The newest alert of it, on each channel; what ended earlier stays dropped."""
    dropping = silence(store, drops=True)
    over = intake.dropped(risk_event(event_type="OVER"), dropping)
    intake.dropped(risk_event(value=1.0), dropping)
    clock.advance(HOUR - 60)
    newest = intake.dropped(risk_event(value=2.0), dropping)
    elsewhere = intake.dropped(risk_event(value=2.5), dropping, "whatsapp")
    symbol = intake.dropped(risk_event(symbol=None), dropping)
    action = intake.dropped(agent_action(), dropping)
    conditions = {condition_of(alert) for alert in (over, newest, elsewhere, symbol, action)}
    assert len(conditions) == 4
    clock.advance(61)
    finished = store.finish_silence(dropping.id, FREE)
    assert finished is not None
    assert finished.told_again == {"telegram": 3, "whatsapp": 1}
    claimed = store.claim("telegram", "worker", 60, 100)
    assert {delivery.alert.id for delivery in claimed} == {newest.id, symbol.id, action.id}
    assert {delivery.due_at_us for delivery in claimed} == {clock.now_us()}
    assert told(store, "whatsapp") == [elsewhere]
    assert store.channel_counts()["telegram"] == {"pending": 3, "suppressed": 2}
    assert balanced(store)


def test_finish_silence_takes_the_given_time_for_still_true(store: Store, clock: FakeClock, intake: Intake) -> None:
    dropping = silence(store, drops=True)
    alert = intake.dropped(risk_event(), dropping)
    clock.advance(HOUR)
    finished = store.finish_silence(dropping.id, FREE, still_true_us=HOUR_US)
    assert finished is not None
    assert finished.told_again == {"telegram": 1}
    assert told(store) == [alert]


def test_end_silence_before_its_time_tells_what_still_holds(store: Store, clock: FakeClock, intake: Intake) -> None:
    dropping = silence(store, drops=True)
    alert = intake.dropped(risk_event(), dropping)
    clock.advance(300)
    ended = store.end_silence(dropping.id, "jo", "api", FREE)
    assert ended is not None
    assert ended.told_again == {"telegram": 1}
    assert told(store) == [alert]
    assert store.free_stragglers(FREE) == NOTHING


def test_finish_silence_tells_an_own_event_until_another_one_resolves_it(
    store: Store, clock: FakeClock, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long ago it was; the end of something that was told before is no condition."""
    dropping = silence(store, drops=True)
    lasting, ended = (system_event(id=system_event_id("SILENT", name), source=name) for name in ("a", "b"))
    for alert in (lasting, ended):
        intake.dropped(alert, dropping, own_event=True)
    monkeypatch.setattr(conditions, "_AT_ONCE", 1)
    heard = system_event(id=system_event_id("HEARD"), event_type="HEARD", severity="INFO", resolves=ended.id)
    intake.dropped(heard, dropping, own_event=True)
    clock.advance(HOUR)
    finished = store.finish_silence(dropping.id, FREE)
    assert finished is not None
    assert finished.told_again == {"telegram": 1}
    assert told(store) == [lasting]


def test_finish_silence_tells_each_of_the_daemons_own_events_that_nothing_resolved(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    """All of them have one source and no symbol; they are conditions of their own all the same."""
    dropping = silence(store, drops=True)
    clock.advance(HOUR - 60)
    silent = [system_event(id=system_event_id("SILENT", name), source="alertbus") for name in ("a", "b", "c")]
    for alert in silent:
        intake.dropped(alert, dropping, own_event=True)
    heard = system_event(id=system_event_id("HEARD", "b"), severity="INFO", resolves=silent[1].id, source="alertbus")
    before = system_event(id=system_event_id("HEARD", "d"), severity="INFO", resolves=system_event_id("SILENT", "d"))
    for alert in (heard, before):  # the second ends what people were told of
        intake.dropped(alert, dropping, own_event=True)
    clock.advance(60)
    finished = store.finish_silence(dropping.id, FREE)
    assert finished is not None
    assert finished.told_again == {"telegram": 3}
    assert {alert.id for alert in told(store)} == {silent[0].id, silent[2].id, before.id}


def test_finish_silence_in_quiet_hours_tells_again_at_their_end(store: Store, clock: FakeClock, intake: Intake) -> None:
    dropping = silence(store, drops=True, matchers={})
    clock.advance(HOUR - 60)
    alert = intake.dropped(risk_event(severity="WARNING"), dropping)
    spoil(store, "UPDATE notification_queue SET handling = :handling", handling='{"route":"desk"}')
    clock.advance(60)
    finished = store.finish_silence(dropping.id, holding(MORNING))
    assert finished is not None
    assert finished.told_again == {"telegram": 1}
    assert told(store) == []
    clock.advance(400)
    (delivery,) = store.claim("telegram", "worker", 60, 10)
    assert (delivery.alert, delivery.batch) == (alert, "quiet:morning")
    assert balanced(store)


def test_finish_silence_under_another_one_that_drops_leaves_it_to_that_one(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    first, second = silence(store, drops=True), silence(store, drops=True, ends_us=START_US + HOUR_US + 60_000_000)
    clock.advance(HOUR - 60)
    alert = intake.dropped(risk_event(severity="WARNING"), first)
    clock.advance(60)
    finished = store.finish_silence(first.id, FREE)
    assert finished is not None
    assert finished.told_again == {}
    clock.advance(60)
    finished = store.finish_silence(second.id, FREE)
    assert finished is not None
    assert finished.told_again == {"telegram": 1}
    assert told(store) == [alert]


def test_finish_silence_does_not_repeat_what_a_person_acknowledged(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    dropping = silence(store, drops=True)
    clock.advance(HOUR - 1)
    alert = intake.dropped(risk_event(), dropping)
    assert store.acknowledge(alert.id, "kim", "page") is not None
    clock.advance(1)
    finished = store.finish_silence(dropping.id, FREE)
    assert finished is not None
    assert finished.told_again == {}


def test_finish_silence_lets_the_age_of_what_is_told_again_begin_anew(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    """What still holds is news at the end of a silence, however long that was."""
    dropping = silence(store, drops=True)
    alert = intake.dropped(system_event(id=system_event_id("SILENT")), dropping, own_event=True)
    spoil(store, "UPDATE notification_queue SET expires_at = published_us + 60000000")
    clock.advance(HOUR)
    assert store.finish_silence(dropping.id, FREE) is not None
    (delivery,) = store.claim("telegram", "worker", 60, 10)
    assert delivery.alert == alert
    spoil(
        store,
        "UPDATE notification_queue SET status = status WHERE expires_at = :wanted",
        wanted=clock.now_us() + 60_000_000,
    )


def test_finish_silence_never_touches_what_was_dropped_for_another_reason(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    dropping = silence(store, drops=True)
    intake.dropped(risk_event(), dropping)
    spoil(store, "UPDATE notification_queue SET why = 'disabled'")
    clock.advance(60)
    store.end_silence(dropping.id, "jo", "api", FREE)
    assert told(store) == []


@pytest.mark.parametrize("drops", [False, True])
def test_free_stragglers_tells_what_was_stored_under_a_silence_that_had_ended(
    store: Store, clock: FakeClock, intake: Intake, drops: bool
) -> None:
    """Another daemon planned it and did not know yet."""
    ended = silence(store, drops=drops)
    clock.advance(10)
    store.end_silence(ended.id, "jo", "api", FREE)
    assert store.free_stragglers(FREE) == NOTHING
    clock.advance(1)
    late = (intake.dropped if drops else intake.held)(risk_event(), ended)
    assert told(store) == []
    assert store.free_stragglers(FREE) == (({}, {"telegram": 1}) if drops else ({"telegram": 1}, {}))
    assert told(store) == [late]
    assert store.free_stragglers(FREE) == NOTHING
    assert balanced(store)


def test_free_stragglers_leaves_what_a_silence_dropped_in_its_time(
    store: Store, clock: FakeClock, intake: Intake
) -> None:
    dropping = silence(store, drops=True)
    intake.dropped(risk_event(), dropping)
    clock.advance(HOUR)
    assert store.finish_silence(dropping.id, FREE) is not None
    assert store.free_stragglers(FREE) == NOTHING
    assert told(store) == []


def test_silence_that_two_daemons_end_is_ended_by_one(store: Store, store_url: str, clock: FakeClock) -> None:
    both: list[Callable[[int], object]]
    with Store(store_url, clock) as other:
        first, second = silence(store), silence(store)
        both = [
            lambda number: store.end_silence(number, "a", "api", FREE),
            lambda number: other.end_silence(number, "b", "", FREE),
        ]
        assert [each(first.id) is None for each in both] == [False, True]
        clock.advance(HOUR)
        assert [other.finish_silence(second.id, FREE) is None, store.finish_silence(second.id, FREE) is None] == [
            False,
            True,
        ]


def test_silences_of_a_closed_store_raise(store: Store) -> None:
    store.close()
    for ask in (store.open_silences, store.silences, store.over_silences, lambda: store.free_stragglers(FREE)):
        with pytest.raises(StoreError):
            ask()
