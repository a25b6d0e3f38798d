"""`attach`: what a database manager logs is published, and nothing that it is given ever raises."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from publisher import attaching
from publisher.attaching import AGENT_ACTION_FIELDS, RISK_EVENT_FIELDS
from publisher.testing import RecordingPublisher
from tests.publisher.conftest import MakePublisher
from tests.publisher.database_manager import DatabaseManager
from tests.support.scripted_daemon import ScriptedDaemon
from tests.support.waiting import wait_until


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.fixture
def database(publisher: RecordingPublisher) -> DatabaseManager:
    manager = DatabaseManager()
    assert publisher.attach(manager) == 2
    return manager


def test_fields_are_those_of_the_database_manager() -> None:
    """In its order: live code calls by position."""
    for method, fields in (("log_risk_event", RISK_EVENT_FIELDS), ("log_agent_action", AGENT_ACTION_FIELDS)):
        assert tuple(inspect.signature(getattr(DatabaseManager(), method)).parameters) == fields


def test_risk_event_by_position_is_published_and_logged(
    database: DatabaseManager, publisher: RecordingPublisher
) -> None:
    """The original is called with the same arguments, and its result is the caller's."""
    result = database.log_risk_event("DRAWDOWN", "CRITICAL", "6.1 %", "ppo", "TNA", 6.1, 5.0, "halted")
    assert result == 1
    assert database.calls[0][1]["action_taken"] == "halted"
    (event,) = publisher.alerts
    assert isinstance(event, RiskEvent)
    told = (event.event_type, event.severity, event.description, event.agent_name, event.symbol, event.value)
    assert told == ("DRAWDOWN", Severity.CRITICAL, "6.1 %", "ppo", "TNA", 6.1)
    assert (event.threshold, event.action_taken, event.altered, event.extra) == (5.0, "halted", {}, {})


def test_agent_action_by_name_is_published_and_logged(database: DatabaseManager, publisher: RecordingPublisher) -> None:
    """Positions and names may be mixed."""
    result = database.log_agent_action(
        "ppo", "TNA", action="buy", quantity=10, price=41.2, rationale="momentum", state={"rsi": 70.1}
    )
    assert result == 1
    (event,) = publisher.alerts
    assert isinstance(event, AgentAction)
    assert (event.action, event.quantity, event.price, event.executed) == (Action.BUY, 10.0, 41.2, True)
    assert (event.rationale, event.reward, event.state) == ("momentum", None, {"rsi": 70.1})


def test_signature_and_name_of_the_method_stay(database: DatabaseManager) -> None:
    """Whoever inspects the method sees the original."""
    assert database.log_risk_event.__name__ == "log_risk_event"
    assert tuple(inspect.signature(database.log_risk_event).parameters) == RISK_EVENT_FIELDS


def test_database_that_raises_still_has_its_event_published(
    database: DatabaseManager, publisher: RecordingPublisher
) -> None:
    """A locked database is no reason to be silent; its error is the caller's, as before."""
    database.error = RuntimeError("database is locked")
    with pytest.raises(RuntimeError, match="database is locked"):
        database.log_risk_event("DRAWDOWN", "CRITICAL", "6.1 %")
    assert len(publisher.alerts) == 1
    assert publisher.attach_errors == []


def test_missing_arguments_are_the_callers_type_error(database: DatabaseManager, publisher: RecordingPublisher) -> None:
    """As without us; what was given is told all the same."""
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        database.log_risk_event("DRAWDOWN")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="missing 5 required positional arguments"):
        database.log_agent_action()  # type: ignore[call-arg]
    first, second = publisher.alerts
    assert isinstance(first, RiskEvent)
    assert isinstance(second, RiskEvent)
    assert (first.event_type, first.severity) == ("DRAWDOWN", Severity.WARNING)
    assert second.event_type == "UNKNOWN_ACTION"


def test_more_arguments_than_today_are_kept_in_extra(publisher: RecordingPublisher) -> None:
    """A later YoopRL may log more."""

    class Later:
        def log_risk_event(self, *arguments: Any, **named: Any) -> str:
            return "logged"

        def log_agent_action(self, *arguments: Any, **named: Any) -> str:
            return "logged"

    later = Later()
    assert publisher.attach(later) == 2
    assert later.log_risk_event("A", "INFO", "", "", "", 1, 2, "", "ninth", venue="ARCA") == "logged"
    assert later.log_agent_action("ppo", "TNA", "SELL", 1, 2, id="x", extra={"a": 1}) == "logged"
    assert [each.extra for each in publisher.alerts] == [
        {"arguments": ["ninth"], "venue": "ARCA"},
        {"id": "x", "extra": {"a": 1}},
    ]


def test_profit_and_position_by_name_are_the_alerts_own(publisher: RecordingPublisher) -> None:
    """A database manager that grew them needs no second call."""

    class Later:
        def log_risk_event(self, *arguments: Any, **named: Any) -> None: ...

        def log_agent_action(self, *arguments: Any, **named: Any) -> None: ...

    later = Later()
    publisher.attach(later)
    later.log_agent_action("ppo", "TNA", "SELL", 1, 2, pnl=-12.5, position=0)
    (action,) = publisher.alerts
    assert isinstance(action, AgentAction)
    assert (action.pnl, action.position, action.extra) == (-12.5, 0, {})


