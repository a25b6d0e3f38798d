"""The data codec meets what is newer or odd: it is kept, so that a person hears of it."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any

import msgpack
import pytest

from bus.alerts import RiskEvent, Severity, SystemEvent
from bus.wire import (
    decode_alert,
)
from tests.bus.packing import IDENTITY, MADE_AT, body, opaque

# --- what is newer ----------------------------------------------------------------------------------------------


def test_decode_alert_with_unknown_fields_keeps_them_in_extra() -> None:
    alert = decode_alert(body(venue="ARCA", legs=[1, {"a": None}], extra={"book": "alpha"}))
    assert isinstance(alert, RiskEvent)
    assert alert.extra == {"book": "alpha", "venue": "ARCA", "legs": [1, {"a": None}]}


def test_decode_alert_with_unknown_fields_beyond_the_limit_cuts_and_tells() -> None:
    alert = decode_alert(body(notes="x" * 20_000))
    assert isinstance(alert, RiskEvent)
    assert alert.altered.keys() == {"extra"}


def test_decode_alert_with_unknown_binary_name_keeps_it_in_extra() -> None:
    packed = b"\x86" + body()[1:] + msgpack.packb(b"venue") + msgpack.packb("ARCA")
    assert decode_alert(packed).extra == {"venue": "ARCA"}


def test_decode_alert_of_unknown_kind_is_opaque_and_keeps_its_fields() -> None:
    alert = opaque(body(kind="fill", event_type=..., source="trader", symbol="TNA", agent_name="a", price=41.2))
    assert (alert.original_kind, alert.event_type, alert.severity) == ("fill", "fill", Severity.CRITICAL)
    assert (alert.source, alert.symbol, alert.agent_name) == ("trader", "TNA", "a")
    assert alert.fields["price"] == 41.2


@pytest.mark.parametrize("kind", [..., None, 5, ["risk_event"], {"a": 1}, "", b"risk_event", "opaque", "RISK_EVENT"])
def test_decode_alert_without_a_kind_that_is_known_is_opaque(kind: object) -> None:
    alert = opaque(body(kind=kind))
    assert alert.id == IDENTITY
    assert alert.event_type == "X"


@pytest.mark.parametrize(
    "changes",
    [
        {"severity": "FATAL"},
        {"severity": ...},
        {"severity": [[[]]]},
        {"event_type": ...},
        {"event_type": ""},
        {"event_type": [1]},
        {"value": "abc"},
        {"value": [1.0]},
        {"description": 5},
        {"extra": [1]},
        {"extra": "text"},
        {"altered": [1]},
        {"altered": {"a": [1]}},
        {"extra": [1], "venue": "ARCA"},
        {"kind": "system_event", "resolves": IDENTITY.bytes[:15]},
        {"kind": "system_event", "resolves": str(IDENTITY)},
        {"kind": "system_event", "resolves": "x" * 16},
        {"kind": "system_event", "resolves": [0] * 16},
        {"kind": "agent_action", "action": "SHORT"},
        {"kind": "agent_action"},
    ],
)
def test_decode_alert_of_known_kind_with_unreadable_field_is_opaque(changes: dict[str, Any]) -> None:
    """A person still hears of it, as generic text."""
    alert = opaque(body(**changes))
    assert alert.id == IDENTITY
    assert alert.occurred_at == datetime(1970, 1, 1, tzinfo=UTC)


def test_decode_alert_opaque_with_unknown_severity_is_a_warning_and_keeps_the_word() -> None:
    alert = opaque(body(severity="FATAL"))
    assert (alert.severity, alert.fields["severity"]) == (Severity.WARNING, "FATAL")


def test_decode_alert_opaque_with_long_texts_cuts_them() -> None:
    alert = opaque(body(kind="k" * 500, event_type="e" * 500, symbol="s" * 500, source="o" * 500, agent_name=5))
    assert [len(text or "") for text in (alert.original_kind, alert.event_type, alert.symbol, alert.source)] == [
        128, 128, 64, 128,
    ]  # fmt: skip


def test_decode_alert_opaque_with_large_fields_cuts_and_tells() -> None:
    alert = opaque(body(kind="fill", notes="x" * 20_000))
    assert alert.altered == {"fields": "not all could be carried: at most 8 KiB and 8 levels"}


@pytest.mark.parametrize("name", ["kind", "event_type", "severity", "anything"])
@pytest.mark.parametrize("levels", [100, 500, 1000, 1015, 1020])
def test_decode_alert_with_deepest_nesting_that_unpacks_is_read(name: str, levels: int) -> None:
    packed = body(**{name: ...})
    packed = bytes([packed[0] + 1]) + packed[1:] + msgpack.packb(name) + b"\x91" * levels + b"\xc0"
    assert decode_alert(packed).id == IDENTITY


# --- odd values on the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("value", "was"), [(math.nan, "nan"), (-math.inf, "-inf")])
def test_decode_alert_with_number_that_is_not_finite_leaves_it_out_and_tells(value: float, was: str) -> None:
    alert = decode_alert(body(value=value))
    assert isinstance(alert, RiskEvent)
    assert (alert.value, alert.altered) == (None, {"value": was})


@pytest.mark.parametrize("value", [2**64 - 1, -(2**63)])
def test_decode_alert_with_largest_integers_reads_them(value: int) -> None:
    alert = decode_alert(body(value=value, count=value))
    assert isinstance(alert, RiskEvent)
    assert (alert.value, alert.extra) == (float(value), {"count": value})


@pytest.mark.parametrize("value", [msgpack.ExtType(5, b"abc"), msgpack.Timestamp(5, 6)])
def test_decode_alert_with_extension_type_is_kept_as_text_or_list(value: object) -> None:
    alert = decode_alert(body(odd=value))
    assert isinstance(alert, RiskEvent)
    assert alert.extra["odd"] in ([5, "abc"], "Timestamp(seconds=5, nanoseconds=6)")


def test_decode_alert_with_text_as_binary_reads_it() -> None:
    alert = decode_alert(body(event_type=b"caf\xc3\xa9", description=b"\xff"))
    assert isinstance(alert, RiskEvent)
    assert (alert.event_type, alert.description) == ("café", "\ufffd")


@pytest.mark.parametrize(
    "moment", [math.nan, math.inf, 1.5, True, "now", [], {}, b"", 2**64 - 1, -(2**63), msgpack.Timestamp(1, 0)]
)
def test_decode_alert_with_unreadable_moment_is_opaque_and_happened_when_its_id_was_made(moment: object) -> None:
    alert = opaque(body(occurred_at=moment))
    assert alert.occurred_at == MADE_AT
    assert "occurred_at" in alert.fields


def test_decode_alert_without_moment_happened_when_its_id_was_made() -> None:
    """So every daemon, and every reading of a stored body, says the same."""
    alert = decode_alert(body(occurred_at=...))
    assert isinstance(alert, RiskEvent)
    assert alert.occurred_at == MADE_AT


@pytest.mark.parametrize("identity", [bytes(16), b"\xff" * 6 + b"\x70" + bytes(9)], ids=["not version 7", "year 10889"])
def test_decode_alert_without_moment_and_without_time_in_its_id_happened_now(identity: bytes) -> None:
    before = datetime.now(UTC)
    assert decode_alert(body(id=identity, occurred_at=...)).occurred_at >= before


def test_decode_alert_resolves_is_the_id_of_another_alert() -> None:
    alert = decode_alert(body(kind="system_event", resolves=IDENTITY.bytes))
    assert isinstance(alert, SystemEvent)
    assert alert.resolves == IDENTITY


def test_decode_alert_of_32_bit_floats_reads_them() -> None:
    """Other languages pack what they call float."""
    packed = b"\x86" + body()[1:] + msgpack.packb("value") + b"\xca" + struct.pack(">f", 0.5)
    alert = decode_alert(packed)
    assert isinstance(alert, RiskEvent)
    assert alert.value == 0.5
