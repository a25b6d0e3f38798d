"""Whatever a trading loop logs goes through `attach` without an exception, and what can be told is told."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest

from bus.alerts import Action, AgentAction, RiskEvent, Severity
from bus.wire import BODY_LIMIT_BYTES, decode_alert, encode_alert
from publisher.attaching import AGENT_ACTION_FIELDS, RISK_EVENT_FIELDS
from publisher.testing import RecordingPublisher
from tests.publisher.database_manager import DatabaseManager

RISK_FIELDS: dict[str, Any] = {"event_type": "DRAWDOWN", "severity": "INFO", "description": ""}
ACTION_FIELDS: dict[str, Any] = {"agent_name": "ppo", "symbol": "TNA", "action": "BUY", "quantity": 1, "price": 2}


class Raising:
    """Raises at every touch that a foreign object allows."""

    def __str__(self) -> str:
        raise RuntimeError("str")

    __repr__ = __str__

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")

    def __bool__(self) -> bool:
        raise RuntimeError("bool")

    def __float__(self) -> float:
        raise RuntimeError("float")

    def __len__(self) -> int:
        raise RuntimeError("len")

    def __iter__(self) -> Any:
        raise RuntimeError("iter")

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class RaisingText(str):
    """A string that raises where a string never should."""

    __slots__ = ()

    def strip(self, chars: str | None = None, /) -> str:
        raise RuntimeError("strip")

    def __str__(self) -> str:
        raise RuntimeError("str")

    def __hash__(self) -> int:
        raise RuntimeError("hash")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("eq")


class RaisingError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("str")


HOSTILE = [
    None, True, -1, 10**400, 1j, math.nan, math.inf, Decimal("NaN"), Decimal("1e999999"),
    np.float64("nan"), np.float32(1.5), np.int64(3), np.bool_(True), np.datetime64("NaT"), np.str_("INFO"),
    np.array(2.5), np.array([1.0]), np.array([1, 2]), np.zeros((200, 200)),
    "", " critical ", "x" * 10**6, "\ud800", "a\0b\n<b>&*_[", b"\xff" * 10, bytearray(b"ok"), "NaN",
    [1], {1}, {"a": {"b": [1, {2}]}}, {1: object()}, object(), type, lambda: 0, Severity.INFO,
    ValueError("PnL < -5%"), Raising(), RaisingText("INFO"), RaisingError(),
]  # fmt: skip


def identity(value: object) -> str:
    return type(value).__name__


def logged(method: str, fields: dict[str, Any]) -> RecordingPublisher:
    """Log fields through an attached database manager."""
    publisher, manager = RecordingPublisher(), DatabaseManager()
    publisher.attach(manager)
    assert getattr(manager, method)(**fields) == 1
    assert len(manager.calls) == 1
    return publisher


def only_risk_event(publisher: RecordingPublisher) -> RiskEvent:
    (event,) = publisher.alerts
    assert isinstance(event, RiskEvent)
    return event


def only_action(publisher: RecordingPublisher) -> AgentAction:
    (event,) = publisher.alerts
    assert isinstance(event, AgentAction)
    return event


@pytest.mark.parametrize("value", HOSTILE, ids=identity)
def test_risk_event_any_value_in_any_field_is_published(value: object) -> None:
    """It never raises, it always tells something, and that can be sent."""
    for field in RISK_EVENT_FIELDS:
        publisher = logged("log_risk_event", {**RISK_FIELDS, field: value})
        assert publisher.attach_errors == [], field
        event = only_risk_event(publisher)
        body = encode_alert(event)
        assert len(body) <= BODY_LIMIT_BYTES
        assert decode_alert(body) == event


@pytest.mark.parametrize("value", HOSTILE, ids=identity)
def test_agent_action_any_value_in_any_field_is_published(value: object) -> None:
    """The same for actions; one without a name is told as a warning."""
    for field in AGENT_ACTION_FIELDS:
        publisher = logged("log_agent_action", {**ACTION_FIELDS, field: value})
        assert publisher.attach_errors == [], field
        (event,) = publisher.alerts
        assert len(encode_alert(event)) <= BODY_LIMIT_BYTES
        assert field == "action" or isinstance(event, AgentAction)


def test_every_field_hostile_at_once_is_published() -> None:
    """Nothing but hostile values, and the limits still hold."""
    for value in HOSTILE:
        publisher = logged("log_risk_event", dict.fromkeys([*RISK_FIELDS, "agent_name", "symbol", "value"], value))
        publisher.attach(manager := DatabaseManager())
        manager.log_agent_action(**dict.fromkeys(AGENT_ACTION_FIELDS, cast("Any", value)))
        assert len(publisher.alerts) == 2
        assert publisher.attach_errors == []
        assert all(len(encode_alert(event)) <= BODY_LIMIT_BYTES for event in publisher.alerts)


@pytest.mark.parametrize(
    ("given", "severity", "marked"),
    [
        ("critical", Severity.CRITICAL, False),
        (" Warning ", Severity.WARNING, False),
        (np.str_("INFO"), Severity.INFO, False),
        ("warn", Severity.WARNING, True),
        ("error", Severity.CRITICAL, True),
        ("FATAL", Severity.CRITICAL, True),
        ("high", Severity.CRITICAL, True),
        ("debug", Severity.INFO, True),
        ("catastrophe", Severity.WARNING, True),
        (None, Severity.WARNING, True),
        (3, Severity.WARNING, True),
        pytest.param(Raising(), Severity.WARNING, True, id="raising"),
    ],
)
def test_risk_event_any_severity_becomes_one_of_three(given: object, severity: Severity, marked: bool) -> None:
    """Written in any case; other programs' words are understood, and the rest is told rather than lost."""
    event = only_risk_event(logged("log_risk_event", {**RISK_FIELDS, "severity": given}))
    assert event.severity is severity
    assert ("severity" in event.altered) is marked


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
        (5, "5"),
        (np.array([1, 2]), "[1 2]"),
        pytest.param(Raising(), "<Raising>", id="raising"),
    ],
)
def test_risk_event_odd_type_becomes_its_text(given: object, told: str) -> None:
    """An event has a type that a person can read."""
    event = only_risk_event(logged("log_risk_event", {**RISK_FIELDS, "event_type": given}))
    assert event.event_type == told
    assert "event_type" in event.altered


