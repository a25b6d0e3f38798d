"""The data codec: what is written is read again, what is newer is kept, what is broken is refused with a reason."""

from __future__ import annotations

import math
import struct
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import given

from bus.alerts import Action, AgentAction, Alert, OpaqueAlert, RiskEvent, Severity, SystemEvent
from bus.errors import UndecodableFrames, UnsupportedVersion
from bus.topics import TOPIC_LIMIT_BYTES, topic_of
from bus.wire import (
    BODY_LIMIT_BYTES,
    INVALID_REASONS,
    Envelope,
    Header,
    decode_alert,
    decode_frames,
    decode_header,
    encode_alert,
    encode_frames,
    encode_header,
)
from tests.bus.strategies import SAMPLES, alerts, examples, headers

HEADER = Header(bytes(range(16)), 7, 1_772_461_815_250_001)
IDENTITY = UUID("01890a5d-ac96-774b-bcce-b302099a8057")  # its first 48 bits are milliseconds
MADE_AT = datetime(2023, 6, 30, 3, 34, 18, 518_000, UTC)


def body(**changes: Any) -> bytes:
    """Pack a risk event with some fields changed; `...` leaves one out."""
    fields = {
        "id": IDENTITY.bytes,
        "kind": "risk_event",
        "event_type": "X",
        "severity": "CRITICAL",
        "occurred_at": 0,
        **changes,
    }
    packed: bytes = msgpack.packb({name: value for name, value in fields.items() if value is not ...})
    return packed


def header(*parts: Any) -> bytes:
    packed: bytes = msgpack.packb(list(parts))
    return packed


def refused(frames: list[bytes]) -> UndecodableFrames:
    with pytest.raises(UndecodableFrames) as error:
        decode_frames(frames)
    assert error.value.reason in INVALID_REASONS
    return error.value


def opaque(packed: bytes) -> OpaqueAlert:
    alert = decode_alert(packed)
    assert isinstance(alert, OpaqueAlert)
    return alert


# --- round trip -------------------------------------------------------------------------------------------------


@examples(80)
@given(alerts, headers)
def test_decode_frames_of_encoded_alert_is_the_same(alert: Alert, header: Header) -> None:
    packed = encode_alert(alert)
    envelope = decode_frames(encode_frames(topic_of(alert), header, packed))
    assert envelope == Envelope(header, topic_of(alert), packed, alert)
    assert type(envelope.alert) is type(alert)


@examples(60)
@given(alerts)
def test_encode_alert_of_decoded_alert_is_the_same_body(alert: Alert) -> None:
    packed = encode_alert(alert)
    assert encode_alert(decode_alert(packed)) == packed


def test_encode_alert_leaves_out_fields_without_a_value() -> None:
    packed = encode_alert(RiskEvent(event_type="X", severity=Severity.INFO))
    assert sorted(msgpack.unpackb(packed)) == [
        "description", "event_type", "id", "kind", "occurred_at", "severity", "source",
    ]  # fmt: skip


def test_encode_alert_writes_ids_as_bytes_and_moments_as_microseconds() -> None:
    fields = msgpack.unpackb(encode_alert(SAMPLES[2]))
    assert (len(fields["id"]), len(fields["resolves"])) == (16, 16)
    assert fields["occurred_at"] == 1_772_461_817_000_000


def test_decode_alert_of_empty_state_is_the_empty_state() -> None:
    """An agent that saw nothing is something else than an agent that did not say."""
    alert = decode_alert(encode_alert(AgentAction(action=Action.HOLD, state={})))
    assert isinstance(alert, AgentAction)
    assert alert.state == {}


# --- header -----------------------------------------------------------------------------------------------------


