"""The alert: its fields, its identity, and how each odd value is met; the sizes are in test_alert_limits.py."""

from __future__ import annotations

import math
import time
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import RFC_4122, UUID, uuid5
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from pydantic import ValidationError

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent, new_alert_id
from tests.bus.odd_values import NaTType, NAType, Nonsense, Raises, RaisesWhenShown, Untouchable
from tests.bus.strategies import SAMPLES


def risk_event(**fields: Any) -> RiskEvent:
    return RiskEvent(**{"event_type": "DRAWDOWN_BREACH", "severity": "WARNING", **fields})


def agent_action(**fields: Any) -> AgentAction:
    return AgentAction(**{"action": "BUY", **fields})


def refused_fields(error: pytest.ExceptionInfo[ValidationError]) -> set[str]:
    return {str(fault["loc"][0]) for fault in error.value.errors()}


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


# --- odd numbers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "kept"),
    [(np.float32(0.5), 0.5), (np.array([0.5]), 0.5), (Decimal("0.5"), 0.5), ("0.5", 0.5), (True, 1.0), (3, 3.0)],
)
def test_number_of_other_library_is_kept_as_float(value: object, kept: float) -> None:
    alert = risk_event(value=value)
    assert type(alert.value) is float
    assert alert.value == kept
    assert alert.altered == {}


@pytest.mark.parametrize(
    ("value", "was"),
    [
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        ("nan", "nan"),
        (np.float64("inf"), "inf"),
        (Decimal("sNaN"), "sNaN"),
        (Decimal("1E+400"), "1E+400"),
        (10**5000, "<int>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_number_that_is_not_finite_is_left_out_and_told(value: object, was: str) -> None:
    alert = risk_event(value=value, threshold=1)
    assert (alert.value, alert.threshold) == (None, 1.0)
    assert alert.altered == {"value": was}


@pytest.mark.parametrize("missing", [None, NAType(), NaTType()])
def test_number_that_is_missing_is_left_out(missing: object) -> None:
    alert = risk_event(value=missing)
    assert (alert.value, alert.altered) == (None, {})


@pytest.mark.parametrize("value", ["abc", [1.0], {}, object(), 1j, np.array([1.0, 2.0]), Raises(), Nonsense()])
def test_number_without_sensible_reading_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(value=value)
    assert refused_fields(error) == {"value"}


@pytest.mark.parametrize("name", AgentAction.numbers)
def test_agent_action_every_number_that_is_not_finite_is_told(name: str) -> None:
    alert = agent_action(**{name: math.inf})
    assert getattr(alert, name) is None
    assert alert.altered == {name: "inf"}


# --- odd texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "text", "altered"),
    [
        ("café", "café", {}),
        ("", "", {}),
        ("caf\xe9".encode(), "café", {}),
        (bytearray(b"plain"), "plain", {}),
        (np.str_("plain"), "plain", {}),
        (b"\xffA", "\ufffdA", {"description": "not valid Unicode"}),
        (bytearray(b"\xffA"), "\ufffdA", {"description": "not valid Unicode"}),
        ("A\ud800", "A\ufffd", {"description": "not valid Unicode"}),
        ("\ud83d\ude00", "😀", {"description": "not valid Unicode"}),
        (ValueError("too low"), "too low", {"description": "text of ValueError"}),
        (ValueError(), "ValueError", {"description": "text of ValueError"}),
        (RuntimeError(Raises()), "<RuntimeError>", {"description": "text of RuntimeError"}),
    ],
)
def test_text_odd_is_carried_and_told(value: object, text: str, altered: dict[str, str]) -> None:
    alert = risk_event(description=value)
    assert (alert.description, alert.altered) == (text, altered)


def test_text_that_is_valid_beside_an_odd_value_is_not_told_as_altered() -> None:
    alert = risk_event(description=b"plain", value=math.nan)
    assert (alert.description, alert.altered) == ("plain", {"value": "nan"})


@pytest.mark.parametrize(
    ("value", "was"),
    [
        ("x" * 5000, "cut from 5000 characters"),
        (b"x" * 5000, "cut from 5000 bytes"),
        ("😀" * 4001, "cut from 4001 characters"),
    ],
    ids=["text", "bytes", "emoji"],
)
def test_text_too_long_is_cut_and_told(value: object, was: str) -> None:
    alert = risk_event(description=value)
    assert len(alert.description) == 4000
    assert alert.description.endswith("…")
    assert alert.altered == {"description": was}


@pytest.mark.parametrize("value", [None, 5, ["a"], {"a": 1}, Raises(), Nonsense()])
def test_text_of_wrong_type_is_refused_by_name(value: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(description=value)
    assert refused_fields(error) == {"description"}
    assert "description" in str(error.value)


@pytest.mark.parametrize("name", ["symbol", "agent_name", "action_taken", "event_type", "source"])
def test_text_of_wrong_type_in_any_field_is_refused_by_name(name: str) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(**{name: 17})
    assert refused_fields(error) == {name}


def test_event_type_empty_is_refused_by_name() -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(event_type="")
    assert refused_fields(error) == {"event_type"}


# --- structures -------------------------------------------------------------------------------------------------


def test_extra_of_odd_values_is_plain_data() -> None:
    alert = risk_event(extra={1: np.arange(3), "price": Decimal("41.2"), "when": NAType(), "who": Raises()})
    assert alert.extra == {"1": [0, 1, 2], "price": 41.2, "when": None, "who": "<Raises>"}


def test_extra_is_a_copy_that_later_changes_do_not_reach() -> None:
    book = {"legs": [1]}
    alert = risk_event(extra=book)
    book["legs"].append(2)
    assert alert.extra == {"legs": [1]}


@pytest.mark.parametrize("extra", [[1], "text", 5, Untouchable])
def test_extra_that_is_no_mapping_is_refused_by_name(extra: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(extra=extra)
    assert refused_fields(error) == {"extra"}


def test_extra_that_is_too_large_is_cut_and_told() -> None:
    alert = risk_event(extra={"text": "x" * 10_000})
    assert alert.altered == {"extra": "not all could be carried: at most 8 KiB and 8 levels"}


def test_state_of_any_shape_is_plain_data() -> None:
    assert agent_action(state=np.zeros((2, 2), dtype=np.float32)).state == [[0.0, 0.0], [0.0, 0.0]]


def test_state_that_holds_itself_is_cut_and_told() -> None:
    state: dict[str, Any] = {"price": 1.0}
    state["self"] = state
    alert = agent_action(state=state)
    assert alert.state["self"]["self"]["price"] == 1.0
    assert alert.altered == {"state": "not all could be carried: at most 16 KiB and 8 levels"}


def test_altered_that_is_given_is_kept_beside_what_is_added() -> None:
    alert = risk_event(altered={"severity": "FATAL"}, value=math.nan, extra={"text": "x" * 10_000})
    assert alert.altered.keys() == {"severity", "value", "extra"}


@pytest.mark.parametrize("altered", [[1], "text", {"price": 5}, {"price": "x" * 121}])
def test_altered_of_wrong_shape_is_refused_by_name(altered: object) -> None:
    with pytest.raises(ValidationError) as error:
        risk_event(altered=altered, value=math.nan)
    assert refused_fields(error) == {"altered"}


def test_opaque_alert_by_default_is_a_warning() -> None:
    assert OpaqueAlert(original_kind="fill", event_type="FILL").severity is Severity.WARNING
