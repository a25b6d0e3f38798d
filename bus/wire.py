"""The wire codec: envelopes and control messages to ZeroMQ frames and back. The only user of msgpack.

Data, publisher to daemon, on PUB/SUB (and, replayed, on the control channel behind a `replayed` frame):

    +-------------------------+-----------------------------------------+---------------------------+
    | topic (UTF-8)           | header (msgpack array)                  | body (msgpack map)        |
    | severity.CRITICAL.TNA.  | [version, stream, sequence, published]  | {kind, id, occurred_at, …}|
    +-------------------------+-----------------------------------------+---------------------------+
      version    int     1
      stream     bin 16  one opening of a journal
      sequence   int     1, 2, 3 … in the stream
      published  int     microseconds since 1970, UTC, when `publish()` was called

    The header decodes on its own: a body that never decodes can still be settled by its number. In the body,
    `id` is bin 16, datetimes are integer microseconds, fields without a value are left out.

Control, both ways, on DEALER/ROUTER (the ROUTER's identity frame is not drawn):

    +------------------------------------+
    | [version, type, {field: value, …}] |     type: heartbeat, goodbye, unavailable, welcome, ack, replay
    +------------------------------------+
    +------------------------------+-------+--------+------+
    | [version, "replayed", {}]    | topic | header | body |
    +------------------------------+-------+--------+------+

docs/wire.md describes the same for other languages; its test vectors are files in tests/bus/vectors. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgpack
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, ValidationInfo, field_validator

from bus.alerts import (
    NAME_LIMIT,
    SYMBOL_LIMIT,
    AgentAction,
    Alert,
    OpaqueAlert,
    RiskEvent,
    Severity,
    SystemEvent,
)
from bus.clock import from_us, to_us
from bus.conversion import text_of
from bus.errors import UndecodableFrames, UnsupportedVersion
from bus.topics import TOPIC_LIMIT_BYTES

VERSION: Final = 1
#: What the limits on an alert's fields guarantee; a longer body is not ours.
BODY_LIMIT_BYTES: Final = 64 * 1024
#: Bytes that one frame of any message may have; ZeroMQ drops a peer that sends more (ZMQ_MAXMSGSIZE).
FRAME_LIMIT_BYTES: Final = 2 * BODY_LIMIT_BYTES
#: Why frames could not be read: a closed set, the label of `alertbus_messages_invalid_total`.
INVALID_REASONS: Final = ("frame_count", "topic", "header", "body", "oversized", "control", "version")

#: Why a whole stream is unavailable: no loss, since another publisher may offer it.
NOT_OFFERED: Final = "not offered"

_STREAM_BYTES: Final = 16
_MAX_SEQUENCE: Final = 2**63 - 1
_KINDS: Final[dict[str, type[RiskEvent | AgentAction | SystemEvent]]] = {
    "risk_event": RiskEvent,
    "agent_action": AgentAction,
    "system_event": SystemEvent,
}


@dataclass(frozen=True, slots=True)
class Header:
    """Where an alert stands: decodable without its body."""

    stream: bytes
    sequence: int
    published_us: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """An alert with its place in a stream, and its body as it was, or will be, on the wire."""

    header: Header
    topic: str
    body: bytes
    alert: Alert


# --- control messages -------------------------------------------------------------------------------------------

Stream = Annotated[bytes, Field(min_length=_STREAM_BYTES, max_length=_STREAM_BYTES)]
Sequence64 = Annotated[int, Field(ge=0, le=_MAX_SEQUENCE)]
First64 = Annotated[int, Field(ge=1, le=_MAX_SEQUENCE)]  # streams begin at 1
Text = Annotated[str, Field(max_length=NAME_LIMIT)]


class _Control(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Heartbeat(_Control):
    """Publisher to daemon, each second and when a burst ends: self-sufficient, and the first one is the hello."""

    type: Literal["heartbeat"] = "heartbeat"
    stream: Stream
    source: Text
    own: bool = True
    first_held: First64
    first_unacknowledged: First64
    last: Sequence64
    clock_us: Annotated[int, Field(ge=0, le=_MAX_SEQUENCE)]
    journal_alerts: Sequence64 = 0
    refused: Sequence64 = 0
    volatile: bool = False
    progressed_us: Sequence64 | None = None
    progress_limit_us: Sequence64 | None = None
    #: The running publisher: its counts go on when its journal is replaced, and its stream with it.
    run: Stream | None = None
    #: How many calls of `publish()` were timed, how long they took in all, and the longest of the last minute.
    timed_publishes: Sequence64 | None = None
    publish_ns: Sequence64 | None = None
    publish_longest_ns: Sequence64 | None = None
    #: The store that `first_unacknowledged` is meant for; empty before its welcome, None where it is not said.
    store_id: Text | None = None


class Goodbye(_Control):
    """Publisher to daemon: this stream ends on purpose; repeated until an ack answers it."""

    type: Literal["goodbye"] = "goodbye"
    stream: Stream
    source: Text
    last: Sequence64
    reason: Text = "closed"


class Welcome(_Control):
    """Daemon to publisher, in answer to a heartbeat: who stores, and what it speaks."""

    type: Literal["welcome"] = "welcome"
    store_id: Text
    version: Text


class Ack(_Control):
    """Daemon to publisher, after the commit: everything up to here is stored, or settled as lost or duplicate."""

    type: Literal["ack"] = "ack"
    stream: Stream
    up_to: Sequence64
    goodbye: bool = False


class _Numbers(_Control):
    """A range of numbers of a stream, both ends included."""

    stream: Stream
    first: First64
    last: First64

    @field_validator("last", mode="after")
    @classmethod
    def _check_order(cls, last: int, info: ValidationInfo) -> int:
        if last < info.data.get("first", last):
            raise ValueError("the last number is below the first")
        return last


class Replay(_Numbers):
    """Daemon to publisher: send these numbers again, to me only, on the control channel."""

    type: Literal["replay"] = "replay"


class Unavailable(_Numbers):
    """Publisher to daemon, in answer to a replay: these numbers of what you asked for can't be had here."""

    type: Literal["unavailable"] = "unavailable"
    reason: Text