def test_attach_twice_publishes_once(database: DatabaseManager, publisher: RecordingPublisher) -> None:
    """A reloaded configuration may attach again."""
    assert publisher.attach(database) == 2
    database.log_risk_event("A", "INFO", "")
    assert len(publisher.alerts) == 1


def test_attach_two_publishers_in_turn_publishes_once_through_each(
    database: DatabaseManager, publisher: RecordingPublisher
) -> None:
    """However often each of them attaches."""
    other = RecordingPublisher()
    for each in (other, publisher, other, publisher):
        assert each.attach(database) == 2
    assert database.log_risk_event("A", "INFO", "") == 1
    assert len(publisher.alerts) == len(other.alerts) == len(database.calls) == 1


def test_attach_two_databases_publishes_of_both(database: DatabaseManager, publisher: RecordingPublisher) -> None:
    """One process holds many agents; each instance is listened to by itself."""
    second, third = DatabaseManager(), DatabaseManager()
    assert publisher.attach(second) == 2
    for each in (database, second, third):
        each.log_risk_event("A", "INFO", "")
    assert len(publisher.alerts) == 2


class Slotted:
    __slots__ = ()

    def log_risk_event(self, *arguments: Any) -> None: ...

    def log_agent_action(self, *arguments: Any) -> None: ...


class Hostile:
    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class Itself:
    def __getattr__(self, name: str) -> Itself:
        return self


@pytest.mark.parametrize(
    "odd",
    [None, 5, "text", Slotted(), Hostile(), Itself(), DatabaseManager, object()],
    ids=lambda odd: type(odd).__name__,
)
def test_attach_what_cannot_be_listened_to_returns_0_and_is_told(
    publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture, odd: object
) -> None:
    """Trading starts all the same; the log and the counter say that nothing will come."""
    assert publisher.attach(odd) == 0
    assert len(publisher.attach_errors) == 2
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert "alerts can't be taken from" in caplog.text


def test_attach_one_method_only_listens_to_that(publisher: RecordingPublisher) -> None:
    """An older database manager may have but one."""

    class Older:
        def log_risk_event(self, *arguments: Any) -> int:
            return 7

    older = Older()
    assert publisher.attach(older) == 1
    assert older.log_risk_event("A", "INFO") == 7
    assert len(publisher.alerts) == len(publisher.attach_errors) == 1


@pytest.mark.parametrize("kind", [Mock, MagicMock])
def test_attach_a_mock_of_the_traders_tests_works(publisher: RecordingPublisher, kind: type[Mock]) -> None:
    """A trader's own tests replace the database; the hook must not break them."""
    mock = kind()
    original = mock.log_risk_event
    assert publisher.attach(mock) == 2
    mock.log_risk_event("A", "INFO", "")
    original.assert_called_once_with("A", "INFO", "")
    assert len(publisher.alerts) == 1


def test_tap_closed_publisher_is_counted_and_trading_goes_on(
    database: DatabaseManager, publisher: RecordingPublisher, caplog: pytest.LogCaptureFixture
) -> None:
    """Even PublisherClosed does not pass."""
    publisher.close()
    assert database.log_risk_event("A", "INFO", "") == 1
    assert len(publisher.attach_errors) == 1
    assert "an event could not be published" in caplog.text


@pytest.fixture
def raising_log(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class RaisingHandler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise RuntimeError("a broken handler")

    handler = RaisingHandler()
    attaching.logger.addHandler(handler)
    yield
    attaching.logger.removeHandler(handler)


@pytest.mark.usefixtures("raising_log")
def test_tap_log_handler_that_raises_does_not_reach_trading(
    database: DatabaseManager, publisher: RecordingPublisher
) -> None:
    """The last thing that could raise is our own log line."""
    publisher.close()
    assert database.log_risk_event("A", "INFO", "") == 1
    assert publisher.attach(None) == 0


def test_attach_real_publisher_delivers(daemon: ScriptedDaemon, make_publisher: MakePublisher) -> None:
    """The one line that a trader adds, to the daemon."""
    publisher = make_publisher(daemon)
    manager = DatabaseManager()
    assert publisher.attach(manager) == 2
    manager.log_risk_event("SCHEDULER_RUN_FAILED", "WARNING", "PnL < -5% & <b>worse</b>")
    manager.log_agent_action("ppo", "TNA", "SELL", 3, 40.5)
    wait_until(lambda: publisher.stats().acknowledged == 2)
    assert [each.kind for each in daemon.alerts] == ["risk_event", "agent_action"]
    assert {each.source for each in daemon.alerts} == {"trader"}
    publisher.close(timeout=10.0)
    assert manager.log_risk_event("A", "INFO", "") == 3
    assert publisher.stats().attach_failures == 1
    assert "PublisherClosed" in (publisher.stats().last_error or "")
