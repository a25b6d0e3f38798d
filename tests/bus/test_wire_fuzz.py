"""Whatever arrives, the codec answers with a value or with one of its two errors: a daemon reads from strangers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.alerts import Alert
from bus.errors import UndecodableFrames, UnsupportedVersion, WireError
from bus.topics import topic_of
from bus.wire import (
    BODY_LIMIT_BYTES,
    INVALID_REASONS,
    VERSION,
    Control,
    Envelope,
    Header,
    decode_alert,
    decode_control,
    decode_frames,
    encode_alert,
    encode_control,
    encode_frames,
)
from tests.bus.strategies import CONTROLS, SAMPLES, alerts, controls, examples, headers

HEADER = Header(bytes(range(16)), 7, 1_772_461_815_250_001)
STREAM = HEADER.stream
_Given = TypeVar("_Given")
_Read = TypeVar("_Read")


def sample_frames(alert: Alert) -> list[bytes]:
    return encode_frames(topic_of(alert), HEADER, encode_alert(alert))


def assert_data_is_read_or_refused(frames: Sequence[bytes]) -> None:
    answer = answer_of(decode_frames, frames)
    if isinstance(answer, UndecodableFrames):
        assert answer.reason not in {"body", "topic"} or answer.header is not None
    if isinstance(answer, Envelope):
        header = answer.header
        assert [type(part) for part in (header.stream, header.sequence, header.published_us)] == [bytes, int, int]
        assert header.sequence > 0
        # What was read can be stored, routed and shown.
        assert len(encode_alert(answer.alert)) < BODY_LIMIT_BYTES
        assert topic_of(answer.alert)
        answer.alert.model_dump_json()


def assert_control_is_read_or_refused(frame: bytes) -> None:
    answer = answer_of(decode_control, frame)
    if not isinstance(answer, WireError):
        assert decode_control(encode_control(answer)) == answer


def answer_of(decode: Callable[[_Given], _Read], given: _Given) -> _Read | WireError:
    """Return what was read, or the error; every other exception is a failure of the test."""
    try:
        return decode(given)
    except (UndecodableFrames, UnsupportedVersion) as error:
        answer = error
    assert getattr(answer, "reason", "version") in INVALID_REASONS
    assert getattr(answer, "version", None) != VERSION
    return answer


def flipped(data: bytes) -> list[bytes]:
    """Return the data with each of its bits flipped, one at a time."""
    number = int.from_bytes(data, "big")
    return [(number ^ 1 << bit).to_bytes(len(data), "big") for bit in range(8 * len(data))]


def shortened(data: bytes) -> list[bytes]:
    return [data[:length] for length in range(len(data))]


@pytest.mark.parametrize("damage", [flipped, shortened])
@pytest.mark.parametrize("position", [0, 1, 2], ids=["topic", "header", "body"])
@pytest.mark.parametrize("alert", SAMPLES, ids=lambda alert: alert.kind)
def test_decode_frames_damaged_anywhere_is_read_or_refused(
    alert: Alert, position: int, damage: Callable[[bytes], list[bytes]]
) -> None:
    frames = sample_frames(alert)
    for damaged in damage(frames[position]):
        assert_data_is_read_or_refused([*frames[:position], damaged, *frames[position + 1 :]])


@pytest.mark.parametrize("alert", SAMPLES, ids=lambda alert: alert.kind)
def test_decode_frames_truncated_body_is_never_read(alert: Alert) -> None:
    topic, header, body = sample_frames(alert)
    for part in shortened(body):
        with pytest.raises(UndecodableFrames) as error:
            decode_frames([topic, header, part])
        assert (error.value.reason, error.value.header) == ("body", HEADER)


@pytest.mark.parametrize("damage", [flipped, shortened])
@pytest.mark.parametrize("message", CONTROLS, ids=lambda message: message.type)
def test_decode_control_damaged_anywhere_is_read_or_refused(
    message: Control, damage: Callable[[bytes], list[bytes]]
) -> None:
    for damaged in damage(encode_control(message)):
        assert_control_is_read_or_refused(damaged)


@examples(80)
@given(st.lists(st.binary(max_size=200), max_size=5))
def test_decode_frames_of_random_bytes_is_read_or_refused(frames: list[bytes]) -> None:
    assert_data_is_read_or_refused(frames)


@examples(80)
@given(st.binary(max_size=300))
def test_decode_control_of_random_bytes_is_read_or_refused(frame: bytes) -> None:
    assert_control_is_read_or_refused(frame)


@examples(80)
@given(alerts, headers, st.data())
def test_decode_frames_of_mutated_message_is_read_or_refused(alert: Alert, header: Header, data: st.DataObject) -> None:
    frames = encode_frames(topic_of(alert), header, encode_alert(alert))
    position = data.draw(st.integers(0, 2))
    frames[position] = data.draw(mutations(frames[position]))
    assert_data_is_read_or_refused(frames)


@examples(80)
@given(controls, st.data())
def test_decode_control_of_mutated_message_is_read_or_refused(message: Control, data: st.DataObject) -> None:
    assert_control_is_read_or_refused(data.draw(mutations(encode_control(message))))


def mutations(original: bytes) -> st.SearchStrategy[bytes]:
    """Replace, insert or remove a few bytes somewhere."""

    def mutate(start: int, length: int, inserted: bytes) -> bytes:
        return original[:start] + inserted + original[start + length :]

    return st.builds(mutate, st.integers(0, len(original)), st.integers(0, 8), st.binary(max_size=8))


# Anything that msgpack can say, in the places where our fields stand: most of it is valid msgpack and invalid alert.
_values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.floats(),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        st.binary(max_size=20),
        st.binary(min_size=16, max_size=16),
        st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=8)),
        st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999)),
        st.sampled_from(["risk_event", "agent_action", "system_event", "CRITICAL", "BUY", "heartbeat", "ack"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["a", "id", b"raw", "", "é"]), inner, max_size=4)
    ),
    max_leaves=6,
)
_kinds = st.sampled_from(["risk_event", "agent_action", "system_event", "opaque", "fill"])
_names = st.sampled_from(
    [*sorted({name for alert in SAMPLES for name in type(alert).model_fields} - {"id", "kind"}), "venue", "fields"]
)


@examples(60)
@given(st.binary(min_size=16, max_size=16), _kinds, st.dictionaries(_names, _values, max_size=5))
def test_decode_alert_of_any_fields_is_always_read(identity: bytes, kind: str, fields: dict[str, object]) -> None:
    """With an id, a person hears of it, whatever the rest is."""
    packed = msgpack.packb({"id": identity, "kind": kind, **fields})
    assert decode_alert(packed).id.bytes == identity
    assert_data_is_read_or_refused([b"severity.INFO.", sample_frames(SAMPLES[0])[1], packed])


@examples(80)
@given(st.lists(_values, max_size=5))
def test_decode_header_of_any_values_is_read_or_refused(parts: list[object]) -> None:
    topic, _, body = sample_frames(SAMPLES[0])
    for header in (parts, [VERSION, *parts], [VERSION, STREAM, *parts]):
        assert_data_is_read_or_refused([topic, msgpack.packb(header), body])


@examples(80)
@given(
    st.sampled_from([message.type for message in CONTROLS]) | _values,
    st.dictionaries(
        st.sampled_from(sorted({name for message in CONTROLS for name in type(message).model_fields})),
        _values,
        max_size=5,
    ),
)
def test_decode_control_of_any_fields_is_read_or_refused(kind: object, fields: dict[str, object]) -> None:
    assert_control_is_read_or_refused(msgpack.packb([VERSION, kind, fields]))