class Replayed(_Control):
    """The frame in front of an envelope that is sent again."""

    type: Literal["replayed"] = "replayed"


Control = Heartbeat | Goodbye | Welcome | Ack | Replay | Unavailable | Replayed
_CONTROL: Final[TypeAdapter[Control]] = TypeAdapter(Annotated[Control, Field(discriminator="type")])


def encode_control(message: Control) -> bytes:
    """Pack a control message into its one frame."""
    fields = message.model_dump(exclude={"type"}, exclude_none=True)
    packed: bytes = msgpack.packb([VERSION, message.type, fields])
    return packed


def decode_control(frame: bytes) -> Control:
    """Read a control message from its frame.

    Raises:
        UndecodableFrames: The frame is no control message that this version knows.
        UnsupportedVersion: It was written in another version.
    """
    if len(frame) > FRAME_LIMIT_BYTES:
        raise UndecodableFrames("oversized", (len(frame),))
    parts = _unpacked(frame)
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:
        raise UndecodableFrames("control", (len(frame),))
    if parts[0] != VERSION:
        raise UnsupportedVersion(parts[0], VERSION)
    if len(parts) < 3 or not isinstance(parts[2], dict):
        raise UndecodableFrames("control", (len(frame),))
    try:
        return _CONTROL.validate_python({**parts[2], "type": parts[1]})
    except (ValidationError, TypeError) as error:
        raise UndecodableFrames("control", (len(frame),)) from error


# --- data messages ----------------------------------------------------------------------------------------------


def encode_header(header: Header) -> bytes:
    """Pack a header into its frame."""
    packed: bytes = msgpack.packb([VERSION, header.stream, header.sequence, header.published_us])
    return packed


def encode_alert(alert: Alert) -> bytes:
    """Pack an alert into a body; fields without a value are left out."""
    fields = {
        name: value
        for name, value in alert.__dict__.items()
        if value is not None and (value != {} or name == "state")  # an empty state is an observation, too
    }
    fields["id"] = alert.id.bytes
    fields["occurred_at"] = to_us(alert.occurred_at)
    resolves = fields.get("resolves")
    if resolves is not None:
        fields["resolves"] = resolves.bytes
    packed: bytes = msgpack.packb(fields)
    return packed


def encode_frames(topic: str, header: Header, body: bytes) -> list[bytes]:
    """Return the three frames of a data message."""
    return [topic.encode(), encode_header(header), body]


def decode_frames(frames: Sequence[bytes]) -> Envelope:
    """Read a data message.

    Raises:
        UndecodableFrames: Its `reason` says which part; its `header` is set when only the body could not be read.
        UnsupportedVersion: It was written in another version.
    """
    sizes = tuple(map(len, frames))
    if len(frames) != 3:
        raise UndecodableFrames("frame_count", sizes)
    topic_frame, header_frame, body = frames
    header = decode_header(header_frame, sizes)
    if len(topic_frame) > TOPIC_LIMIT_BYTES or len(body) > BODY_LIMIT_BYTES:
        raise UndecodableFrames("oversized", sizes, header)
    try:
        topic = topic_frame.decode()
    except UnicodeDecodeError as error:
        raise UndecodableFrames("topic", sizes, header) from error
    try:
        alert = decode_alert(body)
    except UndecodableFrames as error:
        raise UndecodableFrames(error.reason, sizes, header) from error
    return Envelope(header, topic, body, alert)


