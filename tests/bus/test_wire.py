"""The data codec: what is written is read again, and what is broken is refused with a reason."""

from __future__ import annotations

import math

import msgpack
import pytest
from hypothesis import given

from bus.alerts import Action, AgentAction, Alert, RiskEvent, Severity
from bus.errors import UndecodableFrames, UnsupportedVersion
from bus.topics import TOPIC_LIMIT_BYTES, topic_of
from bus.wire import (
    BODY_LIMIT_BYTES,
    Envelope,
    Header,
    decode_alert,
    decode_frames,
    decode_header,
    encode_alert,
    encode_frames,
    encode_header,
)
from tests.bus.packing import HEADER, IDENTITY, body, header, refused
from tests.bus.strategies import SAMPLES, alerts, examples, headers

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
