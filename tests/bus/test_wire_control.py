"""The control codec: seven messages, each in one frame."""

from __future__ import annotations

import math
from typing import Any

import msgpack
import pytest
from hypothesis import given
from pydantic import ValidationError

from bus.errors import UndecodableFrames, UnsupportedVersion
from bus.wire import (
    FRAME_LIMIT_BYTES,
    Ack,
    Control,
    Goodbye,
    Heartbeat,
    Replay,
    Replayed,
    Unavailable,
    Welcome,
    decode_control,
    encode_control,
)
from tests.bus.strategies import CONTROLS, controls, examples

STREAM = bytes(range(16))
ACK = {"stream": STREAM, "up_to": 7}
HEARTBEAT: dict[str, Any] = {
    "stream": STREAM,
    "source": "live_trader",
    "first_held": 1,
    "first_unacknowledged": 1,
    "last": 0,
    "clock_us": 0,
}
REPLAY = {"stream": STREAM, "first": 1, "last": 2}


def frame(*parts: Any) -> bytes:
    packed: bytes = msgpack.packb(list(parts))
    return packed


@examples(80)
@given(controls)
def test_decode_control_of_encoded_message_is_the_same(message: Control) -> None:
    decoded = decode_control(encode_control(message))
    assert decoded == message
    assert type(decoded) is type(message)


def test_encode_control_is_version_type_and_fields() -> None:
    assert msgpack.unpackb(encode_control(Ack(stream=STREAM, up_to=7))) == [
        1, "ack", {"stream": STREAM, "up_to": 7, "goodbye": False},
    ]  # fmt: skip


def test_encode_control_leaves_out_fields_without_a_value() -> None:
    fields = msgpack.unpackb(encode_control(Heartbeat(**HEARTBEAT)))[2]
    assert None not in fields.values()


@pytest.mark.parametrize("message", CONTROLS, ids=lambda message: message.type)
def test_control_message_after_building_can_not_be_set(message: Control) -> None:
    for name in type(message).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(message, name, None)


def test_decode_control_without_optional_fields_takes_their_defaults() -> None:
    message = decode_control(frame(1, "heartbeat", HEARTBEAT))
    assert message == Heartbeat(**HEARTBEAT)
    assert isinstance(message, Heartbeat)
    assert (message.own, message.journal_alerts, message.refused, message.volatile) == (True, 0, 0, False)
    assert (message.run, message.timed_publishes, message.publish_ns, message.publish_longest_ns) == (None,) * 4


def test_decode_control_with_unknown_fields_and_elements_ignores_them() -> None:
    assert decode_control(frame(1, "ack", {**ACK, "later": [1], b"raw": 2}, "later")) == Ack(stream=STREAM, up_to=7)


def test_decode_control_with_a_field_named_type_believes_the_frame() -> None:
    assert decode_control(frame(1, "ack", {**ACK, "type": "replay"})) == Ack(stream=STREAM, up_to=7)