def decode_header(frame: bytes, sizes: tuple[int, ...] = ()) -> Header:
    """Read a header on its own.

    Raises:
        UndecodableFrames: It is no header.
        UnsupportedVersion: It was written in another version.
    """
    parts = _unpacked(frame) if len(frame) <= TOPIC_LIMIT_BYTES else None
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:
        raise UndecodableFrames("header", sizes or (len(frame),))
    if parts[0] != VERSION:
        raise UnsupportedVersion(parts[0], VERSION)
    match parts[1:4]:
        case [bytes(stream), int(sequence), int(published_us)] if (
            len(stream) == _STREAM_BYTES
            and not isinstance(sequence, bool)
            and not isinstance(published_us, bool)
            and 0 < sequence <= _MAX_SEQUENCE
            and 0 <= published_us <= _MAX_SEQUENCE
        ):
            return Header(stream, sequence, published_us)
    raise UndecodableFrames("header", sizes or (len(frame),))


def decode_alert(body: bytes) -> Alert:
    """Read an alert from a body; fields that this version does not know are kept in `extra`.

    A kind that is not known, or fields that do not validate, become an `OpaqueAlert`, so that a person still hears
    of it: only a body without a readable id is refused.

    Raises:
        UndecodableFrames: It is no msgpack map, or has no id of 16 bytes.
    """
    fields = _unpacked(body)
    if not isinstance(fields, dict):
        raise UndecodableFrames("body", (len(body),))
    identity = fields.pop("id", None)
    if not isinstance(identity, bytes) or len(identity) != 16:
        raise UndecodableFrames("body", (len(body),))
    known = _KINDS.get(kind) if isinstance(kind := fields.get("kind"), str) else None
    if known is None:
        return _opaque(identity, fields)
    unknown = {name: fields.pop(name) for name in fields.keys() - known.model_fields.keys()}
    try:
        return known.model_validate(_python_values(identity, fields, unknown))
    except (ValidationError, ValueError, TypeError, OverflowError):
        return _opaque(identity, {**fields, **unknown})


def _python_values(identity: bytes, fields: dict[str, Any], unknown: dict[str, Any]) -> dict[str, Any]:
    values = {**fields, "id": UUID(bytes=identity), **_occurred_at(identity, fields)}
    if "resolves" in values:
        if not isinstance(values["resolves"], bytes):  # UUID() asserts this
            raise TypeError("resolves is no binary")
        values["resolves"] = UUID(bytes=values["resolves"])
    if unknown:
        values["extra"] = {**values.get("extra", {}), **unknown}
    return values


def _occurred_at(identity: bytes, fields: dict[str, Any]) -> dict[str, datetime]:
    """Read when it happened; where that is missing it is when the id was made, which every daemon reads alike."""
    given = fields.get("occurred_at")
    if given is None:
        return _made_at(identity)
    if type(given) is not int:
        raise TypeError("occurred_at is no integer")
    return {"occurred_at": from_us(given)}


def _made_at(identity: bytes) -> dict[str, datetime]:
    """Read the time in a UUIDv7; any other id says nothing, and the time of reading has to do."""
    with suppress(OverflowError):
        if identity[6] >> 4 == 7:
            return {"occurred_at": from_us(int.from_bytes(identity[:6], "big") * 1000)}
    return {}


def _opaque(identity: bytes, fields: dict[str, Any]) -> OpaqueAlert:
    """Read of an unknown alert whatever can be read."""
    told_apart = {"kind", "event_type", "occurred_at"}
    try:
        moment = _occurred_at(identity, fields)
    except (TypeError, OverflowError):
        moment = _made_at(identity)
        told_apart.remove("occurred_at")
    kind = text_of(fields.get("kind") or "unknown", NAME_LIMIT)
    values: dict[str, Any] = {
        "id": UUID(bytes=identity),
        "original_kind": kind,
        "event_type": text_of(fields.get("event_type") or kind, NAME_LIMIT),
        "fields": {name: value for name, value in fields.items() if name not in told_apart},
        **moment,
    }
    for name, limit in (("source", NAME_LIMIT), ("agent_name", NAME_LIMIT), ("symbol", SYMBOL_LIMIT)):
        if isinstance(fields.get(name), str):
            values[name] = text_of(fields[name], limit)
    with suppress(ValueError):
        values["severity"] = Severity(text_of(fields.get("severity"), NAME_LIMIT))
    return OpaqueAlert(**values)


def _unpacked(data: bytes) -> Any:
    """Unpack msgpack, or return None, which is no message of ours, for anything that msgpack refuses."""
    try:
        return msgpack.unpackb(data, strict_map_key=True)
    except (ValueError, TypeError, msgpack.exceptions.UnpackException, RecursionError, OverflowError):
        return None
