"""The alert: its identity, its words, its moments, and that it never changes."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from uuid import RFC_4122, UUID, uuid5
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity, SystemEvent, new_alert_id
from tests.bus.building import agent_action, refused_fields, risk_event
from tests.bus.odd_values import Raises, RaisesWhenShown, Untouchable
from tests.bus.strategies import SAMPLES

# --- identity ---------------------------------------------------------------------------------------------------


def test_alert_id_layout_is_uuid_version_7() -> None:
    identity = new_alert_id()
    assert (identity.version, identity.variant) == (7, RFC_4122)


def test_alert_id_first_48_bits_are_milliseconds_of_utc() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = new_alert_id().int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


def test_alert_id_of_later_millisecond_sorts_later(monkeypatch: pytest.MonkeyPatch) -> None:
    now_ns = time.time_ns()
    ids = []
    for milliseconds in range(50):
        monkeypatch.setattr("bus.alerts.time.time_ns", lambda later=milliseconds: now_ns + later * 1_000_000)
        ids.append(new_alert_id())
    assert ids == sorted(ids)
    assert [str(identity) for identity in ids] == sorted(map(str, ids))


def test_alert_id_of_ten_thousand_is_never_the_same() -> None:
    assert len({new_alert_id() for _ in range(10_000)}) == 10_000


def test_alert_id_of_other_version_is_kept() -> None:
    derived = uuid5(UUID(int=1), "publisher silent")
    assert SystemEvent(id=derived, event_type="X", severity=Severity.INFO).id == derived


def test_alert_id_that_is_no_uuid_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(id="17")
    assert refused_fields(error) == {"id"}


# --- severity and action ----------------------------------------------------------------------------------------


def test_severity_rank_follows_importance() -> None:
    assert [severity.rank for severity in (Severity.INFO, Severity.WARNING, Severity.CRITICAL)] == [0, 1, 2]


@pytest.mark.parametrize("word", ["critical", "Critical", " CRITICAL\n", Severity.CRITICAL])
def test_severity_in_any_case_is_read(word: str) -> None:
    assert risk_event(severity=word).severity is Severity.CRITICAL


@pytest.mark.parametrize("word", ["", "fatal", "CRITICAL!", "\ud800", 2, None, Raises()])
def test_severity_unknown_is_refused_by_name(word: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(severity=word)
    assert refused_fields(error) == {"severity"}


@pytest.mark.parametrize("name", ["severity", "value", "description", "occurred_at", "symbol", "id"])
@pytest.mark.parametrize("hostile", [RaisesWhenShown, Untouchable])
def test_field_that_can_not_be_shown_is_refused_by_name(name: str, hostile: type) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(**{name: hostile()})
    assert {fault["loc"][0] for fault in error.value.errors(include_input=False)} == {name}


@pytest.mark.parametrize("word", ["sell", "Sell", " SELL "])
def test_action_in_any_case_is_read(word: str) -> None:
    assert agent_action(action=word).action is Action.SELL


@pytest.mark.parametrize("word", ["", "SHORT", 1, None])
def test_action_unknown_is_refused_by_name(word: object) -> None:
    with pytest.raises(ValidationError) as error:
        agent_action(action=word)
    assert refused_fields(error) == {"action"}


@pytest.mark.parametrize(
    ("fields", "executed"),
    [
        ({"action": "BUY"}, True),
        ({"action": "SELL", "quantity": 3}, True),
        ({"action": "BUY", "quantity": 0}, False),
        ({"action": "BUY", "quantity": -0.0}, False),
        ({"action": "BUY", "quantity": math.nan}, True),
        ({"action": "HOLD"}, False),
        ({"action": "HOLD", "quantity": 3}, False),
    ],
)
def test_agent_action_executed_unless_held_or_exactly_nothing(fields: dict[str, Any], executed: bool) -> None:
    assert AgentAction(**fields).executed is executed


# --- the model --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alert", SAMPLES, ids=lambda alert: alert.kind)
def test_alert_field_after_building_can_not_be_set(alert: Alert) -> None:
    for name in type(alert).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(alert, name, None)


@pytest.mark.parametrize(
    ("build", "fields"),
    [
        (RiskEvent, {"event_type": "X", "severity": "INFO", "quantity": 1}),
        (AgentAction, {"action": "BUY", "quantity": 1, "descripton": "typo"}),
        (SystemEvent, {"event_type": "X", "severity": "INFO", "value": 1.0}),
    ],
)
def test_alert_unknown_field_is_refused_by_name(build: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as error:
        build(**fields)
    assert refused_fields(error) == {list(fields)[-1]}


@pytest.mark.parametrize("name", ["event_type", "severity"])
def test_risk_event_without_required_field_is_refused_by_name(name: str) -> None:
    fields = {"event_type": "X", "severity": "INFO"}
    del fields[name]
    with pytest.raises(ValidationError) as error:
        RiskEvent(**fields)
    assert refused_fields(error) == {name}


def test_alert_with_several_faults_names_each() -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(severity="no", value=[], description=5)
    assert refused_fields(error) == {"severity", "value", "description"}


def test_alert_built_from_an_alert_is_that_alert() -> None:
    alert = risk_event(value=1.0)
    assert RiskEvent.model_validate(alert) is alert


def test_alert_log_fields_never_hold_its_text() -> None:
    alert = risk_event(source="live_trader", description="secret", extra={"token": "secret"})
    assert alert.log_fields() == {"alert_id": str(alert.id), "source": "live_trader"}


# --- time -------------------------------------------------------------------------------------------------------


def test_occurred_at_by_default_is_now_in_utc() -> None:
    before = datetime.now(UTC)
    moment = risk_event().occurred_at
    assert before <= moment <= datetime.now(UTC)
    assert moment.tzinfo is UTC


@pytest.mark.parametrize("zone", [ZoneInfo("America/New_York"), ZoneInfo("UTC"), timezone(timedelta(hours=5.5))])
def test_occurred_at_in_other_zone_is_kept_in_utc(zone: tzinfo) -> None:
    moment = datetime(2026, 3, 2, 9, 30, 0, 1, zone)
    kept = risk_event(occurred_at=moment).occurred_at
    assert kept == moment
    assert kept.tzinfo is UTC


class _NoOffset(tzinfo):
    def utcoffset(self, _moment: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 3, 2),  # noqa: DTZ001 - this is the point
        "2026-03-02T09:30:00",
        datetime(2026, 3, 2, tzinfo=_NoOffset()),
        datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
        datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
        "yesterday",
        None,
        [],
        Raises(),
    ],
)
def test_occurred_at_naive_or_unreadable_is_refused_by_name(moment: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(occurred_at=moment)
    assert refused_fields(error) == {"occurred_at"}
