"""No alert, whatever is put into it, is longer on the wire than what a daemon reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from pydantic import ValidationError

from bus.alerts import (
    ACTION_TAKEN_LIMIT,
    ALTERED_LIMIT,
    DESCRIPTION_LIMIT,
    FIELD_NAME_LIMIT,
    NAME_LIMIT,
    SYMBOL_LIMIT,
    AgentAction,
    Alert,
    OpaqueAlert,
    RiskEvent,
    SystemEvent,
)
from bus.conversion import ALTERED_TEXT_LIMIT
from bus.topics import TOPIC_LIMIT_BYTES, topic_of
from bus.wire import BODY_LIMIT_BYTES, FRAME_LIMIT_BYTES, Heartbeat, decode_alert, encode_alert, encode_control
from tests.bus.strategies import alerts, examples

WRITTEN: list[type[RiskEvent | AgentAction | SystemEvent]] = [RiskEvent, AgentAction, SystemEvent]
KINDS: list[type[Alert]] = [*WRITTEN, OpaqueAlert]
WIDEST = "😀"  # four bytes in UTF-8, and twelve in a topic

ENUMERATED: dict[str, object] = {"severity": "CRITICAL", "action": "SELL"}
EXACT: dict[str, object] = {
    "id": "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "resolves": "ffffffff-ffff-7fff-bfff-ffffffffffff",
    "occurred_at": "9999-12-31T23:59:59.999999Z",
    "altered": {
        f"{number:02}".ljust(FIELD_NAME_LIMIT, WIDEST): WIDEST * ALTERED_TEXT_LIMIT for number in range(ALTERED_LIMIT)
    },
}
MORE_THAN_FITS = {f"{number:03}" + WIDEST * 100: WIDEST * 100 for number in range(1000)}


def full(kind: type[Alert], multiple: int = 1) -> dict[str, Any]:
    """Fill every field of a kind up to its limit, or so many times beyond; a text without a limit is a fault."""
    fields: dict[str, Any] = {}
    for name, schema in kind.model_json_schema()["properties"].items():
        options = [schema, *schema.get("anyOf", [])]
        lengths = [option["maxLength"] for option in options if "maxLength" in option]
        types = {option.get("type") for option in options}
        if name in EXACT:
            fields[name] = EXACT[name]
        elif name in ENUMERATED:
            fields[name] = ENUMERATED[name]
        elif name in kind.structures:
            fields[name] = MORE_THAN_FITS
        elif "number" in types:
            fields[name] = -1.7976931348623157e308
        elif lengths:
            fields[name] = WIDEST * lengths[0] * multiple
        else:
            assert "const" in schema, f"{kind.__name__}.{name} has no limit that this test knows"
    return fields


def just_full(kind: type[Alert]) -> Alert:
    """Build an alert with as much as fits, so that nothing more is told in `altered`, which is full, too."""
    fields = full(kind)
    cut = kind(**{**fields, "altered": {}})
    return kind(**{**fields, **{name: getattr(cut, name) for name in kind.structures}})


@pytest.mark.parametrize("kind", KINDS)
def test_body_of_alert_with_every_field_full_is_below_limit(kind: type[Alert]) -> None:
    alert = just_full(kind)
    assert len(alert.altered) == ALTERED_LIMIT
    assert len(encode_alert(alert)) < BODY_LIMIT_BYTES


@pytest.mark.parametrize("kind", WRITTEN)
def test_body_of_alert_with_every_field_too_long_is_below_limit(kind: type[Alert]) -> None:
    alert = kind(**{**full(kind, multiple=2), "altered": {}})
    assert alert.altered.keys() == {*kind.texts, *kind.structures}
    assert len(encode_alert(alert)) < BODY_LIMIT_BYTES


@pytest.mark.parametrize("kind", WRITTEN)
def test_full_alert_read_from_the_wire_is_the_same(kind: type[Alert]) -> None:
    alert = just_full(kind)
    assert decode_alert(encode_alert(alert)) == alert


@examples(60)
@given(alerts)
def test_body_of_any_alert_is_below_limit(alert: Alert) -> None:
    assert len(encode_alert(alert)) < BODY_LIMIT_BYTES


@pytest.mark.parametrize("kind", KINDS)
def test_altered_beyond_its_limit_is_refused_by_name(kind: type[Alert]) -> None:
    with pytest.raises(ValidationError, match="altered"):
        kind(**{**full(kind), "altered": {str(number): "" for number in range(ALTERED_LIMIT + 1)}})


@pytest.mark.parametrize("kind", KINDS)
def test_altered_has_room_for_every_field_of_a_kind(kind: type[Alert]) -> None:
    """A trader's hook may have to replace every one of them."""
    assert len(kind.model_fields) <= ALTERED_LIMIT
    assert max(map(len, kind.model_fields)) <= FIELD_NAME_LIMIT


@pytest.mark.parametrize("kind", WRITTEN)
def test_rules_for_texts_name_every_text_with_its_own_limit(kind: type[Alert]) -> None:
    """A field that the rules forget would be refused for its length instead of cut."""
    lengths = {
        name: option["maxLength"]
        for name, schema in kind.model_json_schema()["properties"].items()
        for option in [schema, *schema.get("anyOf", [])]
        if "maxLength" in option
    }
    assert lengths == kind.texts


@pytest.mark.parametrize("kind", WRITTEN)
def test_rules_for_numbers_name_every_number(kind: type[Alert]) -> None:
    numbers = {
        name
        for name, schema in kind.model_json_schema()["properties"].items()
        if any(option.get("type") == "number" for option in schema.get("anyOf", []))
    }
    assert numbers == set(kind.numbers)


def test_topic_of_widest_symbol_is_below_its_limit() -> None:
    alert = RiskEvent(event_type="X", severity="CRITICAL", symbol=WIDEST * SYMBOL_LIMIT)
    assert len(topic_of(alert).encode()) < TOPIC_LIMIT_BYTES


def test_heartbeat_with_widest_source_is_below_frame_limit() -> None:
    beat = Heartbeat(
        stream=b"\xff" * 16,
        source=WIDEST * NAME_LIMIT,
        first_held=2**63 - 1,
        first_unacknowledged=2**63 - 1,
        last=2**63 - 1,
        clock_us=2**63 - 1,
    )
    assert len(encode_control(beat)) < FRAME_LIMIT_BYTES


def test_limits_stated_in_the_documents_are_the_limits() -> None:
    """docs/alerts.md and other people's code rely on these numbers."""
    assert (NAME_LIMIT, SYMBOL_LIMIT, DESCRIPTION_LIMIT, ACTION_TAKEN_LIMIT) == (128, 64, 4000, 1000)
    assert (BODY_LIMIT_BYTES, FRAME_LIMIT_BYTES, TOPIC_LIMIT_BYTES) == (65_536, 131_072, 1024)