@pytest.mark.parametrize("version", [0, 2, -1, 2**64 - 1])
def test_decode_control_of_other_version_is_refused_with_its_number(version: int) -> None:
    with pytest.raises(UnsupportedVersion) as error:
        decode_control(frame(version, "ack"))
    assert error.value.version == version


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"\xc1",
        frame(),
        frame(1),
        frame(1, "ack"),
        frame(1, "ack", None),
        frame(1, "ack", [STREAM, 7]),
        frame(1, "ack", {}),
        frame(True, "ack", ACK),
        frame(1.0, "ack", ACK),
        frame("1", "ack", ACK),
        msgpack.packb({"type": "ack", **ACK}),
        msgpack.packb("ack"),
        frame(1, "ack", ACK) + b"\0",
        frame(1, None, ACK),
        frame(1, 5, ACK),
        frame(1, ["ack"], ACK),
        frame(1, {"ack": 1}, ACK),
        frame(1, b"ack", ACK),
        frame(1, "ACK", ACK),
        frame(1, "unknown", ACK),
        frame(1, "ack", {1: 2, **ACK}),
        frame(1, "ack", {**ACK, "stream": STREAM[:15]}),
        frame(1, "ack", {**ACK, "stream": STREAM + b"x"}),
        frame(1, "ack", {**ACK, "stream": "s" * 16}),
        frame(1, "ack", {**ACK, "up_to": -1}),
        frame(1, "ack", {**ACK, "up_to": True}),
        frame(1, "ack", {**ACK, "up_to": 7.0}),
        frame(1, "ack", {**ACK, "up_to": math.nan}),
        frame(1, "ack", {**ACK, "up_to": "7"}),
        frame(1, "ack", {**ACK, "up_to": 2**63}),
        frame(1, "ack", {**ACK, "up_to": None}),
        frame(1, "ack", {**ACK, "up_to": msgpack.Timestamp(7, 0)}),
        frame(1, "ack", {**ACK, "goodbye": 1}),
        frame(1, "replay", {**REPLAY, "first": 0}),
        frame(1, "replay", {**REPLAY, "last": 0}),
        frame(1, "unavailable", REPLAY),
        frame(1, "unavailable", {**REPLAY, "reason": None}),
        frame(1, "unavailable", {**REPLAY, "first": 0, "reason": "damaged"}),
        frame(1, "unavailable", {**REPLAY, "reason": "x" * 129}),
        frame(1, "heartbeat", {**HEARTBEAT, "first_held": 0}),
        frame(1, "heartbeat", {**HEARTBEAT, "first_unacknowledged": 0}),
        frame(1, "heartbeat", {**HEARTBEAT, "source": 5}),
        frame(1, "heartbeat", {**HEARTBEAT, "source": b"trader"}),
        frame(1, "heartbeat", {**HEARTBEAT, "source": "x" * 129}),
        frame(1, "heartbeat", {**HEARTBEAT, "own": "yes"}),
        frame(1, "heartbeat", {**HEARTBEAT, "run": STREAM[:15]}),
        frame(1, "heartbeat", {**HEARTBEAT, "timed_publishes": -1}),
        frame(1, "heartbeat", {**HEARTBEAT, "publish_ns": 0.5}),
        frame(1, "heartbeat", {**HEARTBEAT, "publish_longest_ns": 2**63}),
        frame(1, "goodbye", {"stream": STREAM, "source": "a", "last": 1, "reason": ["closed"]}),
        b"\x93\x01\xa3ack\x81\xa6stream\xa2\xff\xfe",  # a text that is not UTF-8
        b"\x93\x01\xa3ack\xdf\xff\xff\xff\xff",
        b"\x93\x01\xa3ack" + b"\x81\xa1a" * 20_000,
        b"\x91" * 60_000,
    ],
)
def test_decode_control_malformed_is_refused(packed: bytes) -> None:
    with pytest.raises(UndecodableFrames) as error:
        decode_control(packed)
    assert (error.value.reason, error.value.frame_sizes) == ("control", (len(packed),))


def test_decode_control_oversized_is_refused_before_it_is_read() -> None:
    with pytest.raises(UndecodableFrames) as error:
        decode_control(frame(1, "ack", {**ACK, "later": b"x" * FRAME_LIMIT_BYTES}))
    assert error.value.reason == "oversized"


@pytest.mark.parametrize(
    "build",
    [
        lambda: Ack(stream=b"short", up_to=1),
        lambda: Ack(stream=STREAM, up_to=-1),
        lambda: Replay(stream=STREAM, first=0, last=1),
        lambda: Unavailable(stream=STREAM, first=0, last=1, reason="damaged"),
        lambda: Goodbye(stream=STREAM, source="x" * 129, last=1),
        lambda: Welcome(store_id=5, version="1"),  # type: ignore[arg-type]
        lambda: Heartbeat(**{**HEARTBEAT, "last": True}),
    ],
)
def test_control_message_that_no_reader_would_take_can_not_be_built(build: Any) -> None:
    with pytest.raises(ValidationError):
        build()


def test_replayed_frame_is_always_the_same() -> None:
    assert encode_control(Replayed()) == bytes.fromhex("9301a87265706c6179656480")
