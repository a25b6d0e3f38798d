"""How an alert meets odd numbers, texts and structures; how much of them it takes is in test_alert_limits.py."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from bus.alerts import AgentAction, OpaqueAlert, Severity
from tests.bus.building import agent_action, refused_fields, risk_event
from tests.bus.odd_values import NaTType, NAType, Nonsense, Raises, Untouchable

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
