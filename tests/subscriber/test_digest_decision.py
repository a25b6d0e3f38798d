"""Whether an alert is told by itself, with others, or a little later."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.alerts import AgentAction, Alert, RiskEvent, Severity
from subscriber.deliveries import Delivery, DeliveryState, DigestKind
from subscriber.policy.digest import (
    MOST_FOLDED,
    MOST_LISTED,
    Fold,
    Room,
    Single,
    Wait,
    how_to_tell,
    kind_of_batch,
    needs_others,
)

NOW_US = 1_770_000_000_000_000
SECOND_US = 1_000_000
MAX_DELAY = 30.0
CRITICAL = RiskEvent(event_type="DRAWDOWN", severity=Severity.CRITICAL)
WARNING = RiskEvent(event_type="DRAWDOWN", severity=Severity.WARNING)
CLASSES = pytest.mark.parametrize(
    ("alert", "together"),
    [
        (CRITICAL, Fold(DigestKind.CRITICALS, MOST_LISTED)),
        (WARNING, Fold(DigestKind.STORM, MOST_FOLDED)),
        (AgentAction(action="BUY"), Fold(DigestKind.STORM, MOST_FOLDED)),
    ],
    ids=["critical", "warning", "trade"],
)


def head(
    alert: Alert = WARNING,
    *,
    batch: str | None = None,
    retries: int = 0,
    possible_repeat: bool = False,
    state: DeliveryState = DeliveryState.PENDING,
) -> Delivery:
    return Delivery(
        id=1,
        alert=alert,
        channel="telegram",
        state=state,
        published_us=NOW_US,
        due_at_us=NOW_US,
        retries=retries,
        lease="lease",
        possible_repeat=possible_repeat,
        batch=batch,
    )


def aged(*seconds: float) -> list[int]:
    return [NOW_US - round(each * SECOND_US) for each in seconds]


def room(
    interval: float = 1.0,
    *,
    max_delay: float | None = MAX_DELAY,
    since: float | None = None,
    slots: Sequence[float] | None = None,
) -> Room:
    """A channel of an even pace."""
    within = (
        [] if interval <= 0 or max_delay is None else [i * interval for i in range(1, int(max_delay / interval) + 1)]
    )
    return Room(max_delay, interval, within if slots is None else slots, since)


@CLASSES
def test_decision_singles_in_time_are_sent_one_by_one(alert: Alert, together: Fold) -> None:
    """At a message a second thirty others are told within thirty seconds, and one more is too many."""
    assert how_to_tell(head(alert), [NOW_US] * 30, room(), NOW_US) == Single()
    assert how_to_tell(head(alert), [NOW_US] * 31, room(), NOW_US) == together


@CLASSES
def test_decision_counts_the_age_of_each(alert: Alert, together: Fold) -> None:
    """What waited for twenty-nine seconds can wait for one message, and not for two."""
    assert how_to_tell(head(alert), aged(29), room(), NOW_US) == Single()
    assert how_to_tell(head(alert), aged(0, 29), room(), NOW_US) == together
    assert how_to_tell(head(alert), aged(29, 0), room(), NOW_US) == Single()


@pytest.mark.parametrize("alert", [CRITICAL, WARNING])
def test_decision_alone_is_sent_however_old(alert: Alert) -> None:
    """It goes now either way."""
    assert how_to_tell(head(alert), [], room(), NOW_US + 3600 * SECOND_US) == Single()


@CLASSES
def test_decision_goes_by_when_there_are_turns_and_not_by_the_mean(alert: Alert, together: Fold) -> None:
    """A burst that is used up lets the next one wait for minutes, whatever the pace in the long run."""
    burst = room(6.0, slots=[0.0] * 20)
    assert how_to_tell(head(alert), [NOW_US] * 20, burst, NOW_US) == Single()
    assert how_to_tell(head(alert), [NOW_US] * 21, burst, NOW_US) == together


@pytest.mark.parametrize("channel", [room(0.0), room(max_delay=None)], ids=["no pace", "max_delay off"])
@pytest.mark.parametrize("alert", [CRITICAL, WARNING])
def test_decision_without_pace_or_max_delay_is_always_single(channel: Room, alert: Alert) -> None:
    assert not needs_others(head(alert), channel)
    assert how_to_tell(head(alert), aged(*[1000.0] * 500), channel, NOW_US) == Single()


@pytest.mark.parametrize(
    "tried",
    [
        head(retries=1),
        head(possible_repeat=True),
        head(state=DeliveryState.IN_DOUBT),
        head(retries=1, batch="group:r:TNA"),
    ],
    ids=["retried", "possible repeat", "in doubt", "of a batch"],
)
def test_decision_tried_by_itself_is_told_by_itself(tried: Delivery) -> None:
    """Its text is known to a person, perhaps."""
    assert not needs_others(tried, room())
    assert how_to_tell(tried, [NOW_US] * 500, room(), NOW_US) == Single()


@pytest.mark.parametrize(
    ("batch", "kind"),
    [
        ("group:desk:TNA", DigestKind.GROUP),
        ("quiet:night", DigestKind.QUIET),
        ("silence:7", DigestKind.SILENCE),
        ("silence", DigestKind.SILENCE),
        ("from a newer version", DigestKind.GROUP),
        ("storm:", DigestKind.GROUP),
    ],
)
@pytest.mark.parametrize("channel", [room(), room(0.0), room(max_delay=None), room(since=1.0)])
def test_decision_batch_is_told_together_whatever_the_pace(batch: str, kind: DigestKind, channel: Room) -> None:
    assert kind_of_batch(batch) is kind
    assert how_to_tell(head(batch=batch), (), channel, NOW_US) == Fold(kind, MOST_FOLDED)


def test_decision_in_a_storm_collects_until_max_delay_is_over() -> None:
    """A digest was begun a second ago, and a hundred came since: the next one tells all of thirty seconds."""
    assert how_to_tell(head(), [NOW_US] * 100, room(since=1.0), NOW_US) == Wait(29.0)
    assert how_to_tell(head(), [NOW_US] * 100, room(since=29.5), NOW_US) == Wait(0.5)
    assert how_to_tell(head(), [NOW_US] * 100, room(since=30.0), NOW_US) == Fold(DigestKind.STORM, MOST_FOLDED)


def test_decision_in_a_storm_looks_again_when_it_could_be_over() -> None:
    """Two came within a second: with none after them, the channel could tell them singly from the next one on."""
    assert how_to_tell(head(), aged(0.2), room(since=1.0), NOW_US) == Wait(1.0)
    assert how_to_tell(head(), aged(1.2), room(since=2.0), NOW_US) == Single()


def test_decision_lone_alert_after_a_storm_is_sent_at_once() -> None:
    assert how_to_tell(head(), [], room(since=1.0), NOW_US) == Single()
    assert how_to_tell(head(), [], room(6.0, since=6.0), NOW_US) == Single()


def test_decision_old_alerts_after_a_storm_make_no_digest_a_second() -> None:
    """A publisher that catches up sends alerts that are old when they come."""
    assert how_to_tell(head(), aged(500), room(since=5.0), NOW_US) == Single()
    assert how_to_tell(head(), aged(*[500.0] * 9), room(since=5.0), NOW_US) == Wait(5.0)
    assert how_to_tell(head(), aged(500), room(since=30.0), NOW_US) == Fold(DigestKind.STORM, MOST_FOLDED)


def test_decision_full_message_does_not_wait() -> None:
    """What waits fills a message: to wait would only make more of them."""
    full = [NOW_US] * (MOST_FOLDED - 1)
    assert how_to_tell(head(), full, room(since=1.0), NOW_US) == Fold(DigestKind.STORM, MOST_FOLDED)
    assert isinstance(how_to_tell(head(), full[1:], room(since=1.0), NOW_US), Wait)


def test_decision_critical_never_waits_for_a_storm() -> None:
    assert how_to_tell(head(CRITICAL), [], room(since=0.0), NOW_US) == Single()
    assert how_to_tell(head(CRITICAL), [NOW_US] * 99, room(since=0.0), NOW_US) == Fold(
        DigestKind.CRITICALS, MOST_LISTED
    )


@given(
    ages=st.lists(st.floats(min_value=-60, max_value=600), max_size=60),
    interval=st.floats(min_value=0.01, max_value=20),
    max_delay=st.floats(min_value=0.1, max_value=300),
    since=st.none() | st.floats(min_value=0, max_value=400),
    critical=st.booleans(),
)
def test_decision_keeps_its_promises(
    ages: list[float], interval: float, max_delay: float, since: float | None, critical: bool
) -> None:
    """CRITICAL never waits; a wait ends by `max_delay` after the last digest; what is sent singly leaves in time."""
    told = how_to_tell(
        head(CRITICAL if critical else WARNING), aged(*ages), room(interval, max_delay=max_delay, since=since), NOW_US
    )
    match told:
        case Wait(seconds):
            assert not critical
            assert since is not None
            assert 0 < seconds <= max_delay - since + 1e-6
            assert min(interval, max_delay) <= since + seconds + 1e-6
        case Fold(kind, _):
            assert ages
            assert kind is (DigestKind.CRITICALS if critical else DigestKind.STORM)
            assert critical or since is None or since >= max_delay
        case Single():
            in_storm = since is not None and since < max_delay and not critical
            late = max_delay + 1e-3
            assert in_storm or all(age + (place + 1) * interval <= late for place, age in enumerate(ages))