def test_decode_header_with_more_elements_ignores_them() -> None:
    assert decode_header(header(1, HEADER.stream, 7, 5, "later", {})) == Header(HEADER.stream, 7, 5)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        header(),
        header(1),
        header(1, HEADER.stream, 7),
        header(1, HEADER.stream[:15], 7, 5),
        header(1, HEADER.stream + b"x", 7, 5),
        header(1, "s" * 16, 7, 5),
        header(1, HEADER.stream, 0, 5),
        header(1, HEADER.stream, -7, 5),
        header(1, HEADER.stream, True, 5),
        header(1, HEADER.stream, 7.0, 5),
        header(1, HEADER.stream, "7", 5),
        header(1, HEADER.stream, None, 5),
        header(1, HEADER.stream, 2**63, 5),
        header(1, HEADER.stream, 7, -1),
        header(1, HEADER.stream, 7, True),
        header(1, HEADER.stream, 7, math.nan),
        header(1, HEADER.stream, 7, 2**64 - 1),
        header(1, HEADER.stream, 7, msgpack.Timestamp(1, 0)),
        header(True, HEADER.stream, 7, 5),
        header(1.0, HEADER.stream, 7, 5),
        header("1", HEADER.stream, 7, 5),
        header(None, HEADER.stream, 7, 5),
        header(msgpack.ExtType(5, b"1"), HEADER.stream, 7, 5),
        msgpack.packb({"version": 1}),
        msgpack.packb(1),
        encode_header(HEADER) + b"\0",
        header(1, HEADER.stream, 7, 5, "x" * TOPIC_LIMIT_BYTES),
    ],
)
def test_decode_header_malformed_is_refused(frame: bytes) -> None:
    error = refused([b"severity.INFO.", frame, body()])
    assert (error.reason, error.header) == ("header", None)


def test_decode_header_alone_tells_its_own_size() -> None:
    with pytest.raises(UndecodableFrames) as error:
        decode_header(b"\xc1\xc1")
    assert error.value.frame_sizes == (2,)


@pytest.mark.parametrize("version", [0, 2, -1, 2**64 - 1])
def test_decode_header_of_other_version_is_refused_with_its_number(version: int) -> None:
    with pytest.raises(UnsupportedVersion) as error:
        decode_frames([b"severity.INFO.", header(version, "whatever", "it", "holds"), b"not even msgpack"])
    assert (error.value.version, error.value.supported) == (version, 1)


# --- frames -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 2, 4, 1000])
def test_decode_frames_of_wrong_count_is_refused(count: int) -> None:
    frames = [b"severity.INFO.", encode_header(HEADER), body(), *[b""] * 1000][:count]
    assert refused(frames).reason == "frame_count"


def test_decode_frames_with_topic_that_is_no_text_is_refused_and_header_kept() -> None:
    error = refused([b"\xff\xfe", encode_header(HEADER), body()])
    assert (error.reason, error.header) == ("topic", HEADER)


def test_decode_frames_with_topic_that_disagrees_reads_the_body() -> None:
    envelope = decode_frames([b"action.BUY.TNA.", encode_header(HEADER), body(severity="CRITICAL")])
    assert isinstance(envelope.alert, RiskEvent)


@pytest.mark.parametrize(
    "frames",
    [
        [b"x" * (TOPIC_LIMIT_BYTES + 1), encode_header(HEADER), body()],
        [b"severity.INFO.", encode_header(HEADER), b"\xc0" * (BODY_LIMIT_BYTES + 1)],
    ],
    ids=["topic", "body"],
)
def test_decode_frames_oversized_is_refused_and_header_kept(frames: list[bytes]) -> None:
    error = refused(frames)
    assert (error.reason, error.header) == ("oversized", HEADER)


def test_decode_frames_with_body_at_limit_is_read() -> None:
    shorter = body(notes=b"x" * 60_000)
    packed = body(notes=b"x" * (60_000 + BODY_LIMIT_BYTES - len(shorter)))
    assert len(packed) == BODY_LIMIT_BYTES
    assert decode_frames([b"severity.INFO.", encode_header(HEADER), packed]).body == packed


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        msgpack.packb(None),
        msgpack.packb([1, 2]),
        msgpack.packb("text"),
        body(id=...),
        body(id=None),
        body(id=IDENTITY.bytes[:15]),
        body(id=IDENTITY.bytes + b"x"),
        body(id=str(IDENTITY)),
        body(id=[1] * 16),
        body() + b"\0",
        msgpack.packb({1: 2, "id": IDENTITY.bytes}),
        b"\x82\xa2id\xc4\x10" + IDENTITY.bytes + b"\xa1a\xa2\xff\xfe",  # a text that is not UTF-8
        b"\xdf\xff\xff\xff\xff",  # a map that claims four thousand million entries
        b"\xdd\xff\xff\xff\xff",
        b"\xdb\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x05",
        b"\x91" * 60_000,
        b"\x81\xa1a" * 20_000,
    ],
)
def test_decode_frames_with_unreadable_body_is_refused_and_header_kept(packed: bytes) -> None:
    """The number has to be settled, or the same frames would be asked for again and again."""
    error = refused([b"severity.INFO.", encode_header(HEADER), packed])
    assert (error.reason, error.header) == ("body", HEADER)
    assert error.frame_sizes == (14, len(encode_header(HEADER)), len(packed))


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
