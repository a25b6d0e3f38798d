"""docs/alerts.md says what the code does: fields, limits and levels are compared, its odd values are tried."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import pytest

from bus.alerts import (
    ALTERED_LIMIT,
    FIELD_NAME_LIMIT,
    AgentAction,
    OpaqueAlert,
    RiskEvent,
    Severity,
    SystemEvent,
)
from bus.conversion import ALTERED_TEXT_LIMIT, DEPTH_LIMIT, KEY_LIMIT
from bus.wire import BODY_LIMIT_BYTES
from tests.bus.documents import document, rows, section, words

ALERTS = document("alerts.md")
COMMON = "Every alert"
KINDS: dict[str, type[RiskEvent | AgentAction | SystemEvent]] = {
    "RiskEvent": RiskEvent,
    "AgentAction": AgentAction,
    "SystemEvent": SystemEvent,
}


def fields_of(heading: str) -> dict[str, list[str]]:
    return {words(row[0])[0]: row for row in rows(section(ALERTS, heading))}


def odd_values(heading: str) -> str:
    return section(ALERTS, heading)


@pytest.mark.parametrize("heading", KINDS)
def test_alerts_document_fields_are_those_of_the_kind(heading: str) -> None:
    documented = [*fields_of(COMMON), *fields_of(heading)]
    assert sorted(documented) == sorted(set(KINDS[heading].model_fields) - {"kind"})


@pytest.mark.parametrize("heading", KINDS)
def test_alerts_document_limits_of_texts_are_those_of_the_code(heading: str) -> None:
    documented = {
        name: int(match[1])
        for name, row in (fields_of(COMMON) | fields_of(heading)).items()
        if (match := re.fullmatch(r"(?:1 to )?(\d+) characters", row[-1]))
    }
    assert documented == KINDS[heading].texts


@pytest.mark.parametrize("heading", KINDS)
def test_alerts_document_limits_of_structures_are_those_of_the_code(heading: str) -> None:
    documented = {
        name: int(match[1]) * 1024
        for name, row in (fields_of(COMMON) | fields_of(heading)).items()
        if (match := re.fullmatch(rf"(\d+) KiB, {DEPTH_LIMIT} levels", row[-1]))
    }
    assert documented == KINDS[heading].structures


@pytest.mark.parametrize("heading", KINDS)
def test_alerts_document_required_fields_are_those_of_the_kind(heading: str) -> None:
    documented = {name for name, row in fields_of(heading).items() if row[1].endswith("required")}
    assert documented == {name for name, field in KINDS[heading].model_fields.items() if field.is_required()}


@pytest.mark.parametrize("heading", KINDS)
def test_alerts_document_numbers_are_those_of_the_kind(heading: str) -> None:
    documented = {name for name, row in fields_of(heading).items() if row[1] == "number"}
    assert documented == set(KINDS[heading].numbers)


def test_alerts_document_limits_of_altered_are_those_of_the_code() -> None:
    limit = fields_of(COMMON)["altered"][-1]
    assert limit == f"{ALTERED_LIMIT} entries of {FIELD_NAME_LIMIT} and {ALTERED_TEXT_LIMIT} characters"


def test_alerts_document_names_in_structures_have_the_limit_of_the_code() -> None:
    assert f"names of up to {KEY_LIMIT} characters" in odd_values("In `extra` and `state`")


def test_alerts_document_bound_of_the_whole_is_that_of_the_codec() -> None:
    assert f"below {BODY_LIMIT_BYTES // 1024} KiB" in ALERTS


@pytest.mark.parametrize(
    ("heading", "fields"),
    [
        ("In a number", {"value": float("nan")}),
        ("In a number", {"value": float("inf")}),
        ("In a text", {"description": b"\xff"}),
        ("In a text", {"description": "\ud800"}),
        ("In a text", {"description": "x" * 5000}),
        ("In a text", {"description": ValueError("x")}),
        ("In `extra` and `state`", {"extra": {"a": "x" * 10_000}}),
    ],
)
def test_alerts_document_tells_what_altered_says(heading: str, fields: dict[str, Any]) -> None:
    alert = RiskEvent(event_type="X", severity=Severity.INFO, **fields)
    (was,) = alert.altered.values()
    assert f"`{was}`" in odd_values(heading)


def test_alerts_document_example_of_a_number_beyond_range_is_left_out() -> None:
    example = 'Decimal("1E+400")'
    assert f"`{example}`" in odd_values("In a number")
    assert RiskEvent(event_type="X", severity=Severity.INFO, value=Decimal("1E+400")).value is None


def test_alerts_document_is_silent_about_what_nobody_builds() -> None:
    assert OpaqueAlert.__name__ not in ALERTS
