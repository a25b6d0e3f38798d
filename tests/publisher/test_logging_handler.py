"""The logging handler: a program's errors as alerts, without a way to hurt the program."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from bus.alerts import Severity, SystemEvent
from publisher import AlertHandler
from publisher.testing import RecordingPublisher
from tests.publisher.conftest import MakePublisher
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def handler(publisher: RecordingPublisher) -> Iterator[AlertHandler]:
    """On the root logger, as a trader installs it."""
    handler = AlertHandler(publisher)
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


@pytest.fixture
def logger(handler: AlertHandler) -> logging.Logger:
    return logging.getLogger("live_trader")


class Raising:
    def __str__(self) -> str:
        raise RuntimeError("str")


def only(publisher: RecordingPublisher) -> SystemEvent:
    (event,) = publisher.alerts
    assert isinstance(event, SystemEvent)
    return event


@pytest.mark.parametrize(
    ("level", "severity"), [(logging.ERROR, Severity.WARNING), (logging.CRITICAL, Severity.CRITICAL)]
)
def test_emit_error_and_critical_become_alerts(
    logger: logging.Logger, publisher: RecordingPublisher, level: int, severity: Severity
) -> None:
    """With the text, the logger and the line that logged."""
    logger.log(level, "no fill for %s", "TNA")
    event = only(publisher)
    assert (event.severity, event.description) == (severity, "no fill for TNA")
    assert event.event_type == f"LOG_{logging.getLevelName(level)}"
    assert event.extra["logger"] == "live_trader"
    assert str(event.extra["where"]).startswith("test_logging_handler.py:")


def test_emit_below_the_level_is_left_alone(logger: logging.Logger, publisher: RecordingPublisher) -> None:
    """A warning in the log is no alert unless it is asked for."""
    logger.warning("slow")
    assert publisher.alerts == []


def test_emit_lower_level_when_asked_for(publisher: RecordingPublisher) -> None:
    """The level is the trader's."""
    AlertHandler(publisher, level=logging.INFO).handle(logging.makeLogRecord({"levelno": 20, "levelname": "INFO"}))
    assert only(publisher).event_type == "LOG_INFO"


def test_emit_exception_is_told_by_its_kind_and_text(logger: logging.Logger, publisher: RecordingPublisher) -> None:
    """Not its trace: that is in the log."""
    try:
        raise ValueError("no price")
    except ValueError:
        logger.exception("cycle failed")
    assert only(publisher).extra["exception"] == "ValueError: no price"


def test_emit_exc_info_without_an_exception_is_told_without(
    logger: logging.Logger, publisher: RecordingPublisher
) -> None:
    """`exc_info=True` where nothing was raised."""
    logger.error("odd", exc_info=True)  # noqa: LOG014
    assert "exception" not in only(publisher).extra


@pytest.mark.parametrize(
    ("message", "arguments", "told"),
    [
        ("%d of %d", ("three",), "%d of %d"),
        ("%d", ("x",), "%d"),
        ("%s", (Raising(),), "%s"),
        (Raising(), (), "<Raising>"),
        ("x" * 10**6, (), "x" * 3_999 + "…"),
        ("PnL < -5% \ud800", (), "PnL < -5% �"),
        (12, (), "12"),
    ],
    ids=["too few", "wrong type", "raising argument", "raising message", "huge", "surrogate", "number"],
)
def test_emit_odd_message_is_told_as_far_as_it_goes(
    handler: AlertHandler, publisher: RecordingPublisher, message: object, arguments: tuple[object, ...], told: str
) -> None:
    """A logging call never raises, and never says nothing."""
    handler.emit(logging.LogRecord("live_trader", logging.ERROR, __file__, 1, message, arguments, None))
    assert only(publisher).description == told


def test_emit_exception_whose_text_raises_is_told(handler: AlertHandler, publisher: RecordingPublisher) -> None:
    """By its name."""

    class SilentError(Exception):
        def __str__(self) -> str:
            raise RuntimeError("str")

    error = SilentError()
    handler.emit(logging.LogRecord("a", logging.ERROR, __file__, 1, "x", (), (SilentError, error, None)))
    assert only(publisher).extra["exception"] == "SilentError: <SilentError>"


def test_emit_long_level_name_is_cut(handler: AlertHandler, publisher: RecordingPublisher) -> None:
    """A level's name is the program's own choice."""
    handler.handle(logging.makeLogRecord({"name": "a", "levelno": 45, "levelname": "L" * 500}))
    assert len(only(publisher).event_type) == 128


@pytest.mark.parametrize("name", ["publisher", "publisher.attaching", "bus.wire", "alertbus.x", "zmq"])
def test_emit_our_own_loggers_are_left_out(handler: AlertHandler, publisher: RecordingPublisher, name: str) -> None:
    """An alert about a failing publisher would come back to the failing publisher, for ever."""
    handler.emit(logging.LogRecord(name, logging.CRITICAL, __file__, 1, "a fault", (), None))
    assert publisher.alerts == []


def test_emit_closed_publisher_is_counted_and_logging_goes_on(
    logger: logging.Logger, publisher: RecordingPublisher
) -> None:
    """A program logs to its very end."""
    publisher.close()
    logger.error("too late")
    assert len(publisher.attach_errors) == 1


def test_emit_message_that_logs_while_it_is_built_ends(handler: AlertHandler, publisher: RecordingPublisher) -> None:
    """An argument that logs an error itself, under the handler's lock: both are told, the inner one first."""

    class Logging:
        def __str__(self) -> str:
            handler.handle(logging.LogRecord("a", logging.ERROR, __file__, 1, "from within", (), None))
            return "argument"

    handler.handle(logging.LogRecord("a", logging.ERROR, __file__, 1, "outer %s", (Logging(),), None))
    told = [each.description for each in publisher.alerts if isinstance(each, SystemEvent)]
    assert told == ["from within", "outer argument"]


def test_emit_failing_publisher_never_comes_back_to_itself(
    daemon: ScriptedDaemon, make_publisher: MakePublisher, handler: AlertHandler
) -> None:
    """A real publisher that logs about itself, with a handler on the root logger that publishes through it."""
    publisher = make_publisher(daemon)
    real = AlertHandler(publisher)
    logging.getLogger().addHandler(real)
    try:
        assert publisher.attach(None) == 0  # logs two warnings; the packing below logs an error
        changed = SystemEvent(event_type="A", severity="INFO")
        changed.extra["connection"] = object()
        publisher.publish(changed)
        logging.getLogger("live_trader").error("the program's own")
        wait_until(lambda: publisher.stats().acknowledged == 1)
    finally:
        logging.getLogger().removeHandler(real)
    assert [getattr(each, "description", "") for each in daemon.alerts] == ["the program's own"]
    assert publisher.stats().unencodable == 1