def test_risk_event_description_with_markup_is_carried_as_it_is() -> None:
    """Escaping is for the channel that needs it."""
    text = "PnL < -5% & <b>BTC_USDT</b> *-3.2%*\nnext line"
    event = only_risk_event(logged("log_risk_event", {**RISK_FIELDS, "description": text}))
    assert (event.description, event.altered) == (text, {})


def test_risk_event_exception_as_description_is_told_as_its_text() -> None:
    """`description=exc` is one `str()` away from what was meant."""
    event = only_risk_event(logged("log_risk_event", {**RISK_FIELDS, "description": ValueError("no fill")}))
    assert (event.description, event.altered) == ("no fill", {"description": "text of ValueError"})


def test_risk_event_huge_text_is_cut_and_marked() -> None:
    """A message of a megabyte is nobody's alert."""
    event = only_risk_event(logged("log_risk_event", {**RISK_FIELDS, "description": "x" * 10**6}))
    assert len(event.description) == 4_000
    assert event.altered == {"description": "cut from 1000000 characters"}


def test_agent_action_nan_and_numpy_are_carried_or_marked() -> None:
    """The price of a market that is closed is NaN; numpy's numbers are numbers."""
    fields = {**ACTION_FIELDS, "action": "sell", "quantity": np.int64(5), "price": math.nan, "reward": np.float32(0.5)}
    event = only_action(logged("log_agent_action", fields))
    assert (event.action, event.quantity, event.price, event.reward) == (Action.SELL, 5.0, None, 0.5)
    assert event.altered == {"price": "nan"}


def test_agent_action_price_that_is_no_number_is_left_out_and_marked() -> None:
    """The trade is told without it."""
    event = only_action(logged("log_agent_action", {**ACTION_FIELDS, "price": "at market", "symbol": 7}))
    assert (event.price, event.symbol, event.executed) == (None, "7", True)
    assert event.altered == {"price": "at market", "symbol": "7"}


def test_agent_action_large_state_is_cut_to_its_limit() -> None:
    """A state holds every feature; an alert does not."""
    event = only_action(logged("log_agent_action", {**ACTION_FIELDS, "state": np.arange(100_000).reshape(100, 1_000)}))
    assert "state" in event.altered
    assert len(encode_alert(event)) < 20_000


@pytest.mark.parametrize("given", ["SHORT", "", None, 2, Raising()], ids=identity)
def test_agent_action_unknown_is_told_as_a_warning(given: object) -> None:
    """Something was done that has no name here: a person should see it, and all that was said of it."""
    fields = {**ACTION_FIELDS, "action": given, "state": {"rsi": 70}, "confidence": 0.9}
    event = only_risk_event(logged("log_agent_action", fields))
    assert (event.event_type, event.severity) == ("UNKNOWN_ACTION", Severity.WARNING)
    assert (event.agent_name, event.symbol) == ("ppo", "TNA")
    assert (event.extra["confidence"], event.extra["price"]) == (0.9, 2)
    assert "state" not in event.extra
    assert event.description.startswith("An agent acted in a way that has no name here: ")
