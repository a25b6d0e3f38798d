"""The trader's hooks: the fields of YoopRL's methods, in their order, and what a message may add."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from publisher.shortcuts import Shortcuts, closing_reason
from publisher.testing import RecordingPublisher
from tests.publisher.database_manager import DatabaseManager


@pytest.fixture
def publisher() -> RecordingPublisher:
    return RecordingPublisher()


@pytest.mark.parametrize(("hook", "method"), [("risk_event", "log_risk_event"), ("agent_action", "log_agent_action")])
def test_hooks_take_the_positional_fields_of_the_database_manager(hook: str, method: str) -> None:
    """A trader puts one call beside the other, with the same arguments."""
    hooked = inspect.signature(getattr(Shortcuts, hook)).parameters.values()
    positional = [each.name for each in hooked if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional[1:] == list(inspect.signature(getattr(DatabaseManager(), method)).parameters)


def test_risk_event_every_field_is_carried(publisher: RecordingPublisher) -> None:
    """By position and by name."""
    moment = datetime(2026, 3, 1, 16, 30, tzinfo=timezone(timedelta(hours=1)))
    assert publisher.risk_event(
        "DRAWDOWN", "warning", "6.1 %", "ppo", "TNA", 6.1, 5.0, "halted",
        pnl=-120.5, position=10, extra={"venue": "ARCA"}, occurred_at=moment,
    )  # fmt: skip
    (event,) = publisher.alerts
    assert event == RiskEvent(
        id=event.id, event_type="DRAWDOWN", severity=Severity.WARNING, description="6.1 %", agent_name="ppo",
        symbol="TNA", value=6.1, threshold=5.0, action_taken="halted", pnl=-120.5, position=10.0,
        extra={"venue": "ARCA"}, occurred_at=datetime(2026, 3, 1, 15, 30, tzinfo=UTC),
    )  # fmt: skip


def test_agent_action_every_field_is_carried(publisher: RecordingPublisher) -> None:
    """The same for an action."""
    assert publisher.agent_action(
        "ppo", "TNA", "sell", 10, 41.2, 0.3, "momentum", 0.9, {"rsi": 70},
        pnl=12.0, position=0, extra={"order": 5}, occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip
    (event,) = publisher.alerts
    assert event == AgentAction(
        id=event.id, agent_name="ppo", symbol="TNA", action=Action.SELL, quantity=10.0, price=41.2, reward=0.3,
        rationale="momentum", confidence=0.9, state={"rsi": 70}, pnl=12.0, position=0.0, extra={"order": 5},
        occurred_at=datetime(2026, 3, 1, tzinfo=UTC),
    )  # fmt: skip


def test_hooks_shortest_call_has_defaults(publisher: RecordingPublisher) -> None:
    """Two words are an alert; it happened now."""
    before = datetime.now(UTC)
    publisher.risk_event("A", "INFO")
    publisher.agent_action(None, None, "HOLD")
    first, second = publisher.alerts
    assert isinstance(first, RiskEvent)
    assert isinstance(second, AgentAction)
    assert (first.description, first.extra, second.quantity, second.executed) == ("", {}, None, False)
    assert before <= first.occurred_at <= second.occurred_at <= datetime.now(UTC)


def test_hooks_naive_time_raises_and_names_the_field(publisher: RecordingPublisher) -> None:
    """A time without a zone could be any of 24."""
    with pytest.raises(ValidationError) as caught:
        publisher.risk_event("A", "INFO", occurred_at=datetime(2026, 3, 1))  # noqa: DTZ001
    assert caught.value.errors()[0]["loc"] == ("occurred_at",)


def test_hooks_wait_is_handed_on() -> None:
    """`wait=` returns whether a daemon has stored it."""
    assert RecordingPublisher(stored=True).risk_event("A", "INFO", wait=1.0) is True
    assert RecordingPublisher(stored=False).risk_event("A", "INFO", wait=1.0) is False
    assert RecordingPublisher(stored=False).agent_action("ppo", "TNA", "BUY", wait=1.0) is False
    assert RecordingPublisher(stored=False).risk_event("A", "INFO") is True


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "closed"),
        (SystemExit(0), "closed"),
        (SystemExit(None), "closed"),
        (SystemExit("out of money"), "exception: SystemExit"),
        (KeyboardInterrupt(), "signal: SIGINT"),
        (LookupError(), "exception: LookupError"),
    ],
)
def test_closing_reason_tells_an_end_in_order_from_another(error: BaseException | None, reason: str) -> None:
    """What begins with `exception` or `signal` is told to people."""
    assert closing_reason(error) == reason
