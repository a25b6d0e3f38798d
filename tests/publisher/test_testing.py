"""The publisher for the trader's own tests: it behaves as the real one does, without a socket."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest

from bus.alerts import RiskEvent
from publisher import Publisher, PublisherClosed, PublisherSettings
from publisher.shortcuts import Shortcuts
from publisher.testing import RecordingPublisher
from tests.publisher.builders import alert


def public_methods(kind: type) -> dict[str, inspect.Signature]:
    names = {name for name in dir(kind) if not name.startswith("_")} | {"__enter__", "__exit__"}
    return {
        name: inspect.signature(getattr(kind, name))
        for name in names
        if inspect.isfunction(inspect.getattr_static(kind, name))
    }


def test_recording_publisher_has_every_method_with_the_same_signature() -> None:
    """Whatever a trader calls on the one works on the other."""
    assert public_methods(RecordingPublisher) == public_methods(Publisher)
    assert issubclass(RecordingPublisher, Shortcuts)


def test_recording_publisher_stats_have_the_same_fields(settings: PublisherSettings) -> None:
    """A trader that logs them finds them."""
    assert type(RecordingPublisher().stats()) is type(Publisher(settings).stats())


def test_publish_keeps_the_alerts_in_order() -> None:
    """What was published is what the trader's test asserts on."""
    with RecordingPublisher() as publisher:
        assert publisher.start() is publisher
        assert publisher.publish(alert(1)) is True
        assert publisher.risk_event("TEST_2", "CRITICAL", value=float("nan")) is True
        assert publisher.flush(1.0) is True
        publisher.progress()
    assert [each.event_type for each in publisher.alerts if isinstance(each, RiskEvent)] == ["TEST_1", "TEST_2"]
    stats = publisher.stats()
    assert (stats.journaled, stats.acknowledged, stats.altered, stats.journal_alerts) == (2, 2, 1, 0)
    assert (publisher.progressed, publisher.close_reason, stats.running) == (1, "closed", False)


def test_publish_not_stored_says_so_when_waited_for() -> None:
    """For the trader's path without a daemon."""
    publisher = RecordingPublisher(stored=False)
    assert publisher.publish(alert()) is True
    assert publisher.publish(alert(), wait=5.0) is False
    assert publisher.close() is False
    assert publisher.stats().journal_alerts == 2


def test_publish_full_refuses_and_counts() -> None:
    """For the trader's path with a queue that is full."""
    publisher = RecordingPublisher(full=True)
    assert publisher.publish(alert()) is False
    assert publisher.publish(alert(), wait=5.0) is False
    assert (publisher.alerts, len(publisher.refused), publisher.stats().refused) == ([], 2, 2)


def test_with_block_exception_is_the_reason() -> None:
    """As the real goodbye has it."""
    publisher = RecordingPublisher()
    with pytest.raises(ValueError, match="drawdown"), publisher:
        raise ValueError("drawdown")
    assert publisher.close_reason == "exception: ValueError"
    publisher.close(reason="again")
    assert publisher.close_reason == "exception: ValueError"


def test_attach_failed_is_kept() -> None:
    """A trader's test can assert that all its events could be told."""
    publisher = RecordingPublisher()
    error = ValueError("why")
    publisher.attach_failed(error)
    assert publisher.attach_errors == [error]
    assert (publisher.stats().attach_failures, publisher.stats().errors) == (1, 1)


@pytest.mark.parametrize(
    "use",
    [
        lambda publisher: publisher.publish(alert()),
        lambda publisher: publisher.flush(1.0),
        lambda publisher: publisher.progress(),
        lambda publisher: publisher.start(),
        lambda publisher: publisher.__enter__(),
    ],
)
def test_use_after_close_raises_publisher_closed(use: Callable[[RecordingPublisher], object]) -> None:
    """A mistake of the trader's shows in the trader's own test."""
    publisher = RecordingPublisher()
    publisher.close()
    with pytest.raises(PublisherClosed):
        use(publisher)


def test_stats_measure_what_publishing_costs() -> None:
    publisher = RecordingPublisher()
    publisher.publish(alert())
    publisher.risk_event("TEST_2", "INFO")
    stats = publisher.stats()
    assert stats.timed_publishes == 2
    assert stats.publish_seconds_sum >= stats.publish_seconds_max > 0.0
